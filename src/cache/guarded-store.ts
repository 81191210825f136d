import { elapsedSince, momentOf, type Clock, type Moment } from '../clock.js';
import { deadlineIn, orAbort } from '../deadline.js';
import { OAuthError } from '../errors.js';
import type { KeyvLike } from './keyv-like.js';

export interface GuardOptions {
  /** Milliseconds that one call may take. */
  readonly timeout: number;
  readonly clock: Clock;
}

const firstPause = 500;
const longestPause = 4_000;

/**
 * A store whose every call ends: by its answer, its deadline, or at once while the store is being left alone after a failure.
 * Rejects with an `OAuthError` of code `store_failed`; while the pause lasts, with the very error that began it.
 */
export function guardedStore(store: KeyvLike, options: GuardOptions): KeyvLike {
  const breaker = createBreaker(options.clock);
  const guarded = async <T>(operation: keyof KeyvLike, call: () => Promise<T>): Promise<T> => {
    breaker.check();
    const deadline = deadlineIn(options.timeout, `The store's ${operation} took longer than ${options.timeout} ms`);
    try {
      const answer = await orAbort((async () => call())(), deadline.signal);
      if (operation === 'set' && answer === false) throw new Error('set answered false');
      breaker.succeeded();
      return answer;
    } catch (thrown) {
      throw breaker.failed(new OAuthError('store_failed', `The store's ${operation} failed`, { retryable: true, cause: thrown }));
    } finally {
      deadline.clear();
    }
  };
  return {
    get: async (key) => guarded('get', async () => store.get(key)),
    set: async (key, value, ttl) => guarded('set', async () => store.set(key, value, ttl)),
    delete: async (key) => guarded('delete', async () => store.delete(key)),
  };
}

interface Breaker {
  /** Throws while the store is being left alone. */
  check(): void;
  succeeded(): void;
  failed(error: OAuthError): OAuthError;
}

/** After each failure in a row the store is left alone twice as long: a store that hangs costs one deadline, not one per call. */
function createBreaker(clock: Clock): Breaker {
  let open: { error: OAuthError; since: Moment; pause: number } | undefined;
  return {
    check() {
      if (open !== undefined && elapsedSince(open.since, clock) < open.pause) throw open.error;
    },
    succeeded() {
      open = undefined;
    },
    failed(error) {
      const stillOpen = open !== undefined && elapsedSince(open.since, clock) < open.pause;
      if (!stillOpen) open = { error, since: momentOf(clock), pause: Math.min(open === undefined ? firstPause : open.pause * 2, longestPause) };
      return error;
    },
  };
}
