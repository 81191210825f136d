import type { GuardedCall } from '../cache/guard.js';
import type { GuardedStore } from '../cache/guarded-store.js';
import type { Sealer } from '../cache/sealing.js';
import type { Clock } from '../clock.js';
import { OAuthError } from '../errors.js';
import { isEnded, readSession, writeSession, type SessionRecord, type StoredSession } from './session-record.js';

/** The entries of sessions, sealed, each under its name. For a user's grant the store is the truth: every failure is one (`store_failed`). */
export interface SessionStore {
  /** @param call `insists` where what is done next depends on it */
  load(name: string, call?: GuardedCall): Promise<StoredSession | undefined>;
  save(name: string, session: StoredSession): Promise<void>;
  /** As `save`, for what is lost otherwise: the store is asked even while it's left alone after a failure, and twice. */
  keep(name: string, session: StoredSession): Promise<void>;
  remove(name: string): Promise<void>;
  /** When a session is over if it isn't written again, in milliseconds since the epoch: a store may forget it later, or not at all. */
  expiryOf(times: SessionTimes): number;
}

export type SessionTimes = Pick<SessionRecord, 'createdAt' | 'writtenAt'>;

export interface SessionLifetimes {
  /** Milliseconds since it was last written. */
  readonly idle: number;
  /** Milliseconds since the login. */
  readonly absolute: number;
}

const tombstoneLifetime = 24 * 60 * 60_000;

/** @param store already guarded: each call ends */
export function sessionStore(store: GuardedStore, sealer: Sealer, { idle, absolute }: SessionLifetimes, clock: Clock): SessionStore {
  const expiryOf = ({ createdAt, writtenAt }: SessionTimes): number => Math.min(writtenAt + idle, createdAt + absolute);
  const remaining = (session: StoredSession): number => (isEnded(session) ? tombstoneLifetime : expiryOf(session) - clock.now());

  const write = async (how: 'set' | 'keep', name: string, session: StoredSession): Promise<void> => {
    // Redis refuses fractions, and nothing may stand for ever because no lifetime was left.
    const ttl = Math.max(1, Math.floor(remaining(session)));
    await store[how](name, await sealer.seal(name, writeSession(session)), Math.min(ttl, Number.MAX_SAFE_INTEGER));
  };

  return {
    async load(name, call) {
      const sealed = await store.get(name, call);
      if (sealed === undefined || sealed === null) return undefined;
      if (typeof sealed !== 'string') throw new OAuthError('store_failed', 'An entry of the store is not the text that was written');
      return readSession(await opened(sealer, name, sealed));
    },
    save: async (name, session) => write('set', name, session),
    keep: async (name, session) => write('keep', name, session),
    async remove(name) {
      await store.delete(name);
    },
    expiryOf,
  };
}

async function opened(sealer: Sealer, name: string, sealed: string): Promise<string> {
  try {
    return await sealer.open(name, sealed);
  } catch (thrown) {
    if (thrown instanceof OAuthError) throw thrown;
    throw new OAuthError('store_failed', 'A session in the store could not be opened: its entry was changed or cut off', { cause: thrown });
  }
}
