import { OAuthError } from '../errors.js';
import { withRetries } from '../retry/with-retries.js';
import type { RetryBudget } from '../retry/retry-budget.js';
import type { RetryPolicy } from '../retry/retry-options.js';
import type { AuthorizationServer } from '../server/authorization-server.js';
import type { CanonicalTokenRequest } from '../tokens/token-request.js';
import type { Grant } from './grant.js';

export interface ClientCredentialsContext {
  readonly server: AuthorizationServer;
  readonly retry: RetryPolicy;
  readonly budget: RetryBudget;
  readonly isClosed: () => boolean;
}

/** The client credentials grant (RFC 6749 section 4.4). Asking twice costs nothing but a token, so failures that may pass are repeated. */
export function clientCredentialsGrant(request: CanonicalTokenRequest, { server, retry, budget, isClosed }: ClientCredentialsContext): Grant {
  return async ({ signal, remaining, mayRepeat }) => {
    budget.deposit();
    return withRetries(async () => server.clientCredentials(request, signal), {
      policy: retry,
      signal,
      remaining,
      background: true,
      repeatable: (failure) => (mayRepeat() && !isClosed() && isPassing(failure) && budget.withdraw() ? { retryAfter: failure.retryAfter } : undefined),
    });
  };
}

/** A failure of the other side. A secret function that threw is left to the next caller. */
function isPassing(failure: unknown): failure is OAuthError {
  return failure instanceof OAuthError && failure.retryable && (failure.code === 'token_request_failed' || failure.code === 'server_unreachable' || failure.code === 'discovery_failed');
}
