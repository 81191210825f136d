import { elapsedSince, momentOf, systemClock, type Clock, type Moment } from '../clock.js';
import type { Lock } from './lock.js';

interface Holding {
  readonly owner: string;
  readonly fence: number;
  readonly leaseMs: number;
  readonly since: Moment;
}

/** The lock of a single process. It remembers nothing of names that nobody holds: all fences come from one counter, so that those of each name grow. */
export function inProcessLock(clock: Clock): Lock {
  const holdings = new Map<string, Holding>();
  let lastFence = 0;
  const remaining = ({ leaseMs, since }: Holding): number => leaseMs - elapsedSince(since, clock);
  const current = (name: string): Holding | undefined => {
    const holding = holdings.get(name);
    return holding !== undefined && remaining(holding) > 0 ? holding : undefined;
  };

  return {
    async acquire(name, owner, leaseMs, fenceAtLeast) {
      const holding = current(name);
      if (holding !== undefined) return Promise.resolve(holding.owner === owner ? { fence: holding.fence } : { busy: remaining(holding) });
      const fence = Math.max(lastFence, fenceAtLeast) + 1;
      lastFence = fence;
      holdings.set(name, { owner, fence, leaseMs, since: momentOf(clock) });
      return Promise.resolve({ fence });
    },
    async renew(name, owner, leaseMs) {
      const holding = current(name);
      if (holding?.owner !== owner) return Promise.resolve(false);
      holdings.set(name, { ...holding, leaseMs, since: momentOf(clock) });
      return Promise.resolve(true);
    },
    async release(name, owner) {
      if (holdings.get(name)?.owner === owner) holdings.delete(name);
      return Promise.resolve();
    },
  };
}

/** One for the whole process, so that all its managers of one client and one store share it, whoever made them. */
export const processLock: Lock = inProcessLock(systemClock);
