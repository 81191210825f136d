import type { MapStore } from './map-store.js';

/** The key of the entry that readers of the one session in this store see. */
export function headKeyOf(store: MapStore): string {
  const found = [...store.entries.keys()].find((key) => /^grantkeeper:session:[^:]+$/.test(key));
  if (found === undefined) throw new Error('there is no session in the store');
  return found;
}
