import { randomBytes } from 'node:crypto';
import type { Guard } from '../cache/guard.js';
import type { Lock } from '../cache/lock.js';
import { elapsedSince, momentOf, systemClock, type Clock } from '../clock.js';
import { keepAlive, sleep } from '../deadline.js';
import { OAuthError } from '../errors.js';

/** The time in which its holder alone may write. It's measured here from before it was asked for, so it never ends later than the lock's. */
export interface Lease {
  readonly fence: number;
  /** Milliseconds. */
  remaining(): number;
  /** Asks for the whole lease anew; false if somebody else may have the lock by now. */
  renew(): Promise<boolean>;
}

export interface ExclusiveOptions {
  readonly lock: Lock;
  readonly guard: Guard;
  /** Milliseconds: longer than what is done in it may take. */
  readonly leaseMs: number;
  /** What leases are measured by. @default the system's, as locks are */
  readonly clock?: Clock;
}

export interface Wanted {
  readonly name: string;
  /** The highest fence known. */
  readonly fenceAtLeast: number;
  /** Milliseconds to wait for a lock that somebody else has. @default the lease, and somewhat more */
  readonly patience?: number;
}

/** Does one thing at a time under one name, over all processes that share the lock. */
export interface Exclusive {
  /** Waits its turn. Rejects with `store_failed`, retryable, if the lock can't be had; else as `work` does. */
  run<T>(wanted: Wanted, work: (lease: Lease) => Promise<T>): Promise<T>;
  /** The same, unless somebody is at it already, here or elsewhere: then nothing is done, and it gives undefined. */
  runIfFree<T>(wanted: Wanted, work: (lease: Lease) => Promise<T>): Promise<T | undefined>;
  /** Whether something is under way in this process. */
  isBusy(name: string): boolean;
  /** Resolves when all that is under way is done, locks released. */
  settled(): Promise<void>;
}

const longestPoll = 100;
/** Beyond its lease nobody can hold a lock: who waits longer than that, and somewhat, has no luck. */
const patienceBeyondLease = 2_000;

/** The last in line for a name. */
interface Line {
  /** False once its work is done and only the lock is still to be released. */
  isAtWork: boolean;
  readonly turn: Promise<void>;
}

/**
 * Invariants:
 *
 * - Within the process who wants the same name waits in line, without asking the lock.
 * - A lock that was acquired is released, also one whose answer came too late or was lost.
 * - Work under way keeps the process alive: a refresh token may be on its way.
 */
export function createExclusive(options: ExclusiveOptions): Exclusive {
  const { lock, guard, leaseMs } = options;
  const lines = new Map<string, Line>();

  /** Undefined if the lock is somebody else's for longer than `patience`. */
  const inLine = async <T>(wanted: Wanted, patience: number, work: (lease: Lease) => Promise<T>): Promise<T | undefined> => {
    const { name } = wanted;
    const before = lines.get(name)?.turn;
    const done = keepAlive();
    const owner = randomBytes(16).toString('base64url');
    let release = async (): Promise<void> => Promise.resolve();
    const answer = (async () => {
      await before;
      const lease = await acquired(wanted, owner, patience, options);
      if (lease === undefined) return undefined;
      release = async () => guard('release', async () => lock.release(name, owner), { insists: true }).catch(() => undefined);
      return work(lease);
    })();
    // The answer is handed out before the lock is released; the next in line waits for both.
    const line: Line = {
      isAtWork: true,
      turn: answer.catch(() => undefined).then(async () => {
        line.isAtWork = false;
        await release();
        done();
        if (lines.get(name) === line) lines.delete(name);
      }),
    };
    lines.set(name, line);
    return answer;
  };

  return {
    async run(wanted, work) {
      const done = await inLine(wanted, wanted.patience ?? leaseMs + patienceBeyondLease, async (lease) => ({ outcome: await work(lease) }));
      if (done === undefined) throw new OAuthError('store_failed', 'The lock is held by somebody else, and was not free in time', { retryable: true });
      return done.outcome;
    },
    runIfFree: async (wanted, work) => (lines.get(wanted.name)?.isAtWork === true ? undefined : inLine(wanted, 0, work)),
    isBusy: (name) => lines.has(name),
    async settled() {
      while (lines.size > 0) await Promise.all([...lines.values()].map(({ turn }) => turn));
    },
  };
}

/** Undefined if it's somebody else's for longer than `patience`. */
async function acquired(wanted: Wanted, owner: string, patience: number, options: ExclusiveOptions): Promise<Lease | undefined> {
  const { lock, guard, leaseMs, clock = systemClock } = options;
  const gaveUp = performance.now() + patience;
  for (;;) {
    let asked = momentOf(clock);
    const answer = await acquire(wanted, owner, options);
    if ('fence' in answer) {
      return {
        fence: answer.fence,
        remaining: () => leaseMs - elapsedSince(asked, clock),
        async renew() {
          const again = momentOf(clock);
          const isOurs = await guard('renew', async () => lock.renew(wanted.name, owner, leaseMs)).catch(() => false);
          if (isOurs) asked = again;
          return isOurs;
        },
      };
    }
    const left = gaveUp - performance.now();
    if (left <= 0) return undefined;
    await sleep(Math.min(left, (0.5 + Math.random() / 2) * longestPoll));
  }
}

async function acquire({ name, fenceAtLeast }: Wanted, owner: string, { lock, guard, leaseMs }: ExclusiveOptions): ReturnType<Lock['acquire']> {
  let isWaitedFor = true;
  const letGo = (): void => void (async () => lock.release(name, owner))().catch(() => undefined);
  try {
    return await guard('acquire', async () => {
      try {
        const answer = await lock.acquire(name, owner, leaseMs, fenceAtLeast);
        // Clients run queued commands later: nobody would be there to use it.
        if (!isWaitedFor) letGo();
        return answer;
      } catch (thrown) {
        // It may have been acquired all the same.
        letGo();
        throw thrown;
      }
    });
  } catch (thrown) {
    isWaitedFor = false;
    throw thrown;
  }
}
