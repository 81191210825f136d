import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createRetryBudget } from '../src/retry/retry-budget.js';
import { retryAfterOf } from '../src/retry/retry-after.js';
import { pauseBefore, withRetries, type RetryContext } from '../src/retry/with-retries.js';
import { startAuthorizationServer } from './support/authorization-server.js';
import { ManualClock } from './support/clock.js';
import { failureOf } from './support/failure.js';
import { machineClient } from './support/machine-client.js';

const policy = { limit: 2, minDelay: 200, maxDelay: 5_000, maxRetryAfter: 60_000 };

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe('T3 full jitter', () => {
  test.each([
    // after attempt, the longest pause
    [1, 200],
    [2, 400],
    [3, 800],
    [5, 3_200],
    [6, 5_000],
    [60, 5_000],
    [5_000, 5_000],
  ])('T3 after attempt %i the pause is anything from 0 to %i ms', (attempt, longest) => {
    const random = vi.spyOn(Math, 'random');
    for (const part of [0, 0.25, 0.5, 0.999]) {
      random.mockReturnValue(part);
      expect(pauseBefore(attempt, undefined, policy)).toBeCloseTo(part * longest, 6);
    }
  });

  test('T3 two clients that failed together do not come back together', () => {
    const pauses = new Set(Array.from({ length: 100 }, () => pauseBefore(3, undefined, policy)));
    expect(pauses.size).toBeGreaterThan(90);
  });

  test.each([
    [0, 0],
    [1_999, 1_999],
    [60_000, 60_000],
    [60_001, 60_000],
    [999_999_000, 60_000],
    [Number.POSITIVE_INFINITY, 60_000],
  ])('T4 Retry-After of %i ms: at least %i ms', (retryAfter, pause) => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    expect(pauseBefore(1, retryAfter, policy)).toBe(pause);
  });

  test('T4 a Retry-After that is shorter than the pause does not shorten it', () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    expect(pauseBefore(3, 100, policy)).toBe(400);
  });
});

describe('T4 reading Retry-After', () => {
  const now = Date.UTC(2026, 0, 1, 12);

  test.each<[string, number | undefined]>([
    ['0', 0],
    ['2', 2_000],
    [' 2 ', 2_000],
    ['120', 120_000],
    ['999999', 999_999_000],
    ['Thu, 01 Jan 2026 12:00:30 GMT', 30_000],
    ['Thursday, 01-Jan-26 12:00:30 GMT', 30_000],
    ['Thu Jan  1 12:00:30 2026 GMT', 30_000],
    ['Thu, 01 Jan 2026 11:59:59 GMT', 0],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
    ['', undefined],
    ['soon', undefined],
    ['in 5 minutes', undefined],
    ['soon 5', undefined],
    ['-1', undefined],
    ['2.5', undefined],
    ['1e3', undefined],
    ['0x10', undefined],
    ['2s', undefined],
  ])('T4 %j', (value, expected) => {
    expect(retryAfterOf(new Headers({ 'retry-after': value }), now)).toBe(expected);
  });

  test('T4 no header', () => {
    expect(retryAfterOf(new Headers(), now)).toBeUndefined();
  });
});

