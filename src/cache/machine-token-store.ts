import { OAuthError } from '../errors.js';
import type { KeyvLike } from './keyv-like.js';
import type { Sealer } from './sealing.js';
import { readTokenRecord, writeTokenRecord } from './token-record.js';
import type { StoreReport } from './store-report.js';
import type { TokenStore } from './token-store.js';

/** For managers without a store of their own: memory is the only tier. */
export const noStore: TokenStore = {
  get: async () => Promise.resolve(undefined),
  set: async () => Promise.resolve(),
};

/**
 * The policy for machine tokens: they can be had again, so whatever is wrong with the store is a miss, reported once as `store-failed`.
 */
export function machineTokenStore(store: KeyvLike, sealer: Sealer, report: StoreReport): TokenStore {
  return {
    async get(key) {
      try {
        const name = entryName(key);
        const sealed = await store.get(name);
        if (sealed === undefined || sealed === null) return undefined;
        if (typeof sealed !== 'string') throw new OAuthError('store_failed', 'An entry of the store is not the text that was written');
        return readTokenRecord(await sealer.open(name, sealed));
      } catch (thrown) {
        report('get', thrown);
        return undefined;
      }
    },
    async set(key, stored, ttl) {
      try {
        const name = entryName(key);
        // Redis refuses fractions.
        await store.set(name, await sealer.seal(name, writeTokenRecord(stored)), Math.max(1, Math.floor(ttl)));
      } catch (thrown) {
        report('set', thrown);
      }
    },
  };
}

function entryName(key: string): string {
  return `grantkeeper:token:${key}`;
}
