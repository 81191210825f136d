import { asked } from '../../asked.js';
import { OAuthError } from '../../errors.js';
import { callable, invalid, text, typeName } from '../../validation.js';
import { askedValue, heldValue, type ValueHolder } from './held-value.js';

/** A client secret, or a function that gives it, now or later. A function is asked on first use, and again after `invalid_client`: secrets rotate. */
export type ClientSecret = string | (() => string | Promise<string>);

export function holdSecret(owner: string, secret: ClientSecret): ValueHolder<string> {
  if (!text.accepts(secret) && !callable.accepts(secret)) {
    throw invalid(`${owner}: the secret must be a non-empty string or a function that returns one; received ${typeName(secret)}`);
  }
  return typeof secret === 'string' ? heldValue(secret) : askedValue(async () => askOnce(owner, secret));
}

async function askOnce(owner: string, secret: () => string | Promise<string>): Promise<string> {
  const value: unknown = await asked(`${owner}: the secret function`, secret);
  if (typeof value === 'string' && value !== '') return value;
  throw new OAuthError('invalid_configuration', `${owner}: the secret function must return a non-empty string; it returned ${value === '' ? 'an empty one' : typeof value}`, { retryable: true });
}
