import type { AccessToken } from './access-token.js';

/** Whatever gives access tokens: the one thing that `createFetch` needs. */
export interface TokenSource {
  /**
   * An access token that may be used now: from memory where there is a good one, else from the store or the authorization server.
   * @throws OAuthError if none can be had; the reason of `signal` if that is aborted first.
   */
  getToken(options?: GetTokenOptions): Promise<AccessToken>;
}

/** What one caller of `getToken` wants. */
export interface GetTokenOptions {
  /** The token that an API refused. Only if it is still the current one is a new one fetched; else the current one is returned. */
  rejected?: AccessToken | undefined;
  /** Stops this caller's waiting. It never cancels a token request that others share. */
  signal?: AbortSignal | undefined;
}
