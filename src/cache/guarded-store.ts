import { OAuthError } from '../errors.js';
import { createGuard, type GuardedCall, type GuardOptions } from './guard.js';
import type { KeyvLike } from './keyv-like.js';

export interface GuardedStore extends KeyvLike {
  get(key: string, call?: GuardedCall): Promise<unknown>;
  /** As `set`, for what is lost otherwise: it isn't put off by a pause, and is tried once more if it fails in time. */
  keep(key: string, value: unknown, ttl?: number): Promise<unknown>;
}

/** A store whose every call ends. Rejects with an `OAuthError` of code `store_failed`. */
export function guardedStore(store: KeyvLike, options: GuardOptions): GuardedStore {
  const guard = createGuard('The store', options);
  // What is left over harms nobody: a store that can't delete is no reason to leave it alone.
  const tidying = createGuard('The store', options);
  const set = async (key: string, value: unknown, ttl: number | undefined, call?: GuardedCall): Promise<unknown> => guard('set', async () => {
    const answer = await store.set(key, value, ttl);
    if (answer === false) throw new OAuthError('store_failed', 'it answered false');
    return answer;
  }, call);
  return {
    get: async (key, call) => guard('get', async () => store.get(key), call),
    set: async (key, value, ttl) => set(key, value, ttl),
    keep: async (key, value, ttl) => set(key, value, ttl, { insists: true }),
    delete: async (key) => tidying('delete', async () => store.delete(key)),
  };
}
