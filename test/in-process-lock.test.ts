import { beforeEach, describe, expect, test, vi } from 'vitest';
import { inProcessLock, processLock } from '../src/cache/in-process-lock.js';
import type { Lock } from '../src/cache/lock.js';
import { ManualClock } from './support/clock.js';
import { describeLock } from './support/lock-contract.js';

const LEASE = 13_000;
/** For which the fences of a name are remembered. */
const MEMORY = 600_000;

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

  test('counts the fences of each name by themselves, one after the other, though nobody had the name meanwhile', async () => {
    const fences: unknown[] = [];
    for (const [owner, name, fenceAtLeast] of [['ann', 'a', 0], ['bob', 'b', 0], ['cleo', 'a', 0], ['dan', 'a', 7], ['eve', 'a', 3], ['finn', 'b', 0]] as const) {
      fences.push(await acquire(owner, name, fenceAtLeast));
      if (owner === 'cleo') clock.advance(LEASE);
      else await lock.release(name, owner);
      clock.advance(MEMORY / 6);
    }
    expect(fences).toEqual([1, 1, 2, 8, 9, 2].map((fence) => ({ fence })));
  });

  test('forgets a name ten minutes after its lease, and goes on from the fence that is known', async () => {
    await acquire('ann', 'a', 4);
    clock.advance(LEASE + MEMORY - 1);
    expect(await acquire('bob')).toEqual({ fence: 6 });
    await lock.release('a', 'bob');
    clock.advance(MEMORY - 1);
    expect(await acquire('cleo')).toEqual({ fence: 7 });
    clock.advance(LEASE + MEMORY);
    expect(await acquire('dan', 'a', 1)).toEqual({ fence: 2 });
  });

  test('holds no more names than twice those of ten minutes, and sets no timer', async () => {
    const timers = [vi.spyOn(globalThis, 'setTimeout'), vi.spyOn(globalThis, 'setInterval')];
    const writing = vi.spyOn(Map.prototype, 'set');
    let most = 0;
    for (let minutes = 0; minutes < 100; minutes += 1) {
      for (let count = 0; count < 20; count += 1) {
        await acquire('ann', `${minutes}-${count}`);
        await lock.release(`${minutes}-${count}`, 'ann');
      }
      most = Math.max(most, (writing.mock.contexts.at(-1) as Map<string, unknown>).size);
      clock.advance(60_000);
    }
    vi.restoreAllMocks();
    expect(most).toBeLessThanOrEqual(2 * 20 * (MEMORY / 60_000 + 1));
    for (const timer of timers) expect(timer).not.toHaveBeenCalled();
  });
});

describeLock('the lock within a process keeps what every lock promises', () => [processLock, processLock]);
