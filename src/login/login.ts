import type { Exclusive } from '../cache/exclusive.js';
import type { KeyvLike } from '../cache/keyv-like.js';
import type { StoreReport } from '../cache/store-report.js';
import type { Clock } from '../clock.js';
import type { Events } from '../events.js';
import type { AuthorizationServer } from '../server/authorization-server.js';
import type { Session } from '../sessions/session.js';
import type { SessionKeyContext } from '../sessions/session-key.js';
import type { Sessions } from '../sessions/sessions.js';
import type { Transactions } from './transaction.js';

export interface StartedLogin {
  /** Where the browser is sent: the authorization request (RFC 6749 section 4.1.1). */
  readonly url: URL;
  /** What tells its callback from those of other logins: the request's `state`, which a pushed or signed one doesn't show in the URL. */
  readonly state: string;
  /** What has to come back with the browser: sealed, good for ten minutes and for one exchange. A cookie holds it. */
  readonly transaction: string;
}

export interface CompletedLogin {
  readonly session: Session;
  /** A path of this site; absent if the login was started without one. */
  readonly returnTo?: string;
}

/** What logins need of the rest. */
export interface LoginContext extends SessionKeyContext {
  readonly server: AuthorizationServer;
  /** The authorization server's name, for messages. */
  readonly serverName: string;
  readonly transactions: Transactions;
  readonly sessions: Sessions;
  readonly exclusive: Exclusive;
  /** Where it's noted that a login was completed; guarded. */
  readonly store: KeyvLike;
  readonly report: StoreReport;
  readonly clock: Clock;
  readonly events: Events;
  /** Milliseconds for one call. */
  readonly timeout: number;
  /** Milliseconds that a token lives whose server named no lifetime. */
  readonly assumedLifetime: number;
}
