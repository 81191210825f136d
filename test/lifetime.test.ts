import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { readExpiresIn } from '../src/server/expires-in.js';
import { defaultRefreshPolicy, isExpired, mayRefresh, mustRefresh } from '../src/tokens/lifetime.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { eventually } from './support/eventually.js';
import { machineClient, requestsHaveComeIn } from './support/machine-client.js';
import { MapStore } from './support/map-store.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const TEN_YEARS = 10 * 365 * DAY;

let server: AuthorizationServer;

beforeEach(async () => {
  server = await startAuthorizationServer();
});

afterEach(async () => {
  vi.restoreAllMocks();
  await server.close();
});

describe('L5 both sides of every boundary, at one millisecond', () => {
  test.each([
    // lifetime, the last age that is served, the first that is not
    ['an hour', HOUR, HOUR - 30 * SECOND],
    ['a day: no more than 30 s', DAY, DAY - 30 * SECOND],
    ['five minutes, where a tenth is as much', 5 * MINUTE, 5 * MINUTE - 30 * SECOND],
    ['a minute: a tenth', MINUTE, MINUTE - 6 * SECOND],
    ['5 s: a tenth', 5 * SECOND, 4_500],
    ['ten years', TEN_YEARS, TEN_YEARS - 30 * SECOND],
  ])('L5 must refresh, of %s', (_lifetime, lifetime, last) => {
    expect(mustRefresh(lifetime, last, defaultRefreshPolicy)).toBe(false);
    expect(mustRefresh(lifetime, last + 1, defaultRefreshPolicy)).toBe(true);
  });

  test.each([
    ['an hour', HOUR, 0, HOUR - 5 * MINUTE],
    ['an hour, spread by half', HOUR, 0.5, HOUR - 8 * MINUTE],
    ['an hour, spread by all', HOUR, 1, HOUR - 11 * MINUTE],
    ['25 minutes, where a fifth is as much', 25 * MINUTE, 0, 20 * MINUTE],
    ['ten minutes: a fifth', 10 * MINUTE, 0, 8 * MINUTE],
    ['5 s: a fifth', 5 * SECOND, 0, 4 * SECOND],
    ['5 s, spread by all', 5 * SECOND, 1, 3_500],
    ['30 days, spread by all', 30 * DAY, 1, 27 * DAY - 5 * MINUTE],
  ])('L5 may refresh, of %s', (_lifetime, lifetime, spread, last) => {
    expect(mayRefresh(lifetime, last, defaultRefreshPolicy, spread)).toBe(false);
    expect(mayRefresh(lifetime, last + 1, defaultRefreshPolicy, spread)).toBe(true);
  });

  test('L5 expired, to the millisecond', () => {
    expect(isExpired(HOUR, HOUR - 1)).toBe(false);
    expect(isExpired(HOUR, HOUR)).toBe(true);
  });

  test('L5 with no skew a token must be refreshed when it expires, not before', () => {
    const policy = { ...defaultRefreshPolicy, expirySkew: 0 };
    expect(mustRefresh(HOUR, HOUR - 1, policy)).toBe(false);
    expect(mustRefresh(HOUR, HOUR, policy)).toBe(true);
  });

  test('L5 refreshAhead 0 turns the refresh ahead off, the spread included', () => {
    expect(mayRefresh(HOUR, HOUR - 1, { ...defaultRefreshPolicy, refreshAhead: 0 }, 1)).toBe(false);
  });

  test.each([0, 0.999])('L5 the first call in the window fetches in the background, the one before fetches nothing (random %d)', async (random) => {
    vi.spyOn(Math, 'random').mockReturnValue(random);
    const { tokens, clock } = machineClient(server);
    const source = tokens.clientCredentials();
    await source.getToken();

    clock.advance(HOUR - 5 * MINUTE - Math.round(random * 6 * MINUTE));
    expect((await source.getToken()).value).toBe('at-1');
    await requestsHaveComeIn(server);
    expect(server.tokenRequests).toHaveLength(1);

    clock.advance(1);
    expect((await source.getToken()).value).toBe('at-1');
    await server.tokenRequestArrives(2);
    await eventually(async () => (await source.getToken()).value === 'at-2');
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('L5 up to 30 s before expiry the token is served, from there on it is waited for', async () => {
    const { tokens, clock } = machineClient(server, { refreshAhead: 0 });
    const source = tokens.clientCredentials();
    await source.getToken();

    clock.advance(HOUR - 30 * SECOND);
    expect((await source.getToken()).value).toBe('at-1');
    clock.advance(1);
    expect((await source.getToken()).value).toBe('at-2');
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('L5 the options set both thresholds', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const { tokens, clock } = machineClient(server, { refreshAhead: 10 * MINUTE, expirySkew: 2 * MINUTE });
    const source = tokens.clientCredentials();
    await source.getToken();

    clock.advance(HOUR - 10 * MINUTE);
    await source.getToken();
    await requestsHaveComeIn(server);
    expect(server.tokenRequests).toHaveLength(1);

    server.answersEvery({ status: 400, json: { error: 'unsupported_grant_type' } });
    clock.advance(8 * MINUTE);
    expect((await source.getToken()).value).toBe('at-1');
    clock.advance(1);
    await expect(source.getToken()).rejects.toMatchObject({ code: 'token_request_failed' });
  });
});

describe('L1 expires_in', () => {
  test.each([
    [3600, 3600],
    ['3600', 3600],
    [' 3600 ', 3600],
    ['3600.9', 3600],
    [3599.9, 3599],
    ['1:00:00', 3600],
    ['12:34:56', 45_296],
    [0, 0],
    ['0', 0],
    [-1, -1],
    ['-1', -1],
    [0.5, 0],
    [1e308, TEN_YEARS / SECOND],
    [Number.POSITIVE_INFINITY, TEN_YEARS / SECOND],
    ['1e999', TEN_YEARS / SECOND],
    [TEN_YEARS / SECOND, TEN_YEARS / SECOND],
    [TEN_YEARS / SECOND + 1, TEN_YEARS / SECOND],
    ['3600abc', undefined],
    ['0x10', undefined],
    ['1:60:00', undefined],
    ['', undefined],
    [' ', undefined],
    [null, undefined],
    [undefined, undefined],
    [true, undefined],
    [{}, undefined],
    [[], undefined],
    [[3600], undefined],
    [Number.NaN, undefined],
  ])('L1 %j is %j seconds', (value, seconds) => {
    expect(readExpiresIn(value)).toBe(seconds);
  });

  test.each([
    ['"3600"', HOUR],
    ['3599.9', HOUR - SECOND],
    ['"1:00:00"', HOUR],
    ['1e308', TEN_YEARS],
    ['1e999', TEN_YEARS],
  ])('L1 %s gives a token that expires when the server means', async (expiresIn, lifetime) => {
    server.answersNext({ body: `{"access_token":"at","token_type":"Bearer","expires_in":${expiresIn}}` });
    const { tokens, clock } = machineClient(server);
    const source = tokens.clientCredentials();
    const token = await source.getToken();
    expect(token.expiresAt).toBe(clock.now() + lifetime);
    expect(await source.getToken()).toBe(token);
    clock.advance(lifetime);
    expect((await source.getToken()).value).toBe('at-1');
  });

  test.each(['"3600abc"', 'null', '{}', '""', 'true', '[3600]', undefined])('L1 %s counts as absent: an hour is assumed, and no time is named', async (expiresIn) => {
    const member = expiresIn === undefined ? '' : `,"expires_in":${expiresIn}`;
    server.answersNext({ body: `{"access_token":"at","token_type":"Bearer"${member}}` });
    const { tokens, clock } = machineClient(server, { refreshAhead: 0 });
    const source = tokens.clientCredentials();
    const token = await source.getToken();
    expect(token).not.toHaveProperty('expiresAt');

    clock.advance(HOUR - 30 * SECOND);
    expect(await source.getToken()).toBe(token);
    clock.advance(1);
    expect((await source.getToken()).value).toBe('at-1');
  });

  test('L1 assumedLifetime is what a token without a lifetime lives', async () => {
    server.answersEvery({ json: { access_token: 'at', token_type: 'Bearer' } });
    const { tokens, clock } = machineClient(server, { refreshAhead: 0, assumedLifetime: MINUTE });
    const source = tokens.clientCredentials();
    await source.getToken();
    clock.advance(MINUTE - 6 * SECOND);
    await source.getToken();
    expect(server.tokenRequests).toHaveLength(1);
    clock.advance(1);
    await source.getToken();
    expect(server.tokenRequests).toHaveLength(2);
  });

  test.each([0, -1, '0', 0.5])('L1 a token of %j seconds serves the callers of its flight, and nobody after them', async (expiresIn) => {
    let issued = 0;
    server.answersEvery(() => ({ json: { access_token: `short-${++issued}`, token_type: 'Bearer', expires_in: expiresIn } }));
    const store = new MapStore();
    const { tokens } = machineClient(server, { store, encryptionKeys: false });
    const source = tokens.clientCredentials();

    const together = await Promise.all(Array.from({ length: 100 }, async () => source.getToken()));
    expect(new Set(together.map(({ value }) => value))).toEqual(new Set(['short-1']));
    expect((await source.getToken()).value).toBe('short-2');
    expect(server.tokenRequests).toHaveLength(2);
    expect(store.entries).toEqual(new Map());
  });

  test('L1 a token of 0 seconds that comes ahead of time does not make every call a token request', async () => {
    const { tokens, clock, events } = machineClient(server);
    const source = tokens.clientCredentials();
    await source.getToken();
    clock.advance(HOUR - MINUTE);
    server.answersEvery({ json: { access_token: 'short', token_type: 'Bearer', expires_in: 0 } });
    for (let calls = 1; calls <= 50; calls += 1) {
      expect((await source.getToken()).value).toBe('at-1');
      if (calls === 1) await eventually(() => events.acquired.length === 2);
      await requestsHaveComeIn(server);
    }
    expect(server.tokenRequests).toHaveLength(2);
  });
});

describe('L2 traffic decides', () => {
  test('L2 a lifetime of 5 s costs about one token request per lifetime', async () => {
    server.expiresIn = 5;
    const { tokens, clock, events } = machineClient(server);
    const source = tokens.clientCredentials();
    const seconds = 100;
    for (let step = 0; step < seconds * 10; step += 1) {
      const token = await source.getToken();
      expect(token.expiresAt).toBeGreaterThan(clock.now());
      clock.advance(100);
      await nextTurn();
    }
    // From 3.5 s on, at the latest at 4.5 s.
    await eventually(() => events.acquired.length === server.tokenRequests.length);
    expect(server.tokenRequests.length).toBeGreaterThanOrEqual(seconds / 5);
    expect(server.tokenRequests.length).toBeLessThanOrEqual(Math.ceil(seconds / 3.4));
  });

  test('L2 30 days cost one token request, and no timer', async () => {
    server.expiresIn = 30 * 24 * 60 * 60;
    const timeout = vi.spyOn(globalThis, 'setTimeout');
    const interval = vi.spyOn(globalThis, 'setInterval');
    const { tokens, clock } = machineClient(server);
    const source = tokens.clientCredentials();
    await source.getToken();
    timeout.mockClear();
    interval.mockClear();
    for (let day = 0; day < 26; day += 1) {
      clock.advance(DAY);
      expect((await source.getToken()).value).toBe('at-1');
    }
    expect(server.tokenRequests).toHaveLength(1);
    expect(timeout).not.toHaveBeenCalled();
    expect(interval).not.toHaveBeenCalled();
  });

  test('L2 without traffic nothing happens at expiry', async () => {
    const { tokens, clock } = machineClient(server);
    await tokens.clientCredentials().getToken();
    clock.advance(10 * DAY);
    await requestsHaveComeIn(server);
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('L2 replicas spread their refresh over a tenth of the lifetime', async () => {
    const starts: number[] = [];
    for (let replica = 0; replica < 20; replica += 1) {
      const { tokens, clock } = machineClient(server);
      const source = tokens.clientCredentials();
      await source.getToken();
      const before = server.tokenRequests.length;
      const bornAt = clock.now();
      clock.advance(HOUR - 11 * MINUTE);
      while (server.tokenRequests.length === before && clock.now() - bornAt < HOUR) {
        clock.advance(5 * SECOND);
        await source.getToken();
        await nextTurn();
        await nextTurn();
      }
      starts.push(clock.now() - bornAt);
      await tokens.close();
    }
    expect(Math.max(...starts) - Math.min(...starts)).toBeGreaterThan(MINUTE);
  });
});

describe('L3 the lifetime counts from the sending', () => {
  test('L3 a response that took 20 s: its lifetime counts from when the request was sent', async () => {
    const { tokens, clock } = machineClient(server, { refreshAhead: 0 });
    const source = tokens.clientCredentials();
    const sentAt = clock.now();
    const hold = server.hold();
    const waiting = source.getToken();
    await hold.arrived;
    clock.advance(20 * SECOND);
    hold.release();
    expect((await waiting).expiresAt).toBe(sentAt + HOUR);

    clock.advance(HOUR - 50 * SECOND);
    expect((await source.getToken()).value).toBe('at-1');
    clock.advance(1);
    expect((await source.getToken()).value).toBe('at-2');
  });

  test('L3 a response that took longer than its token lives is not served twice', async () => {
    server.expiresIn = 10;
    const { tokens, clock } = machineClient(server);
    const source = tokens.clientCredentials();
    const hold = server.hold();
    const waiting = source.getToken();
    await hold.arrived;
    clock.advance(11 * SECOND);
    hold.release();
    await waiting;
    expect((await source.getToken()).value).toBe('at-2');
  });

  test('L3 after a retry the lifetime counts from the second try', async () => {
    const { tokens, clock } = machineClient(server);
    const hold = server.hold();
    const waiting = tokens.clientCredentials().getToken();
    await hold.arrived;
    clock.advance(5 * SECOND);
    hold.release({ status: 503 });
    expect((await waiting).expiresAt).toBe(clock.now() + HOUR);
  });
});

describe('L4 clocks that jump', () => {
  test.each([['forwards', HOUR], ['backwards', -HOUR]])('L4 a wall clock set an hour %s causes one token request at most', async (_direction, jump) => {
    const { tokens, clock } = machineClient(server);
    const source = tokens.clientCredentials();
    await source.getToken();
    clock.advance(MINUTE);
    clock.jumpWallClock(jump);
    for (let calls = 0; calls < 50; calls += 1) {
      clock.advance(SECOND);
      await source.getToken();
      await nextTurn();
    }
    expect(server.tokenRequests).toHaveLength(jump > 0 ? 2 : 1);
    clock.jumpWallClock(-jump);
    for (let calls = 0; calls < 50; calls += 1) {
      clock.advance(SECOND);
      await source.getToken();
      await nextTurn();
    }
    expect(server.tokenRequests.length).toBeLessThanOrEqual(2);
  });

  test('L4 a wall clock set back does not prolong a token', async () => {
    const { tokens, clock } = machineClient(server);
    const source = tokens.clientCredentials();
    await source.getToken();
    clock.jumpWallClock(-HOUR);
    clock.advance(HOUR);
    expect((await source.getToken()).value).toBe('at-2');
  });

  test('L4 a machine that slept counts its sleep', async () => {
    const { tokens, clock } = machineClient(server);
    const source = tokens.clientCredentials();
    await source.getToken();
    clock.suspend(2 * HOUR);
    expect((await source.getToken()).value).toBe('at-2');
  });

  test('L4 a pause is not prolonged by a wall clock set back', async () => {
    const { tokens, clock } = machineClient(server, { retry: { limit: 0 } });
    const source = tokens.clientCredentials();
    server.answersNext({ status: 503 });
    await expect(source.getToken()).rejects.toMatchObject({ status: 503 });
    clock.jumpWallClock(-HOUR);
    clock.advance(SECOND);
    expect((await source.getToken()).value).toBe('at-1');
  });

  test('L4 a stored token from a clock that is ahead is neither prolonged past its lifetime here nor refused in a loop', async () => {
    const store = new MapStore();
    const ahead = machineClient(server, { store, encryptionKeys: false });
    ahead.clock.jumpWallClock(HOUR);
    await ahead.tokens.clientCredentials().getToken();

    const { tokens, clock } = machineClient(server, { store, encryptionKeys: false });
    const source = tokens.clientCredentials();
    for (let calls = 0; calls < 10; calls += 1) {
      expect((await source.getToken()).value).toBe('at-1');
      await nextTurn();
    }
    expect(server.tokenRequests).toHaveLength(1);
    clock.advance(HOUR);
    expect((await source.getToken()).value).toBe('at-2');
  });
});
