import { orAbort } from '../../deadline.js';
import { className, OAuthError } from '../../errors.js';
import { callable, invalid, text, typeName } from '../../validation.js';

/** A client secret, or a function that gives it, now or later. A function is asked on first use, and again after `invalid_client`: secrets rotate. */
export type ClientSecret = string | (() => string | Promise<string>);

export interface SecretHolder {
  current(signal: AbortSignal): Promise<string>;
  /** Present where the secret is a function. Tells whether there is another secret than the one that was refused. */
  readonly replace?: (refused: string, signal: AbortSignal) => Promise<boolean>;
}

/**
 * Invariant: the function is asked by one at a time, and an answer serves all who waited. A secret that was refused is asked for again only
 * while it's the current one; who comes late finds the new one.
 */
export function holdSecret(owner: string, secret: ClientSecret): SecretHolder {
  if (!text.accepts(secret) && !callable.accepts(secret)) {
    throw invalid(`${owner}: the secret must be a non-empty string or a function that returns one; received ${typeName(secret)}`);
  }
  if (typeof secret === 'string') return { current: () => Promise.resolve(secret) };

  let known: string | undefined;
  let asking: Promise<string> | undefined;
  const ask = async (signal: AbortSignal): Promise<string> => {
    const answer = (asking ??= askOnce(owner, secret));
    try {
      const value = await orAbort(answer, signal);
      // Of those who waited for one answer the first keeps it; an answer to a question that was given up is kept by nobody.
      if (asking === answer) known = value;
      return value;
    } finally {
      // A function that hangs is asked anew by the next caller.
      if (asking === answer) asking = undefined;
    }
  };
  return {
    current: async (signal) => known ?? ask(signal),
    replace: async (refused, signal) => {
      if (known === refused) known = undefined;
      return (known ?? await ask(signal)) !== refused;
    },
  };
}

async function askOnce(owner: string, secret: () => string | Promise<string>): Promise<string> {
  let value: unknown;
  try {
    value = await secret();
  } catch (thrown) {
    throw new OAuthError('invalid_configuration', `${owner}: the secret function threw ${className(thrown)}`, { retryable: true });
  }
  if (typeof value === 'string' && value !== '') return value;
  throw new OAuthError('invalid_configuration', `${owner}: the secret function must return a non-empty string; it returned ${value === '' ? 'an empty one' : typeof value}`, { retryable: true });
}
