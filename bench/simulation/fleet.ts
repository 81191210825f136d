/** Who is simulated. Durations are in milliseconds. */
export interface Fleet {
  readonly replicas: number;
  /** Those in use: a session at rest costs storage only. */
  readonly sessions: number;
  /** Of an access token. */
  readonly lifetime: number;
  /** Of each session, at random. */
  readonly callsPerMinute: number;
  /** Calls that come at once, as those of a page in a browser, each to a replica of its own. */
  readonly burst: number;
  /** `spread`: each call goes to any replica. `pinned`: all calls of a session go to the same one. */
  readonly routing: 'spread' | 'pinned';
  readonly maxEntries: number;
  /** From the lock's acquisition to the moment when the new record is in the store. */
  readonly renewal: number;
  /** Whether the moment of a renewal is moved by chance, as the library does. */
  readonly jitter: boolean;
}

export const minute = 60_000;

export const defaults: Fleet = {
  replicas: 200,
  sessions: 10_000_000,
  lifetime: 15 * minute,
  callsPerMinute: 1,
  burst: 1,
  routing: 'spread',
  maxEntries: 10_000,
  renewal: 200,
  jitter: true,
};

/** The same with calls that go to any replica, or stick to one; each replica has room for all that it sees. */
export function spread(fleet: Fleet): Fleet {
  return { ...fleet, routing: 'spread', maxEntries: fleet.sessions };
}

export function pinned(fleet: Fleet): Fleet {
  return { ...fleet, routing: 'pinned', maxEntries: Math.ceil(fleet.sessions / fleet.replicas) };
}

/** Milliseconds between the visits of a session, each with its burst of calls. */
export function visitInterval({ callsPerMinute, burst }: Fleet): number {
  return (minute * burst) / callsPerMinute;
}

/** Milliseconds between the calls of one session at one replica. */
export function callInterval({ callsPerMinute, routing, replicas }: Fleet): number {
  return (minute / callsPerMinute) * (routing === 'pinned' ? 1 : replicas);
}

/**
 * Milliseconds after which an unused token has left the memory of a replica: as long as it takes to use `maxEntries` others. This is the approximation of an LRU cache by
 * Che, Tung and Wang (2002), exact for many entries that are all used alike.
 */
export function memory(fleet: Fleet): number {
  const seen = fleet.routing === 'pinned' ? fleet.sessions / fleet.replicas : fleet.sessions;
  return fleet.maxEntries >= seen ? Infinity : -callInterval(fleet) * Math.log(1 - fleet.maxEntries / seen);
}
