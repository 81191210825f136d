import { OAuthError } from '../errors.js';
import type { Events } from '../events.js';

/** Tells of a failing store or lock, once for each failure: while it's left alone every call fails with the same error. */
export type StoreReport = (operation: string, thrown: unknown) => void;

export function createStoreReport(events: Events): StoreReport {
  let reported: unknown;
  return (operation, thrown) => {
    if (thrown === reported) return;
    reported = thrown;
    events.emit('store-failed', { operation, error: thrown instanceof OAuthError ? thrown : new OAuthError('store_failed', 'An entry of the store could not be opened: it was changed or cut off', { cause: thrown }) });
  };
}
