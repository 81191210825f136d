import { elapsedSince, momentOf, systemClock, type Clock, type Moment } from '../clock.js';
import { expiringMap } from './expiring-map.js';
import type { Lock } from './lock.js';

interface Holding {
  readonly owner: string;
  readonly fence: number;
  /** 0 once it's released. */
  readonly leaseMs: number;
  readonly since: Moment;
}

/** Milliseconds for which the last fence of a name is remembered after its last lease. */
const fenceLifetime = 10 * 60_000;

/** The lock of a single process. */
export function inProcessLock(clock: Clock): Lock {
  const holdings = expiringMap<Holding>(clock);
  const remaining = ({ leaseMs, since }: Holding): number => leaseMs - elapsedSince(since, clock);
  const current = (name: string): Holding | undefined => {
    const holding = holdings.get(name);
    return holding !== undefined && remaining(holding) > 0 ? holding : undefined;
  };
  const hold = (name: string, owner: string, fence: number, leaseMs: number): void => {
    holdings.set(name, { owner, fence, leaseMs, since: momentOf(clock) }, leaseMs + fenceLifetime);
  };

  return {
    async acquire(name, owner, leaseMs, fenceAtLeast) {
      const holding = current(name);
      if (holding !== undefined && holding.owner !== owner) return Promise.resolve({ busy: remaining(holding) });
      const fence = holding?.fence ?? Math.max(holdings.get(name)?.fence ?? 0, fenceAtLeast) + 1;
      hold(name, owner, fence, leaseMs);
      return Promise.resolve({ fence });
    },
    async renew(name, owner, leaseMs) {
      const holding = current(name);
      if (holding?.owner !== owner) return Promise.resolve(false);
      hold(name, owner, holding.fence, leaseMs);
      return Promise.resolve(true);
    },
    async release(name, owner) {
      const holding = current(name);
      if (holding?.owner === owner) hold(name, owner, holding.fence, 0);
      return Promise.resolve();
    },
  };
}

/** One for the whole process, so that all its managers of one client and one store share it, whoever made them. */
export const processLock: Lock = inProcessLock(systemClock);
