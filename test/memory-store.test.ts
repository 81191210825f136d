import { afterEach, describe, expect, test, vi } from 'vitest';
import { memoryStore } from '../src/cache/memory-store.js';
import { ManualClock } from './support/clock.js';

const HOUR = 3_600_000;

afterEach(() => {
  vi.restoreAllMocks();
});

/** How many entries are in memory after `work`, alive or not. */
async function entriesAfter(work: () => Promise<void>): Promise<number> {
  const writing = vi.spyOn(Map.prototype, 'set');
  await work();
  const entries = writing.mock.contexts.at(-1) as Map<string, unknown>;
  writing.mockRestore();
  return entries.size;
}

describe('the store of a manager that was given none', () => {
  test('gives what was set, until it is deleted', async () => {
    const store = memoryStore(new ManualClock());
    expect(await store.get('a')).toBeUndefined();
    expect(await store.set('a', 'one')).toBe(true);
    await store.set('b', 'two');
    expect([await store.get('a'), await store.get('b')]).toEqual(['one', 'two']);
    expect([await store.delete('a'), await store.delete('a')]).toEqual([true, false]);
    expect([await store.get('a'), await store.get('b')]).toEqual([undefined, 'two']);
  });

  test('keeps an entry for its time to live, and not a millisecond longer', async () => {
    const clock = new ManualClock();
    const store = memoryStore(clock);
    await store.set('a', 'one', HOUR);
    clock.advance(HOUR - 1);
    expect(await store.get('a')).toBe('one');
    clock.advance(1);
    expect(await store.get('a')).toBeUndefined();
  });

  test('keeps one without a time to live', async () => {
    const clock = new ManualClock();
    const store = memoryStore(clock);
    await store.set('a', 'one');
    clock.advance(1_000 * 365 * 24 * HOUR);
    expect(await store.get('a')).toBe('one');
  });

  test('counts the time to live anew each time it is set', async () => {
    const clock = new ManualClock();
    const store = memoryStore(clock);
    await store.set('a', 'one', HOUR);
    clock.advance(HOUR - 1);
    await store.set('a', 'two', HOUR);
    clock.advance(HOUR - 1);
    expect(await store.get('a')).toBe('two');
    await store.set('a', 'three', 1_000);
    clock.advance(1_000);
    expect(await store.get('a')).toBeUndefined();
  });

  test('forgets expired entries that nobody asks for: what it holds is bounded by what is alive', async () => {
    const clock = new ManualClock();
    const store = memoryStore(clock);
    let most = 0;
    for (let hours = 0; hours < 20; hours += 1) {
      const size = await entriesAfter(async () => {
        for (let count = 0; count < 1_000; count += 1) await store.set(`${hours}-${count}`, 'session', HOUR);
      });
      most = Math.max(most, size);
      clock.advance(HOUR);
    }
    expect(most).toBeLessThanOrEqual(2_001);
  });

  test('forgets no entry that is alive', async () => {
    const clock = new ManualClock();
    const store = memoryStore(clock);
    for (let count = 0; count < 1_000; count += 1) await store.set(`lasting-${count}`, count, 100 * HOUR);
    for (let hours = 0; hours < 10; hours += 1) {
      for (let count = 0; count < 1_000; count += 1) await store.set(`passing-${hours}-${count}`, count, HOUR);
      clock.advance(HOUR);
    }
    for (let count = 0; count < 1_000; count += 1) expect(await store.get(`lasting-${count}`)).toBe(count);
  });

  test('sets no timer', async () => {
    const timers = [vi.spyOn(globalThis, 'setTimeout'), vi.spyOn(globalThis, 'setInterval'), vi.spyOn(globalThis, 'setImmediate')];
    const store = memoryStore(new ManualClock());
    await store.set('a', 'one', HOUR);
    await store.get('a');
    await store.delete('a');
    for (const timer of timers) expect(timer).not.toHaveBeenCalled();
  });
});
