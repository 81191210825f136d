import { genericGrantRequest } from 'openid-client';
import { OAuthError } from '../errors.js';
import type { PresentedProof } from './client-authentication/client-authentication.js';
import { configurationOf } from './configuration.js';
import type { ConnectedClient } from './connected-client.js';
import { createRedactor } from './redaction.js';
import { exchangeWithTokenEndpoint, type TimedAnswer } from './token-endpoint.js';
import { isErrorAnswer, tokenError } from './token-error.js';
import { markUnsent } from './unsent.js';

/** What is asked, in the words of RFC 6749; the client's proof is added to it. */
export interface GrantRequest {
  readonly grantType: string;
  readonly parameters: URLSearchParams;
  /** Those of its values that must appear nowhere else. */
  readonly secrets: readonly string[];
}

/** An answer that is no error, and what must not be seen in it. */
export interface TokenExchange extends TimedAnswer {
  readonly secrets: readonly string[];
}

type Outcome = { readonly exchange: TokenExchange } | { readonly failure: unknown; readonly proof: PresentedProof | undefined };

/** One token request; after `invalid_client` one more, if the secret is a function that now gives another one. Rejects with what `tokenError` makes of an error answer. */
export async function requestTokens(client: ConnectedClient, request: GrantRequest, signal: AbortSignal): Promise<TokenExchange> {
  let outcome = await attempt(client, request, signal);
  if ('failure' in outcome && isInvalidClient(outcome.failure) && await renewed(outcome.proof)) outcome = await attempt(client, request, signal);
  if ('exchange' in outcome) return outcome.exchange;
  throw outcome.failure;
}

/** Whether there is another secret. The request that was refused did nothing, so that a failure now is one from before sending. */
async function renewed(proof: PresentedProof | undefined): Promise<boolean> {
  try {
    return await proof?.renew?.() === true;
  } catch (thrown) {
    if (thrown instanceof OAuthError) markUnsent(thrown);
    throw thrown;
  }
}

async function attempt(client: ConnectedClient, { grantType, parameters, secrets: asked }: GrantRequest, signal: AbortSignal): Promise<Outcome> {
  const { authentication, transport, clock } = client;
  let proof: PresentedProof | undefined;
  let exchange: TokenExchange | undefined;
  const request = { hasLeft: false };
  const configuration = configurationOf(client, {
    signal,
    onProof: (presented) => { proof = presented; },
    fetch: async (url, { method, headers, body }) => {
      request.hasLeft = true;
      const { answer, sentAt } = await exchangeWithTokenEndpoint(url, { method, headers, body: body as URLSearchParams, signal }, transport, clock);
      const secrets = [...proof?.secrets ?? [], ...asked];
      if (isErrorAnswer(answer)) throw tokenError(answer, { redact: createRedactor(secrets), authenticationMethod: authentication.method, now: clock.now() });
      exchange = { answer, sentAt, secrets };
      // The answer is read and judged by us, after what must not be lost of it is kept.
      return Response.json({ access_token: 'received', token_type: 'bearer' });
    },
  });
  try {
    await genericGrantRequest(configuration, grantType, parameters);
    if (exchange !== undefined) return { exchange };
    throw new TypeError('no answer was read');
  } catch (thrown) {
    const failure = unwrapped(thrown);
    if (!request.hasLeft && failure instanceof OAuthError) markUnsent(failure);
    return { failure, proof };
  }
}

/** openid-client wraps what it doesn't know: an error of ours is the cause. */
export function unwrapped(thrown: unknown): unknown {
  return thrown instanceof Error && !(thrown instanceof OAuthError) && thrown.cause instanceof OAuthError ? thrown.cause : thrown;
}

function isInvalidClient(failure: unknown): boolean {
  return failure instanceof OAuthError && failure.code === 'token_request_failed' && failure.error === 'invalid_client';
}
