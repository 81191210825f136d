import type { Clock } from '../clock.js';
import { deadlineIn, orAbort } from '../deadline.js';
import { OAuthError, systemReason } from '../errors.js';
import type { KeyvLike } from './keyv-like.js';
import { Pause } from './pause.js';

export interface GuardOptions {
  /** Milliseconds that one call may take. */
  readonly timeout: number;
  readonly clock: Clock;
}

/**
 * A store whose every call ends: by its answer, its deadline, or at once while the store is left alone after a failure, twice as long after each
 * in a row. So a store that hangs costs one deadline, not one per call.
 * Rejects with an `OAuthError` of code `store_failed`; while the pause lasts, with the very error that began it.
 */
export function guardedStore(store: KeyvLike, { timeout, clock }: GuardOptions): KeyvLike {
  const pause = new Pause(500, 4_000);
  let pausedBy: OAuthError | undefined;

  const guarded = async <T>(operation: keyof KeyvLike, call: () => Promise<T>): Promise<T> => {
    if (pausedBy !== undefined && !pause.isOver(clock)) throw pausedBy;
    const deadline = deadlineIn(timeout, `no answer within ${timeout} ms`);
    try {
      const answer = await orAbort((async () => call())(), deadline.signal);
      if (operation === 'set' && answer === false) throw new OAuthError('store_failed', 'it answered false');
      pause.reset();
      return answer;
    } catch (thrown) {
      const failure = storeFailure(operation, thrown);
      // Calls that were under way together fail together, and count as one.
      if (pause.isOver(clock)) {
        pausedBy = failure;
        pause.begin(clock);
      }
      throw failure;
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

function storeFailure(operation: keyof KeyvLike, thrown: unknown): OAuthError {
  const reason = thrown instanceof OAuthError ? thrown.message : systemReason(thrown);
  return new OAuthError('store_failed', `The store's ${operation} failed${reason === undefined ? '' : `: ${reason}`}`, { retryable: true, cause: thrown });
}
