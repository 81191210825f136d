import { beforeEach, describe, expect, test } from 'vitest';
import { inProcessLock } from '../src/cache/in-process-lock.js';
import type { Lock } from '../src/cache/lock.js';
import { ManualClock } from './support/clock.js';

const LEASE = 13_000;

let clock: ManualClock;
let lock: Lock;

beforeEach(() => {
  clock = new ManualClock();
  lock = inProcessLock(clock);
});

async function acquire(owner: string, name = 'a', fenceAtLeast = 0): Promise<{ fence: number } | { busy: number }> {
  return lock.acquire(name, owner, LEASE, fenceAtLeast);
}

describe('the lock within a process', () => {
  test('has one owner at a time, and says how long its lease lasts', async () => {
    expect(await acquire('ann')).toEqual({ fence: 1 });
    expect(await acquire('bob')).toEqual({ busy: LEASE });
    clock.advance(3_000);
    expect(await acquire('bob')).toEqual({ busy: 10_000 });
    await lock.release('a', 'ann');
    expect(await acquire('bob')).toEqual({ fence: 2 });
  });

  test('gives the same fence again to who has it', async () => {
    expect([await acquire('ann'), await acquire('ann')]).toEqual([{ fence: 1 }, { fence: 1 }]);
    expect(await acquire('bob')).toEqual({ busy: LEASE });
  });

  test('is free when the lease has run out, and not a millisecond before', async () => {
    await acquire('ann');
    clock.advance(LEASE - 1);
    expect(await acquire('bob')).toEqual({ busy: 1 });
    clock.advance(1);
    expect(await acquire('bob')).toEqual({ fence: 2 });
  });

  test('M3 a machine that slept has lost its leases, though its monotonic clock stood still', async () => {
    await acquire('ann');
    clock.suspend(LEASE);
    expect(await acquire('bob')).toEqual({ fence: 2 });
  });

  test('renews for its owner only, while the lease lasts', async () => {
    await acquire('ann');
    expect(await lock.renew('a', 'bob', LEASE)).toBe(false);
    clock.advance(LEASE - 1);
    expect(await lock.renew('a', 'ann', LEASE)).toBe(true);
    clock.advance(LEASE - 1);
    expect(await acquire('bob')).toEqual({ busy: 1 });
    clock.advance(1);
    expect(await lock.renew('a', 'ann', LEASE)).toBe(false);
    expect(await lock.renew('b', 'ann', LEASE)).toBe(false);
  });

  test('M3 a late release doesn\'t release the lease of who came after', async () => {
    await acquire('ann');
    clock.advance(LEASE);
    await acquire('bob');
    await lock.release('a', 'ann');
    expect(await acquire('cleo')).toEqual({ busy: LEASE });
    await lock.release('b', 'bob');
    expect(await acquire('cleo')).toEqual({ busy: LEASE });
  });

  test('knows names apart', async () => {
    await acquire('ann', 'a');
    expect(await acquire('bob', 'b')).toMatchObject({ fence: expect.any(Number) as number });
    await lock.release('b', 'bob');
    expect(await acquire('bob', 'a')).toEqual({ busy: LEASE });
  });

  test('gives each owner of a name a fence above the last, and above the one that is known, also where nobody had the name meanwhile', async () => {
    const fences: number[] = [];
    for (const [owner, fenceAtLeast] of [['ann', 0], ['bob', 0], ['cleo', 7], ['dan', 3], ['eve', 0]] as const) {
      const answer = await acquire(owner, 'a', fenceAtLeast);
      if (!('fence' in answer)) throw new Error('it should be free');
      expect(answer.fence).toBeGreaterThan(fenceAtLeast);
      fences.push(answer.fence);
      if (owner === 'bob') clock.advance(LEASE);
      else await lock.release('a', owner);
    }
    expect(fences).toEqual([...new Set(fences)].sort((a, b) => a - b));
  });
});
