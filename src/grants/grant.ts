import type { TokenResponse } from '../server/authorization-server.js';

/** Gets a token from the authorization server: what a cache calls when it has none. Rejects with an `OAuthError`. */
export type Grant = (call: GrantCall) => Promise<TokenResponse>;

export interface GrantCall {
  /** The deadline of this call; nobody's abort. */
  readonly signal: AbortSignal;
  /** Milliseconds left until it. */
  readonly remaining: () => number;
  /** Whether a try that failed may be repeated at once: somebody waits who has no other token. Else the next try is the cache's to choose. */
  readonly mayRepeat: () => boolean;
}
