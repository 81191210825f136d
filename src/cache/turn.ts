import { randomBytes } from 'node:crypto';
import { elapsedSince, momentOf, systemClock, type Clock, type Moment } from '../clock.js';
import { sleep } from '../deadline.js';
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
   * @returns what takes that back, and releases the lock if the work is done already
   */
  stayTaken(): () => Promise<void>;
}

export interface TurnOptions {
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
  /** Whether the process may end meanwhile. @default false: a refresh token may be on its way */
  readonly mayBeCutShort?: boolean;
}

/** Milliseconds between two tries for a lock that somebody else has: doubled up to the longest, and each a random part shorter, so that those who wait don't come at once. */
export const firstPoll = 10;
export const longestPoll = 100;
/** How often a renewed lease is renewed within its length, so that one lost call doesn't cost it. */
const renewalsPerLease = 3;

/** One try for the lock, under an owner of its own, and what it became. */
export class Turn {
  readonly #wanted: Wanted;
  readonly #options: TurnOptions;
  readonly #owner = randomBytes(16).toString('base64url');
  readonly #leaseMs: number;
  #isAcquired = false;
  /** Beyond the end of its work. */
  #staysTaken = false;
  #isOver = false;

  constructor(wanted: Wanted, options: TurnOptions) {
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
    this.#isOver = true;
    if (this.#isAcquired && !this.#staysTaken) await this.#release();
  }

  #leaseSince(asked: Moment, fence: number, clock: Clock): Lease {
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
      stayTaken: () => {
        this.#staysTaken = true;
        return async () => {
          this.#staysTaken = false;
          // Not in the midst of the work.
          if (this.#isOver) await this.#release();
        };
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
          assertAnswer(answer);
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

/** What a lock of the user's own may give instead would be written into records, or taken for a lock that is busy. */
function assertAnswer(answer: unknown): void {
  const { fence, busy } = Object(answer) as { fence?: unknown; busy?: unknown };
  if (Number.isSafeInteger(fence) || typeof busy === 'number') return;
  throw new OAuthError('store_failed', 'it answered neither `fence`, a whole number, nor `busy`');
}
