import type { GrantParameters } from '../server/authorization-server.js';
import type { Session } from '../sessions/session.js';
import type { TokenRequest } from '../tokens/token-request.js';

/**
 * A way to log in that begins here and is completed on another device: what `startDecoupledLogin` of a token manager goes by. Made by `deviceAuthorization` and
 * `backchannelAuthentication`; one of your own is an object of this shape.
 */
export interface DecoupledFlow {
  /** The `grant_type` of the token requests. */
  readonly grantType: string;
  /** The member of the authorization server's metadata that names where the login begins. */
  readonly endpoint: string;
  /** What stands for the login: the name of a member of the answer, and of the parameter that takes it to the token endpoint. */
  readonly code: string;
  /** Whether the answer has a `user_code` and a `verification_uri` for the user (RFC 8628 section 3.2). @default false */
  readonly isShown?: boolean;
  /** What is asked for. @default nothing in particular */
  readonly request?: TokenRequest;
  /** Further parameters of the request that begins the login. @default none */
  readonly parameters?: (signal: AbortSignal) => Promise<GrantParameters>;
}

/** A login that waits for the user. The code that stands for it at the server stays inside. */
export interface DecoupledLogin {
  /** What the user enters at `verificationUri`. This and the addresses are there where the user has to be shown them: after `deviceAuthorization`. */
  readonly userCode?: string;
  /** Where the user goes: an https or http URL, as the server spells it. */
  readonly verificationUri?: string;
  /** The same with the code in it, for a QR code; show `userCode` beside it, so that the user can compare (RFC 8628 section 3.3.1). Not every server has one. */
  readonly verificationUriComplete?: string;
  /** Milliseconds since the epoch: when the login has to be started again. */
  readonly expiresAt: number;
  /** Milliseconds between two token requests, to begin with. */
  readonly interval: number;
  /**
   * Asks the server, time and again, until the user has approved, and makes a session. Several callers share what is asked, and the session.
   * @throws OAuthError `login_expired`, `authorization_failed` where the user said no (see `error`), `invalid_configuration` if the manager is closed meanwhile, or what kept
   * the session from being had; the reason of `signal` if that is aborted first
   */
  completed(options?: DecoupledLoginOptions): Promise<{ readonly session: Session }>;
}

/** What one caller of `completed` wants. */
export interface DecoupledLoginOptions {
  /** Stops this caller's waiting. With nobody left nothing more is asked, and tokens that come all the same are revoked. */
  signal?: AbortSignal | undefined;
  /** Called whenever the server has said that the user has not decided yet. What it throws is reported as a warning. */
  onPending?: ((login: PendingLogin) => unknown) | undefined;
}

export interface PendingLogin {
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  /** Milliseconds until the server is asked again: 5 s more after each `slow_down`. */
  readonly interval: number;
}
