import type { Configuration } from 'openid-client';
import { className, OAuthError } from '../errors.js';
import type { PresentedProof } from './client-authentication/client-authentication.js';
import { configurationOf } from './configuration.js';
import type { ConnectedClient } from './connected-client.js';
import type { Speech } from './dialect/speech.js';
import type { ProofKey } from './dpop/proof-key.js';
import { exchangeWithEndpoint, type TimedAnswer } from './endpoint-exchange.js';
import { redactedFailure } from './redacted-failure.js';
import { createRedactor } from './redaction.js';
import { isErrorAnswer, tokenError } from './token-error.js';
import { markUnsent } from './unsent.js';

/** What is asked of an endpoint; the client's proof, and that of its key, are added to it. */
export interface AuthenticatedRequest {
  /** For messages, e.g. `The token endpoint`. */
  readonly endpoint: string;
  /** Builds and sends the request by openid-client, which is given `placeholder` for an answer. */
  readonly send: (configuration: Configuration) => Promise<unknown>;
  /** What openid-client takes for a good answer: the real one is read and judged by us, after what must not be lost of it is kept. */
  readonly placeholder: () => Response;
  /** Where the server has words of its own for it. */
  readonly speech?: Speech | undefined;
  /** The key that the request is signed with (RFC 9449). */
  readonly key?: ProofKey | undefined;
  /** Those of its values that must appear nowhere else. */
  readonly secrets: readonly string[];
}

/** An answer that is no error, and what must not be seen in it. */
export interface Exchange extends TimedAnswer {
  readonly secrets: readonly string[];
}

interface Failure {
  readonly failure: unknown;
  readonly proof: PresentedProof | undefined;
  /** Whether the answer has a nonce for the next proof of the key. */
  readonly hasNonce: boolean;
}

type Outcome = { readonly exchange: Exchange } | Failure;

/**
 * One request, repeated once for each of two reasons that say that nothing was done: `invalid_client`, if the secret is a function that now gives another one, and
 * `use_dpop_nonce` with a nonce (RFC 9449 section 8). Rejects with what `tokenError` makes of an error answer.
 */
export async function authenticatedRequest(client: ConnectedClient, request: AuthenticatedRequest, signal: AbortSignal): Promise<Exchange> {
  const remedies = new Set([asksForNonce, hasOtherSecret]);
  for (;;) {
    const outcome = await attempt(client, request, signal);
    if ('exchange' in outcome) return outcome.exchange;
    if (!await isRemedied(outcome, remedies)) throw outcome.failure;
  }
}

type Remedy = (failure: Failure) => boolean | Promise<boolean>;

async function isRemedied(failure: Failure, remedies: Set<Remedy>): Promise<boolean> {
  for (const remedy of remedies) {
    if (await remedy(failure)) return remedies.delete(remedy);
  }
  return false;
}

const asksForNonce: Remedy = ({ failure, hasNonce }) => hasNonce && hasCode(failure, 'use_dpop_nonce');

/** The request that was refused did nothing, so that a failure now is one from before sending. */
const hasOtherSecret: Remedy = async ({ failure, proof }) => {
  if (!hasCode(failure, 'invalid_client')) return false;
  try {
    return await proof?.renew?.() === true;
  } catch (thrown) {
    const failure = thrown instanceof OAuthError ? thrown : new OAuthError('invalid_configuration', `\`clientAuthentication\`: renew() threw ${className(thrown)}`, { retryable: true });
    markUnsent(failure);
    throw failure;
  }
};

function hasCode(failure: unknown, error: string): boolean {
  return failure instanceof OAuthError && failure.code === 'token_request_failed' && failure.error === error;
}

async function attempt(client: ConnectedClient, { endpoint, send, placeholder, speech, key, secrets: given }: AuthenticatedRequest, signal: AbortSignal): Promise<Outcome> {
  const { authentication, metadata, transport, clock, nonces } = client;
  let proof: PresentedProof | undefined;
  let exchange: Exchange | undefined;
  const request = { hasLeft: false, hasNonce: false };
  const configuration = configurationOf(client, {
    signal,
    onProof: (presented) => { proof = presented; },
    fetch: async (address, { method, headers, body }) => {
      const asked = { url: new URL(address), method, headers: new Headers(headers), parameters: body as URLSearchParams };
      const { url, secrets: added, ...init } = speech === undefined ? { ...asked, body: asked.parameters, secrets: [] } : await speech.spoken(asked, signal);
      const signed = await key?.prove({ method: init.method, url, nonce: nonces.of(url.origin), now: clock.now(), algorithms: metadata.dpop_signing_alg_values_supported });
      if (signed !== undefined) init.headers.set('dpop', signed);
      const secrets = [...proof?.secrets ?? [], ...given, ...(signed === undefined ? [] : [signed])];
      const redact = createRedactor([...secrets, ...added]);
      request.hasLeft = true;
      const { answer: raw, sentAt } = await exchangeWithEndpoint(endpoint, url.href, { method: init.method, headers: init.headers, ...(init.body !== undefined && { body: init.body }), signal }, transport, clock).catch((thrown: unknown) => {
        throw redactedFailure(thrown, redact);
      });
      if (key !== undefined) request.hasNonce = nonces.learn(url.origin, raw.headers);
      const answer = speech === undefined ? raw : await speech.understood(raw, sentAt, signal);
      if (isErrorAnswer(answer)) throw tokenError(answer, { endpoint, redact, authentication, metadata, errors: speech?.errors, now: clock.now() });
      exchange = { answer, sentAt, secrets };
      return placeholder();
    },
  });
  try {
    await send(configuration);
    if (exchange !== undefined) return { exchange };
    throw new TypeError('no answer was read');
  } catch (thrown) {
    const failure = unwrapped(thrown);
    if (!request.hasLeft && failure instanceof OAuthError) markUnsent(failure);
    return { failure, proof, hasNonce: request.hasNonce };
  }
}

/** openid-client wraps what it doesn't know: an error of ours is the cause. */
export function unwrapped(thrown: unknown): unknown {
  return thrown instanceof Error && !(thrown instanceof OAuthError) && thrown.cause instanceof OAuthError ? thrown.cause : thrown;
}
