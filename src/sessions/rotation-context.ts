import type { Clock } from '../clock.js';
import type { Events } from '../events.js';
import type { RetryBudget } from '../retry/retry-budget.js';
import type { RetryPolicy } from '../retry/retry-options.js';
import type { AuthorizationServer } from '../server/authorization-server.js';
import type { CanonicalTokenRequest } from '../tokens/token-request.js';
import type { RefreshGrace } from './refresh-attempt.js';
import type { SessionKeyContext } from './session-key.js';

export interface RotationContext extends RefreshGrace, SessionKeyContext {
  readonly server: AuthorizationServer;
  readonly serverName: string;
  readonly clock: Clock;
  readonly events: Events;
  /** Milliseconds for the token request, its repetitions included; and for what comes before the lock. */
  readonly timeout: number;
  /** Milliseconds that a token lives whose server named no lifetime. */
  readonly assumedLifetime: number;
  readonly retry: RetryPolicy;
  readonly budget: RetryBudget;
}

/** Which of a session's tokens is wanted. */
export interface SessionTokenRequest {
  /** Names it in the record; empty for the session's own. */
  readonly name: string;
  readonly request: CanonicalTokenRequest;
}
