import { OAuthError } from '../errors.js';
import { createGuard, type GuardOptions } from './guard.js';
import type { KeyvLike } from './keyv-like.js';

/** A store whose every call ends. Rejects with an `OAuthError` of code `store_failed`. */
export function guardedStore(store: KeyvLike, options: GuardOptions): KeyvLike {
  const guard = createGuard('The store', options);
  return {
    get: async (key) => guard('get', async () => store.get(key)),
    set: async (key, value, ttl) => guard('set', async () => {
      const answer = await store.set(key, value, ttl);
      if (answer === false) throw new OAuthError('store_failed', 'it answered false');
      return answer;
    }),
    delete: async (key) => guard('delete', async () => store.delete(key)),
  };
}
