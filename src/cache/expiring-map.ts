import type { Clock } from '../clock.js';

/** A map whose entries are gone when their time is over. */
export interface ExpiringMap<Value> {
  get(key: string): Value | undefined;
  /** @param ttl milliseconds */
  set(key: string, value: Value, ttl: number): void;
  /** @returns whether there was one */
  delete(key: string): boolean;
}

/** How many entries are looked at for each one that is written: more than one, so that expired ones can't gather. */
const sweep = 2;

/**
 * What has expired is forgotten without timers: each write looks at the next few entries, round and round, so while it's written to the map holds no more than
 * about twice what is alive.
 */
export function expiringMap<Value>(clock: Clock): ExpiringMap<Value> {
  const entries = new Map<string, { readonly value: Value; readonly expires: number }>();
  let round = entries.entries();

  const forgetExpired = (): void => {
    for (let looked = 0; looked < sweep; looked += 1) {
      const next = round.next();
      if (next.done === true) {
        round = entries.entries();
        return;
      }
      const [key, { expires }] = next.value;
      if (expires <= clock.now()) entries.delete(key);
    }
  };

  return {
    get(key) {
      const entry = entries.get(key);
      return entry !== undefined && entry.expires > clock.now() ? entry.value : undefined;
    },
    set(key, value, ttl) {
      entries.set(key, { value, expires: clock.now() + ttl });
      forgetExpired();
    },
    delete: (key) => entries.delete(key),
  };
}
