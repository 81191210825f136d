import type { TokenBinding } from '../tokens/token-binding.js';
import type { TokenStore } from './token-store.js';

/** A store whose tokens are all bound to the same: what goes with them is this process's own, and never stored with them. */
export function boundStore(store: TokenStore, binding: TokenBinding | undefined): TokenStore {
  if (binding === undefined) return store;
  return {
    async get(key) {
      const stored = await store.get(key);
      const isBound = stored?.token.type === (binding.prove === undefined ? 'Bearer' : 'DPoP');
      return stored !== undefined && isBound ? { ...stored, binding } : undefined;
    },
    set: async (key, stored, ttl) => store.set(key, stored, ttl),
  };
}
