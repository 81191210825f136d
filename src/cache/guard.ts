import type { Clock } from '../clock.js';
import { deadlineIn, orAbort } from '../deadline.js';
import { OAuthError, systemReason } from '../errors.js';
import { Pause } from './pause.js';

export interface GuardOptions {
  /** Milliseconds that one call may take. */
  readonly timeout: number;
  readonly clock: Clock;
}

export interface GuardedCall {
  /** For what must not be left undone: it isn't put off by a pause, and is tried once more if it fails in time. @default false */
  readonly insists?: boolean;
}

export type Guard = <T>(operation: string, call: () => Promise<T>, options?: GuardedCall) => Promise<T>;

/**
 * Calls something of the user's that may hang, in a way that ends: by its answer, its deadline, or at once while it's left alone after a failure,
 * twice as long after each in a row. So a server that hangs costs one deadline, not one per call.
 * Rejects with an `OAuthError` of code `store_failed`; while the pause lasts, with the very error that began it.
 * @param what begins the messages, e.g. `The store`
 */
export function createGuard(what: string, { timeout, clock }: GuardOptions): Guard {
  const pause = new Pause(500, 4_000);
  let pausedBy: OAuthError | undefined;

  return async (operation, call, { insists = false } = {}) => {
    if (!insists && pausedBy !== undefined && !pause.isOver(clock)) throw pausedBy;
    const { signal, clear } = deadlineIn(timeout, `no answer within ${timeout} ms`);
    const attempt = async (): ReturnType<typeof call> => orAbort((async () => call())(), signal);
    try {
      const answer = await attempt().catch(async (thrown: unknown) => {
        if (!insists || signal.aborted) throw thrown;
        return attempt();
      });
      pause.reset();
      return answer;
    } catch (thrown) {
      const failure = failureOf(`${what}'s ${operation}`, thrown);
      // Calls that were under way together fail together, and count as one.
      if (pause.isOver(clock)) {
        pausedBy = failure;
        pause.begin(clock);
      }
      throw failure;
    } finally {
      clear();
    }
  };
}

function failureOf(call: string, thrown: unknown): OAuthError {
  const reason = thrown instanceof OAuthError ? thrown.message : systemReason(thrown);
  return new OAuthError('store_failed', `${call} failed${reason === undefined ? '' : `: ${reason}`}`, { retryable: true, cause: thrown });
}
