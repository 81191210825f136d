import { OAuthError } from '../errors.js';
import type { Events } from '../events.js';

/** Tells of a failing store or lock, once for each failure: while it's left alone every call fails with the same error. */
export type StoreReport = (operation: string, thrown: unknown) => void;

export function createStoreReport(events: Events): StoreReport {
  const reported = new WeakSet();
  return (operation, thrown) => {
    if (typeof thrown === 'object' && thrown !== null) {
      if (reported.has(thrown)) return;
      reported.add(thrown);
    }
    events.emit('store-failed', { operation, error: thrown instanceof OAuthError ? thrown : new OAuthError('store_failed', 'An entry of the store could not be opened: it was changed or cut off', { cause: thrown }) });
  };
}
