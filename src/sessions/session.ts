import type { TokenRequest } from '../tokens/token-request.js';
import type { TokenSource } from '../tokens/token-source.js';

/** A signed-in user's grant. What it gives are that user's access tokens; the refresh token behind them stays inside. */
export interface Session extends TokenSource {
  /** 256 random bits in base64url, new at every login. Whoever has it can act for the user: keep it as you keep a session cookie. */
  readonly id: string;
  /**
   * What is known of the login.
   * @returns `undefined` if there is no such session: it ended, or there was none
   * @throws OAuthError `store_failed`
   */
  info(): Promise<SessionInfo | undefined>;
  /**
   * Access tokens for another API out of the same grant (RFC 8707 section 2.2): one refresh token, one lock, a token for each request.
   * Ask for what the login was granted: some servers spend the refresh token before they refuse a resource, and with it the session.
   * @throws OAuthError `invalid_configuration`
   */
  forResource(request: TokenRequest): TokenSource;
  /**
   * Ends the session: forgets it, revokes its refresh token (RFC 7009; one that fails doesn't stop it), and gives the address for
   * RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0) where the server has one. A refresh under way is discarded.
   * @throws OAuthError `store_failed`: then the session is still there
   */
  end(options?: EndOptions): Promise<{ url?: URL }>;
}

export interface EndOptions {
  /** Where the authorization server sends the browser afterwards, as it's registered there. A random `state` goes with it. */
  postLogoutRedirectUri?: string | undefined;
  /**
   * Whether the refresh token is revoked. Many servers take all logins of one user and client for one grant: to revoke a token of an earlier login
   * (RFC 7009 section 2.1) then ends the later ones as well.
   * @default true
   */
  revoke?: boolean | undefined;
}

export interface SessionInfo {
  readonly id: string;
  /** The claims of the newest ID token, checked (OpenID Connect Core section 2); absent without the scope `openid`. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** The granted scope, separated by spaces. */
  readonly scope?: string;
  /** When the login was completed, in milliseconds since the epoch. */
  readonly createdAt: number;
  /** When the tokens were last refreshed, in milliseconds since the epoch. */
  readonly refreshedAt?: number;
}
