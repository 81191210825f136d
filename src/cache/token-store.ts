import type { StoredToken } from '../tokens/stored-token.js';

/** Where tokens are kept beside memory, each under a key. What a failure means is the store's to decide: for machine tokens it's a miss. */
export interface TokenStore {
  get(key: string): Promise<StoredToken | undefined>;
  /** @param ttl milliseconds, above 0 */
  set(key: string, stored: StoredToken, ttl: number): Promise<void>;
}
