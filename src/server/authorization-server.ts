import type { Moment } from '../clock.js';
import type { AccessToken } from '../tokens/access-token.js';
import type { CanonicalTokenRequest } from '../tokens/token-request.js';

/** The authorization server, as everything behind `server/` sees it: conformant. Each call rejects with an `OAuthError` and nothing else. */
export interface AuthorizationServer {
  /** One token request of the client credentials grant (RFC 6749 section 4.4), not repeated on failure. */
  clientCredentials(request: CanonicalTokenRequest, signal: AbortSignal): Promise<TokenResponse>;
}

/** A token response (RFC 6749 section 5.1), read and checked. */
export interface TokenResponse {
  readonly accessToken: string;
  readonly tokenType: AccessToken['type'];
  /** Milliseconds, counted from `sentAt`; absent if the server named none that can be read. */
  readonly lifetime: number | undefined;
  readonly scope: string | undefined;
  /** Further members, none of which is a token. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** When the request was sent: the server can't have issued the token before. */
  readonly sentAt: Moment;
}
