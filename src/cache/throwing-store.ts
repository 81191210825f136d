import type { KeyvLike } from './keyv-like.js';

/**
 * A Keyv answers a call that failed as if nothing were stored, and one over Redis even a failed write with success, unless it's told to throw:
 * the Keyv itself and the adapter under it. Any other store is left as it is.
 */
export function throwingStore(store: KeyvLike): KeyvLike {
  for (const layer of [store, Reflect.get(store, 'store') as unknown]) {
    if (typeof layer === 'object' && layer !== null && 'throwOnErrors' in layer) Reflect.set(layer, 'throwOnErrors', true);
  }
  return store;
}
