import { elapsedSince, momentOf, type Clock } from '../clock.js';
import { orAbort, type Deadline } from '../deadline.js';
import { OAuthError } from '../errors.js';
import type { Events } from '../events.js';
import { withRetries } from '../retry/with-retries.js';
import type { RetryBudget } from '../retry/retry-budget.js';
import type { RetryPolicy } from '../retry/retry-options.js';
import type { AuthorizationServer, TokenGrant, TokenResponse } from '../server/authorization-server.js';
import type { TokenBinding } from '../tokens/token-binding.js';
import { fromResponse } from './granted-token.js';
import type { GrantCall, RepeatableGrant } from './grant.js';

export interface RepeatableGrantContext {
  readonly server: AuthorizationServer;
  /** Of the tokens. */
  readonly binding: TokenBinding | undefined;
  /** Milliseconds that a token lives whose server named no lifetime. */
  readonly assumedLifetime: number;
  readonly retry: RetryPolicy;
  readonly budget: RetryBudget;
  readonly clock: Clock;
  readonly events: Events;
  readonly isClosed: () => boolean;
}

/** A grant that can be used again: asking twice costs nothing but a token, so failures that may pass are repeated. */
export function repeatableGrant(grant: TokenGrant, context: RepeatableGrantContext): RepeatableGrant {
  const { assumedLifetime, binding, clock, events } = context;
  const { grantType, request: { scope } } = grant;
  return async (call, deadline) => {
    const began = momentOf(clock);
    const response = await orAbort(requested(grant, call, deadline, context), deadline.signal);
    const granted = fromResponse(response, { scope: scope.length === 0 ? undefined : scope.join(' '), lifetime: assumedLifetime, binding });
    const { expiresAt, lifetime } = granted;
    events.emit('acquired', { grant: grantType, ...(expiresAt !== undefined && { expiresAt }), durationMs: elapsedSince(began, clock) });
    if (call.isRenewal && lifetime > 0) events.emit('refreshed', {});
    return granted;
  };
}

async function requested(grant: TokenGrant, call: GrantCall, { signal, remaining }: Deadline, { server, retry, budget, isClosed }: RepeatableGrantContext): Promise<TokenResponse> {
  budget.deposit();
  return withRetries(async () => server.grant(grant, signal), {
    policy: retry,
    signal,
    remaining,
    background: true,
    repeatable: (failure) => (call.isUrgent() && !isClosed() && isPassing(failure) && budget.withdraw() ? { retryAfter: failure.retryAfter } : undefined),
  });
}

/** A failure of the other side. A secret function that threw is left to the next caller. */
function isPassing(failure: unknown): failure is OAuthError {
  return failure instanceof OAuthError && failure.retryable && (failure.code === 'token_request_failed' || failure.code === 'server_unreachable' || failure.code === 'discovery_failed');
}
