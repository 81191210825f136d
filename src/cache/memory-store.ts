import type { Clock } from '../clock.js';
import type { KeyvLike } from './keyv-like.js';

interface Entry {
  readonly value: unknown;
  /** Milliseconds since the epoch. */
  readonly expires: number;
}

/** How many entries are looked at for each one that is written: more than one, so that expired ones can't gather. */
const sweep = 2;

/**
 * The store of a manager that was given none. What has expired is forgotten without timers: each write looks at the next few entries, round and
 * round, so the store never holds more than about twice what is alive.
 */
export function memoryStore(clock: Clock): KeyvLike {
  const entries = new Map<string, Entry>();
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
    async get(key) {
      const entry = entries.get(key);
      return Promise.resolve(entry !== undefined && entry.expires > clock.now() ? entry.value : undefined);
    },
    async set(key, value, ttl = Infinity) {
      entries.set(key, { value, expires: clock.now() + ttl });
      forgetExpired();
      return Promise.resolve(true);
    },
    async delete(key) {
      return Promise.resolve(entries.delete(key));
    },
  };
}
