import type { Clock } from '../clock.js';
import { expiringMap } from './expiring-map.js';
import type { KeyvLike } from './keyv-like.js';

/** The store of a manager that was given none: while it's in use it holds no more than about twice what is alive. */
export function memoryStore(clock: Clock): KeyvLike {
  const entries = expiringMap<unknown>(clock);
  return {
    get: async (key) => Promise.resolve(entries.get(key)),
    async set(key, value, ttl = Infinity) {
      entries.set(key, value, ttl);
      return Promise.resolve(true);
    },
    delete: async (key) => Promise.resolve(entries.delete(key)),
  };
}
