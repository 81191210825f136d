import { keepAlive } from '../deadline.js';
import { OAuthError } from '../errors.js';
import { Turn, type Lease, type TurnOptions, type Wanted } from './turn.js';

/** Does one thing at a time under one name, over all processes that share the lock. */
export interface Exclusive {
  /**
   * Waits its turn. Rejects with `store_failed`, retryable, if the lock can't be had; else as `work` does.
   * @param meanwhile asked between two tries: what somebody else has brought, if that makes one's own work needless
   */
  run<T>(wanted: Wanted, work: (lease: Lease) => Promise<T>, meanwhile?: () => Promise<T | undefined>): Promise<T>;
  /** The same, but gives undefined if somebody else has the lock for longer than the patience lasts: then nothing is done. */
  runInTime<T>(wanted: Wanted, work: (lease: Lease) => Promise<T>, meanwhile?: () => Promise<T | undefined>): Promise<T | undefined>;
  /** The same, unless somebody is at it already, here or elsewhere: then nothing is done, and it gives undefined. */
  runIfFree<T>(wanted: Wanted, work: (lease: Lease) => Promise<T>): Promise<T | undefined>;
  /** Whether something is under way in this process. */
  isBusy(name: string): boolean;
  /** Resolves when all that is under way is done, locks released. */
  settled(): Promise<void>;
}

/** Beyond its lease nobody can hold a lock: who waits longer than that, and somewhat, has no luck. */
const patienceBeyondLease = 2_000;

/** The last in line for a name. */
interface Line {
  /** False once its work is done and only the lock is still to be released. */
  isAtWork: boolean;
  readonly turn: Promise<void>;
}

type Outcome<T> = { readonly done: T } | undefined;

/**
 * Invariants:
 *
 * - Within the process who wants the same name waits in line, without asking the lock.
 * - A lock that was acquired is released, also one whose answer came too late or was lost, unless its holder leaves it to its lease.
 * - Work under way keeps the process alive, unless it may be cut short.
 */
export function createExclusive(options: TurnOptions): Exclusive {
  const lines = new Map<string, Line>();

  /** Undefined if the lock is somebody else's for longer than the patience lasts. */
  const inLine = async <T>(wanted: Wanted, work: (lease: Lease) => Promise<T>, meanwhile?: () => Promise<T | undefined>): Promise<Outcome<T>> => {
    const { name, mayBeCutShort = false, renewedLeaseMs: leaseMs = options.leaseMs, patience = leaseMs + patienceBeyondLease } = wanted;
    const before = lines.get(name)?.turn;
    const done = mayBeCutShort ? undefined : keepAlive();
    const turn = new Turn(wanted, options);
    const answer = (async (): Promise<Outcome<T>> => {
      await before;
      const lease = await turn.acquire(patience, meanwhile);
      if (lease === undefined || 'instead' in lease) return lease && { done: lease.instead };
      return { done: await turn.working(async () => work(lease)) };
    })();
    // The answer is handed out before the lock is released; the next in line waits for both.
    const line: Line = {
      isAtWork: true,
      turn: answer.catch(() => undefined).then(async () => {
        line.isAtWork = false;
        await turn.end();
        done?.();
        if (lines.get(name) === line) lines.delete(name);
      }),
    };
    lines.set(name, line);
    return answer;
  };

  return {
    async run(wanted, work, meanwhile) {
      const outcome = await inLine(wanted, work, meanwhile);
      if (outcome === undefined) throw new OAuthError('store_failed', 'The lock is held by somebody else, and was not free in time', { retryable: true });
      return outcome.done;
    },
    runInTime: async (wanted, work, meanwhile) => (await inLine(wanted, work, meanwhile))?.done,
    runIfFree: async (wanted, work) => (lines.get(wanted.name)?.isAtWork === true ? undefined : (await inLine({ ...wanted, patience: 0 }, work))?.done),
    isBusy: (name) => lines.has(name),
    async settled() {
      while (lines.size > 0) await Promise.all([...lines.values()].map(({ turn }) => turn));
    },
  };
}
