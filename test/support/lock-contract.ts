import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Lock } from 'grantkeeper';
import { createExclusive, type Exclusive } from '../../src/cache/exclusive.js';
import { createGuard } from '../../src/cache/guard.js';
import { systemClock } from '../../src/clock.js';
import { eventually } from './eventually.js';

/** So long that no test sees its end. */
export const LEASE = 60_000;
/** One that a test waits for. */
const SHORT = 30;

const CONTENDERS = 200;

/** A name that no other test has. */
export function newName(): string {
  return `grantkeeper:session:${randomBytes(32).toString('base64url')}`;
}

/** The lock as the library uses it, with what it adds: patience, deadlines, late answers. */
export function exclusiveBy(lock: Lock, { timeout = 5_000 }: { timeout?: number } = {}): Exclusive {
  return createExclusive({ lock, guard: createGuard('The lock', { timeout, clock: systemClock }), leaseMs: 13_000 });
}

/** The fence that `owner` gets as soon as nobody else has the lock. */
export async function fenceOnceFree(lock: Lock, name: string, owner: string, { lease = LEASE, fenceAtLeast = 0 }: { lease?: number; fenceAtLeast?: number } = {}): Promise<number> {
  return eventually(async () => {
    const answer = await lock.acquire(name, owner, lease, fenceAtLeast);
    if (!('fence' in answer)) throw new Error(`${owner} has not got the lock: it is busy for ${answer.busy} ms`);
    return answer.fence;
  });
}

/** What every lock promises. `locks` gives the one lock as two processes have it, each with a connection of its own. */
export function describeLock(title: string, locks: () => readonly [Lock, Lock]): void {
  describe(title, () => {
    let here: Lock;
    let there: Lock;
    let name: string;

    beforeEach(() => {
      [here, there] = locks();
      name = newName();
    });

    test('has one owner at a time, and says how long its lease lasts', async () => {
      expect(await here.acquire(name, 'ann', LEASE, 0)).toEqual({ fence: 1 });
      for (const lock of [here, there]) {
        const answer = await lock.acquire(name, 'bob', SHORT, 0);
        if (!('busy' in answer)) throw new Error('it should be busy');
        expect(answer.busy).toBeGreaterThan(SHORT);
        expect(answer.busy).toBeLessThanOrEqual(LEASE);
      }
      await here.release(name, 'ann');
      expect(await there.acquire(name, 'bob', LEASE, 0)).toEqual({ fence: 2 });
      expect(await here.acquire(name, 'ann', LEASE, 0)).toEqual({ busy: expect.any(Number) as number });
    });

    test('of all who ask at once one gets it', async () => {
      const answers = await Promise.all(Array.from({ length: 20 }, async (_, index) => (index % 2 === 0 ? here : there).acquire(name, `owner ${index}`, LEASE, 0)));
      expect(answers.filter((answer) => 'fence' in answer)).toEqual([{ fence: 1 }]);
    });

    test('knows names apart', async () => {
      await here.acquire(name, 'ann', LEASE, 0);
      const other = newName();
      expect(await there.acquire(other, 'bob', LEASE, 0)).toEqual({ fence: 1 });
      await there.release(other, 'bob');
      expect(await there.acquire(name, 'bob', LEASE, 0)).toMatchObject({ busy: expect.any(Number) as number });
    });

    test('fences are consecutive, above the last and above the one that is known, whoever asks', async () => {
      const fences: number[] = [];
      for (const [owner, lock, fenceAtLeast] of [['ann', here, 0], ['bob', there, 1], ['ann', here, 0], ['cleo', there, 40], ['dan', here, 3], ['eve', there, 42]] as const) {
        const answer = await lock.acquire(name, owner, LEASE, fenceAtLeast);
        if ('fence' in answer) fences.push(answer.fence);
        await lock.release(name, owner);
      }
      expect(fences).toEqual([1, 2, 3, 41, 42, 43]);
    });

    test('fences go on behind a lease that ran out', async () => {
      await here.acquire(name, 'ann', 1, 7);
      expect(await fenceOnceFree(there, name, 'bob')).toBe(9);
    });

    test('gives the same fence again to who has it, and the whole lease: an answer may have been lost', async () => {
      expect(await here.acquire(name, 'ann', LEASE / 2, 0)).toEqual({ fence: 1 });
      expect(await there.acquire(name, 'ann', LEASE, 0)).toEqual({ fence: 1 });
      expect(await busyMs(there)).toBeGreaterThan(LEASE / 2);
    });

    test('renews for its owner only, while the lease lasts', async () => {
      await here.acquire(name, 'ann', LEASE / 2, 0);
      expect(await there.renew(name, 'bob', 1)).toBe(false);
      expect(await busyMs(there)).toBeGreaterThan(SHORT);
      expect(await there.renew(name, 'ann', LEASE)).toBe(true);
      expect(await busyMs(there)).toBeGreaterThan(LEASE / 2);
      expect(await here.renew(name, 'ann', 1)).toBe(true);
      await eventually(async () => !(await here.renew(name, 'ann', 1)));
      expect(await fenceOnceFree(there, name, 'bob')).toBe(2);
      expect(await here.renew(name, 'ann', LEASE)).toBe(false);
      expect(await here.renew(newName(), 'ann', LEASE)).toBe(false);
    });

    test('takes a lease of fractions of a millisecond', async () => {
      await here.acquire(name, 'ann', 12_345.678, 0);
      expect(await here.renew(name, 'ann', 23_456.789)).toBe(true);
      expect(await busyMs(there)).toBeGreaterThan(SHORT);
    });

    test('M3 a lease that ran out while its owner slept: its late release doesn\'t release the new owner\'s, nor can it renew', async () => {
      await here.acquire(name, 'sleeper', SHORT, 0);
      expect(await fenceOnceFree(there, name, 'bob')).toBe(2);
      await here.release(name, 'sleeper');
      expect(await here.renew(name, 'sleeper', LEASE)).toBe(false);
      expect(await busyMs(here)).toBeGreaterThan(SHORT);
      await there.release(name, 'bob');
      await here.release(name, 'sleeper');
      expect(await fenceOnceFree(here, name, 'cleo')).toBe(3);
    });

    test('a release of what nobody has, or twice, does nothing', async () => {
      await here.release(name, 'ann');
      await here.acquire(name, 'ann', LEASE, 0);
      await here.release(name, 'ann');
      await here.release(name, 'ann');
      expect(await there.acquire(name, 'bob', LEASE, 0)).toEqual({ fence: 2 });
    });

    test(`M1 ${CONTENDERS} that wait for it at once all get their turn before their patience ends, one at a time, each with the next fence`, async () => {
      let holders = 0;
      let most = 0;
      const fences: number[] = [];
      await Promise.all(Array.from({ length: CONTENDERS }, async (_, index) => exclusiveBy(index % 2 === 0 ? here : there).run({ name, fenceAtLeast: 0 }, async ({ fence }) => {
        holders += 1;
        most = Math.max(most, holders);
        fences.push(fence);
        await there.acquire(newName(), 'somebody', 1, 0);
        holders -= 1;
      })));
      expect(most).toBe(1);
      expect(fences).toEqual(Array.from({ length: CONTENDERS }, (_, index) => index + 1));
    }, 40_000);

    /** How long the lock is somebody else's. */
    async function busyMs(lock: Lock): Promise<number> {
      const answer = await lock.acquire(name, 'who asks', 1, 0);
      return 'busy' in answer ? answer.busy : 0;
    }
  });
}
