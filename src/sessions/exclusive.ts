import { randomBytes } from 'node:crypto';
import type { Guard } from '../cache/guard.js';
import type { Lock } from '../cache/lock.js';
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
}

export interface Wanted {
  readonly name: string;
  /** The highest fence known. */
  readonly fenceAtLeast: number;
  /** Milliseconds to wait for a lock that somebody else has. @default the lease and two seconds */
  readonly patience?: number;
}

/** Does one thing at a time under one name, over all processes that share the lock. */
export interface Exclusive {
  /** Rejects with `store_failed`, retryable, if the lock can't be had; else as `work` does. */
  run<T>(wanted: Wanted, work: (lease: Lease) => Promise<T>): Promise<T>;
  /** Whether something is under way in this process. */
  isBusy(name: string): boolean;
  /** Resolves when all that is under way is done, locks released. */
  settled(): Promise<void>;
}

const longestPoll = 100;

/**
 * Invariants:
 *
 * - Within the process who wants the same name waits in line, without asking the lock.
 * - A lock that was acquired is released, also one whose answer came too late to be used.
 * - Work under way keeps the process alive: a refresh token may be on its way.
 */
export function createExclusive(options: ExclusiveOptions): Exclusive {
  const lines = new Map<string, Promise<unknown>>();
  return {
    async run(wanted, work) {
      const { name } = wanted;
      const before = lines.get(name);
      const done = keepAlive();
      // The answer is handed out before the lock is released; the next in line waits for both.
      let release = async (): Promise<void> => Promise.resolve();
      const answer = (async () => {
        await before;
        const owner = randomBytes(16).toString('base64url');
        const lease = await acquired(wanted, owner, options);
        release = async () => options.guard('release', async () => options.lock.release(name, owner)).catch(() => undefined);
        return work(lease);
      })();
      const turn = answer.then(async () => release(), async () => release()).finally(() => {
        done();
        if (lines.get(name) === turn) lines.delete(name);
      });
      lines.set(name, turn);
      return answer;
    },
    isBusy: (name) => lines.has(name),
    async settled() {
      await Promise.all(lines.values());
    },
  };
}

async function acquired({ name, fenceAtLeast, patience }: Wanted, owner: string, { lock, guard, leaseMs }: ExclusiveOptions): Promise<Lease> {
  const gaveUp = performance.now() + (patience ?? leaseMs + 2_000);
  for (;;) {
    let asked = performance.now();
    const answer = await acquire(name, owner, fenceAtLeast, { lock, guard, leaseMs });
    if ('fence' in answer) {
      return {
        fence: answer.fence,
        remaining: () => asked + leaseMs - performance.now(),
        async renew() {
          const again = performance.now();
          const isOurs = await guard('renew', async () => lock.renew(name, owner, leaseMs)).catch(() => false);
          if (isOurs) asked = again;
          return isOurs;
        },
      };
    }
    const left = gaveUp - performance.now();
    if (left <= 0) throw new OAuthError('store_failed', 'The lock of the session is held by somebody else, and was not free in time', { retryable: true });
    await sleep(Math.min(left, (0.5 + Math.random() / 2) * longestPoll));
  }
}

async function acquire(name: string, owner: string, fenceAtLeast: number, { lock, guard, leaseMs }: ExclusiveOptions): Promise<Awaited<ReturnType<Lock['acquire']>>> {
  let inTime = true;
  try {
    return await guard('acquire', async () => {
      const answer = await lock.acquire(name, owner, leaseMs, fenceAtLeast);
      // Clients run queued commands later: nobody would be there to use it.
      if (!inTime) await lock.release(name, owner);
      return answer;
    });
  } catch (thrown) {
    inTime = false;
    throw thrown;
  }
}