describe('T3 the attempts', () => {
  const always = (): { retryAfter?: number } => ({});
  const failing = (): ReturnType<typeof vi.fn<() => Promise<string>>> => {
    let count = 0;
    return vi.fn<() => Promise<string>>(async () => Promise.reject(new Error(`failure ${(count += 1)}`)));
  };
  const retrying = (attempt: () => Promise<string>, context: Partial<RetryContext> = {}): Promise<string> =>
    withRetries(attempt, { policy: { ...policy, minDelay: 0 }, repeatable: always, ...context });

  test('T3 a success is not repeated', async () => {
    const attempt = vi.fn(async () => Promise.resolve('ok'));
    await expect(retrying(attempt)).resolves.toBe('ok');
    expect(attempt).toHaveBeenCalledTimes(1);
  });

  test('T3 it ends with the last failure, whatever that is', async () => {
    const attempt = failing();
    await expect(retrying(attempt)).rejects.toThrow('failure 3');
    expect(attempt).toHaveBeenCalledTimes(3);
  });

  test.each<[string, unknown]>([
    ['a text', 'no error'],
    ['undefined', undefined],
    ['a TypeError that is no network error', new TypeError('x is not a function')],
    ['a DOMException', new DOMException('gone', 'AbortError')],
  ])('T3 %s is handed on as it is', async (_case, thrown) => {
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
    const attempt = vi.fn(async () => Promise.reject(thrown));
    await expect(retrying(attempt).then(() => 'resolved', (reason: unknown) => ({ reason }))).resolves.toEqual({ reason: thrown });
  });

  test('T3 what must not be repeated is not', async () => {
    const attempt = failing();
    await expect(retrying(attempt, { repeatable: () => undefined })).rejects.toThrow('failure 1');
    expect(attempt).toHaveBeenCalledTimes(1);
  });

  test('T3 each failure is judged once, and the last one not at all', async () => {
    const judged: string[] = [];
    const repeatable: RetryContext['repeatable'] = (failure) => {
      judged.push((failure as Error).message);
      return {};
    };
    await expect(retrying(failing(), { repeatable })).rejects.toThrow('failure 3');
    expect(judged).toEqual(['failure 1', 'failure 2']);
  });

  test('T3 a pause that would not end before the deadline is not begun', async () => {
    const attempt = failing();
    await expect(retrying(attempt, { repeatable: () => ({ retryAfter: 1_000 }), remaining: () => 1_000 })).rejects.toThrow('failure 1');
    expect(attempt).toHaveBeenCalledTimes(1);
  });

  test('T3 an abort ends the pause with its own reason', async () => {
    const controller = new AbortController();
    const attempt = failing();
    const outcome = retrying(attempt, { repeatable: () => ({ retryAfter: 60_000 }), signal: controller.signal });
    const rejected = expect(outcome).rejects.toBe('the caller has left');
    await Promise.resolve();
    controller.abort('the caller has left');
    await rejected;
    expect(attempt).toHaveBeenCalledTimes(1);
  });

  test('T3 between the attempts it waits as long as was drawn', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    const attempt = failing();
    const outcome = retrying(attempt, { policy });
    const rejected = expect(outcome).rejects.toThrow('failure 3');
    await vi.advanceTimersByTimeAsync(99);
    expect(attempt).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(attempt).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(199);
    expect(attempt).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(attempt).toHaveBeenCalledTimes(3);
    await rejected;
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('the retry budget', () => {
  let clock: ManualClock;

  beforeEach(() => {
    clock = new ManualClock();
  });

  const spent = (budget: ReturnType<typeof createRetryBudget>): number => {
    let count = 0;
    while (count < 1_000 && budget.withdraw()) count += 1;
    return count;
  };

  test('a quiet client has a reserve of ten', () => {
    expect(spent(createRetryBudget(clock))).toBe(10);
  });

  test('one retry for ten requests', () => {
    const budget = createRetryBudget(clock);
    spent(budget);
    // One more than ten: ten times 0.1 is a little less than 1.
    for (let request = 0; request < 11; request += 1) budget.deposit();
    expect(spent(budget)).toBe(1);
  });

  test.each([
    [999, 0],
    [1_000, 1],
    [5_000, 5],
    [3_600_000, 10],
  ])('after %i ms of quiet %i', (elapsed, expected) => {
    const budget = createRetryBudget(clock);
    spent(budget);
    clock.advance(elapsed);
    expect(spent(budget)).toBe(expected);
  });

  test('requests fill it no further than the reserve', () => {
    const budget = createRetryBudget(clock);
    for (let request = 0; request < 10_000; request += 1) budget.deposit();
    expect(spent(budget)).toBe(10);
  });

  test('a wall clock that jumps back takes nothing from it, nor does it give', () => {
    const budget = createRetryBudget(clock);
    spent(budget);
    clock.jumpWallClock(-3_600_000);
    expect(spent(budget)).toBe(0);
    clock.advance(2_000);
    expect(spent(budget)).toBe(2);
  });

  test('T3 an outage is not amplified: 100 requests cost at most a few more', async () => {
    await using server = await startAuthorizationServer();
    const { tokens } = machineClient(server);
    server.answersEvery({ status: 503 });
    await Promise.all(Array.from({ length: 100 }, async (_, index) => failureOf(tokens.clientCredentials({ scope: `s${index}` }).getToken())));
    expect(server.tokenRequests.length).toBeGreaterThan(105);
    expect(server.tokenRequests.length).toBeLessThanOrEqual(120);
  });
});
