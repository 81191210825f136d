import type { AccessToken } from '../tokens/access-token.js';

/** What a store keeps of a token, so that another process can go on with it. */
export interface StoredToken {
  readonly token: AccessToken;
  /** Milliseconds. */
  readonly lifetime: number;
  /** When the token request was sent, in milliseconds since the epoch. */
  readonly obtainedAt: number;
}

/** Where tokens are kept beside memory. For machine tokens a failing store is a miss: neither call rejects. */
export interface TokenStore {
  get(key: string): Promise<StoredToken | undefined>;
  /** @param ttl milliseconds, above 0 */
  set(key: string, stored: StoredToken, ttl: number): Promise<void>;
}
