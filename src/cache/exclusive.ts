import { randomBytes } from 'node:crypto';
import { elapsedSince, momentOf, systemClock, type Clock } from '../clock.js';
import { keepAlive, sleep } from '../deadline.js';
import { OAuthError } from '../errors.js';
import type { Guard } from './guard.js';
import type { Lock } from './lock.js';

/** The time in which its holder alone may write. It's measured here from before it was asked for, so it never ends later than the lock's. */
export interface Lease {
  readonly fence: number;
  /** Milliseconds. */
  remaining(): number;
  /** Asks for the whole lease anew; false if somebody else may have the lock by now. */
  renew(): Promise<boolean>;
  /**
   * Leaves the lock taken when the work is done, until the lease runs out.
   * @returns what releases it earlier
   */
  hold(): () => Promise<void>;
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
  /** Milliseconds of a lease that is renewed for as long as the work takes: if this process dies, others wait no longer than that. @default `leaseMs`, not renewed */
  readonly renewedLeaseMs?: number;
}

/** Does one thing at a time under one name, over all processes that share the lock. */
export interface Exclusive {
  /**
   * Waits its turn. Rejects with `store_failed`, retryable, if the lock can't be had; else as `work` does.
   * @param meanwhile asked between two tries: what somebody else has brought, if that makes one's own work needless
   */
  run<T>(wanted: Wanted, work: (lease: Lease) => Promise<T>, meanwhile?: () => Promise<T | undefined>): Promise<T>;
  /** The same, unless somebody is at it already, here or elsewhere: then nothing is done, and it gives undefined. */
  runIfFree<T>(wanted: Wanted, work: (lease: Lease) => Promise<T>): Promise<T | undefined>;
  /** Whether something is under way in this process. */
  isBusy(name: string): boolean;
  /** Resolves when all that is under way is done, locks released. */
  settled(): Promise<void>;
}

/** Milliseconds between two tries for a lock that somebody else has: doubled up to the longest, and each a random part shorter, so that those who wait don't come at once. */
const firstPoll = 10;
const longestPoll = 100;
/** Beyond its lease nobody can hold a lock: who waits longer than that, and somewhat, has no luck. */
const patienceBeyondLease = 2_000;
/** How often a renewed lease is renewed within its length, so that one lost call doesn't cost it. */
const renewalsPerLease = 3;

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
 * - Work under way keeps the process alive: a refresh token may be on its way.
 */
export function createExclusive(options: ExclusiveOptions): Exclusive {
  const lines = new Map<string, Line>();

  /** Undefined if the lock is somebody else's for longer than `patience`. */
  const inLine = async <T>(wanted: Wanted, patience: number, work: (lease: Lease) => Promise<T>, meanwhile?: () => Promise<T | undefined>): Promise<Outcome<T>> => {
    const { name } = wanted;
    const before = lines.get(name)?.turn;
    const done = keepAlive();
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
        done();
        if (lines.get(name) === line) lines.delete(name);
      }),
    };
    lines.set(name, line);
    return answer;
  };

  return {
    async run(wanted, work, meanwhile) {
      const { renewedLeaseMs: leaseMs = options.leaseMs, patience = leaseMs + patienceBeyondLease } = wanted;
      const outcome = await inLine(wanted, patience, work, meanwhile);
      if (outcome === undefined) throw new OAuthError('store_failed', 'The lock is held by somebody else, and was not free in time', { retryable: true });
      return outcome.done;
    },
    runIfFree: async (wanted, work) => (lines.get(wanted.name)?.isAtWork === true ? undefined : (await inLine(wanted, 0, work))?.done),
    isBusy: (name) => lines.has(name),
    async settled() {
      while (lines.size > 0) await Promise.all([...lines.values()].map(({ turn }) => turn));
    },
  };
}

/** One try for the lock, under an owner of its own, and what it became. */
class Turn {
  readonly #wanted: Wanted;
  readonly #options: ExclusiveOptions;
  readonly #owner = randomBytes(16).toString('base64url');
  readonly #leaseMs: number;
  #isAcquired = false;
  #isHeld = false;

  constructor(wanted: Wanted, options: ExclusiveOptions) {
    this.#wanted = wanted;
    this.#options = options;
    this.#leaseMs = wanted.renewedLeaseMs ?? options.leaseMs;
  }

  /** Undefined if the lock is somebody else's for longer than `patience`. */
  async acquire<T>(patience: number, meanwhile?: () => Promise<T | undefined>): Promise<Lease | { readonly instead: T } | undefined> {
    const { clock = systemClock } = this.#options;
    const gaveUp = performance.now() + patience;
    for (let poll = firstPoll; ; poll = Math.min(poll * 2, longestPoll)) {
      const asked = momentOf(clock);
      const answer = await this.#ask();
      if ('fence' in answer) {
        this.#isAcquired = true;
        return this.#leaseSince(asked, answer.fence, clock);
      }
      const left = gaveUp - performance.now();
      if (left <= 0) return undefined;
      await sleep(Math.min(left, (0.5 + Math.random() / 2) * poll));
      const instead = await meanwhile?.();
      if (instead !== undefined) return { instead };
    }
  }

  /** Renews the lease for as long as the work takes, where it's one to be renewed. */
  async working<T>(work: () => Promise<T>): Promise<T> {
    if (this.#wanted.renewedLeaseMs === undefined) return work();
    const timer = setInterval(() => void this.#renew(), this.#leaseMs / renewalsPerLease);
    timer.unref();
    try {
      return await work();
    } finally {
      clearInterval(timer);
    }
  }

  async end(): Promise<void> {
    if (this.#isAcquired && !this.#isHeld) await this.#release();
  }

  #leaseSince(asked: ReturnType<typeof momentOf>, fence: number, clock: Clock): Lease {
    let since = asked;
    return {
      fence,
      remaining: () => this.#leaseMs - elapsedSince(since, clock),
      renew: async () => {
        const again = momentOf(clock);
        const isOurs = await this.#renew();
        if (isOurs) since = again;
        return isOurs;
      },
      hold: () => {
        this.#isHeld = true;
        return async () => this.#release();
      },
    };
  }

  async #ask(): ReturnType<Lock['acquire']> {
    const { lock, guard } = this.#options;
    const { name, fenceAtLeast } = this.#wanted;
    let isWaitedFor = true;
    const letGo = (): void => void (async () => lock.release(name, this.#owner))().catch(() => undefined);
    try {
      return await guard('acquire', async () => {
        try {
          const answer = await lock.acquire(name, this.#owner, this.#leaseMs, fenceAtLeast);
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

  async #renew(): Promise<boolean> {
    const { lock, guard } = this.#options;
    return guard('renew', async () => lock.renew(this.#wanted.name, this.#owner, this.#leaseMs)).catch(() => false);
  }

  async #release(): Promise<void> {
    const { lock, guard } = this.#options;
    await guard('release', async () => lock.release(this.#wanted.name, this.#owner), { insists: true }).catch(() => undefined);
  }
}
