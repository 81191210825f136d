import { setImmediate as nextTurn } from 'node:timers/promises';
import { clientSecretPost, type TokenSource } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { hang, reset, type Answer } from './support/answers.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import type { ManualClock } from './support/clock.js';
import { eventually } from './support/eventually.js';
import { machineClient, requestsHaveComeIn, type RecordedEvents } from './support/machine-client.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

let server: AuthorizationServer;
const unhandled: unknown[] = [];
const noteUnhandled = (reason: unknown): void => { unhandled.push(reason); };

beforeEach(async () => {
  server = await startAuthorizationServer();
  process.on('unhandledRejection', noteUnhandled);
});

afterEach(async () => {
  vi.restoreAllMocks();
  await server.close();
  await nextTurn();
  process.off('unhandledRejection', noteUnhandled);
  expect(unhandled.splice(0)).toEqual([]);
});

async function reasonOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(() => { throw new Error('it was expected to fail'); }, (reason: unknown) => reason);
}

describe('the pause after a failure that may pass', () => {
  test.each<[string, Answer, object]>([
    ['503', { status: 503 }, { code: 'token_request_failed', status: 503 }],
    ['429', { status: 429 }, { code: 'token_request_failed', status: 429 }],
    ['a reset connection', reset(), { code: 'server_unreachable' }],
  ])('C6 after %s all callers share the same error for 1 s, then 2 s, doubled up to 30 s', async (_failure, answer, error) => {
    const { tokens, clock } = machineClient(server, { retry: { limit: 0 } });
    const source = tokens.clientCredentials();
    server.answersEvery(answer);
    for (const [round, pause] of [1, 2, 4, 8, 16, 30, 30, 30].entries()) {
      const reason = await reasonOf(source.getToken());
      expect(reason).toMatchObject({ ...error, retryable: true });
      expect(server.tokenRequests).toHaveLength(round + 1);
      clock.advance(pause * SECOND - 1);
      expect(await reasonOf(source.getToken())).toBe(reason);
      expect(server.tokenRequests).toHaveLength(round + 1);
      clock.advance(1);
    }
  });

  test('C6 a timeout starts it too', async () => {
    const { tokens, clock } = machineClient(server, { timeout: 300 });
    const source = tokens.clientCredentials();
    server.answersNext(hang());
    const reason = await reasonOf(source.getToken());
    expect(reason).toMatchObject({ code: 'timeout', retryable: true });
    expect(await reasonOf(source.getToken())).toBe(reason);
    clock.advance(SECOND);
    expect((await source.getToken()).value).toBe('at-1');
  });

  test('C6 a success ends it, and the next one begins at 1 s again', async () => {
    const { tokens, clock } = machineClient(server, { retry: { limit: 0 } });
    const source = tokens.clientCredentials();
    server.answersNext({ status: 503 }, { status: 503 });
    await reasonOf(source.getToken());
    clock.advance(SECOND);
    await reasonOf(source.getToken());
    clock.advance(2 * SECOND);
    expect((await source.getToken()).value).toBe('at-1');

    clock.advance(HOUR);
    server.answersNext({ status: 503 });
    await reasonOf(source.getToken());
    clock.advance(SECOND);
    expect((await source.getToken()).value).toBe('at-2');
  });

  test('C6 it is no shorter than the server asked for, within maxRetryAfter', async () => {
    const { tokens, clock } = machineClient(server, { retry: { limit: 0, maxRetryAfter: 20 * SECOND } });
    for (const [retryAfter, pause] of [['7', 7], ['999999', 20]] as const) {
      const source = tokens.clientCredentials({ scope: `after${retryAfter}` });
      server.answersNext({ status: 503, headers: { 'retry-after': retryAfter } });
      const reason = await reasonOf(source.getToken());
      expect(reason).toMatchObject({ retryAfter: Number(retryAfter) * SECOND });
      clock.advance(pause * SECOND - 1);
      expect(await reasonOf(source.getToken())).toBe(reason);
      clock.advance(1);
      expect(await source.getToken()).toBeDefined();
    }
  });

  test('C6 it is of one key, not of its neighbours', async () => {
    const { tokens } = machineClient(server, { retry: { limit: 0 } });
    server.answersNext({ status: 503 });
    await reasonOf(tokens.clientCredentials({ scope: 'a' }).getToken());
    expect((await tokens.clientCredentials({ scope: 'b' }).getToken()).value).toBe('at-1');
  });

  test('C6 it is not forgotten where memory holds fewer entries than there are keys in trouble', async () => {
    const { tokens } = machineClient(server, { retry: { limit: 0 }, maxEntries: 2 });
    server.answersEvery({ status: 503 });
    const source = tokens.clientCredentials({ scope: 'a' });
    for (let calls = 0; calls < 20; calls += 1) await reasonOf(source.getToken());
    expect(server.tokenRequests).toHaveLength(1);
  });

  test.each<[string, Answer]>([
    ['unsupported_grant_type', { status: 400, json: { error: 'unsupported_grant_type' } }],
    ['invalid_grant', { status: 400, json: { error: 'invalid_grant' } }],
    ['access_denied', { status: 403, json: { error: 'access_denied' } }],
    ['an empty 400', { status: 400 }],
    ['a 200 that is no token', { body: '<html>' }],
    ['501', { status: 501 }],
  ])('C1 %s leaves no trace', async (_failure, answer) => {
    const { tokens } = machineClient(server);
    const source = tokens.clientCredentials();
    server.answersNext(answer, answer);
    const first = await reasonOf(source.getToken());
    expect(first).toMatchObject({ retryable: false });
    expect(await reasonOf(source.getToken())).not.toBe(first);
    expect((await source.getToken()).value).toBe('at-1');
    expect(server.tokenRequests).toHaveLength(3);
  });
});

describe('C7 mistakes of the client', () => {
  test.each(['invalid_client', 'unauthorized_client', 'invalid_scope'])('C7 %s is remembered for some seconds', async (code) => {
    const { tokens, clock } = machineClient(server);
    const source = tokens.clientCredentials();
    server.rejectsNextWith(code, code === 'invalid_client' ? 401 : 400);
    const first = await reasonOf(source.getToken());
    expect(first).toMatchObject({ code: 'token_request_failed', error: code, retryable: false });
    for (let calls = 0; calls < 1_000; calls += 1) expect(await reasonOf(source.getToken())).toBe(first);
    clock.advance(2 * SECOND);
    expect(await reasonOf(source.getToken())).toBe(first);
    expect(server.tokenRequests).toHaveLength(1);

    clock.advance(28 * SECOND);
    expect((await source.getToken()).value).toBe('at-1');
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('C7 a secret that stays wrong costs a request every few seconds, however long', async () => {
    const { tokens, clock } = machineClient(server);
    const source = tokens.clientCredentials();
    server.answersEvery({ status: 401, json: { error: 'invalid_client' } });
    for (let second = 0; second < 60; second += 1) {
      for (let calls = 0; calls < 10; calls += 1) await reasonOf(source.getToken());
      clock.advance(SECOND);
    }
    expect(server.tokenRequests.length).toBeLessThanOrEqual(20);
    expect(server.tokenRequests.length).toBeGreaterThanOrEqual(2);
  });

  test.each([
    ['clientSecret', (secret: () => string) => ({ clientSecret: secret })],
    ['clientSecretPost', (secret: () => string) => ({ clientAuthentication: clientSecretPost(secret) })],
  ])('C7 a function as %s is asked once more first: a secret that rotated costs no failure', async (_option, options) => {
    const secrets = ['old', 'new'];
    const secret = vi.fn(() => secrets.shift() ?? 'new');
    await using strict = await startAuthorizationServer({ clients: { billing: 'new' } });
    const { tokens } = machineClient(strict, options(secret));
    expect((await tokens.clientCredentials().getToken()).value).toBe('at-1');
    expect(strict.tokenRequests).toHaveLength(2);
    expect(secret).toHaveBeenCalledTimes(2);
    await tokens.clientCredentials({ scope: 'another' }).getToken();
    expect(secret).toHaveBeenCalledTimes(2);
  });

  test('C7 a function that has no other secret sends no second request, and the failure is remembered', async () => {
    const secret = vi.fn(() => 'old');
    const { tokens } = machineClient(server, { clientSecret: secret });
    const source = tokens.clientCredentials();
    server.answersEvery({ status: 401, json: { error: 'invalid_client' } });
    const first = await reasonOf(source.getToken());
    expect(first).toMatchObject({ error: 'invalid_client' });
    expect(await reasonOf(source.getToken())).toBe(first);
    expect(server.tokenRequests).toHaveLength(1);
    expect(secret).toHaveBeenCalledTimes(2);
  });

  test('C7 a new secret that is wrong too is tried once, not for ever', async () => {
    let asked = 0;
    const { tokens } = machineClient(server, { clientSecret: () => `secret-${++asked}` });
    server.answersEvery({ status: 401, json: { error: 'invalid_client' } });
    await reasonOf(tokens.clientCredentials().getToken());
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('C7 fifty keys whose secret was rotated ask for the new one once', async () => {
    let current = 'old';
    const secret = vi.fn(() => current);
    const clients: Record<string, string> = { billing: 'old' };
    await using strict = await startAuthorizationServer({ clients });
    const { tokens, clock } = machineClient(strict, { clientSecret: secret });
    const sources = Array.from({ length: 50 }, (_, index) => tokens.clientCredentials({ scope: `s${index}` }));
    await Promise.all(sources.map(async (source) => source.getToken()));
    clients['billing'] = current = 'new';
    clock.advance(HOUR);
    await Promise.all(sources.map(async (source) => source.getToken()));
    expect(secret).toHaveBeenCalledTimes(2);
  });
});

describe('C5 a failure ahead of time', () => {
  /** A day's token deep in a window of hours, so that only the pauses decide. */
  async function inTheWindow(options: Parameters<typeof machineClient>[1] = {}): Promise<{ source: TokenSource; clock: ManualClock; events: RecordedEvents }> {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    server.expiresIn = 24 * 3600;
    const { tokens, clock, events } = machineClient(server, { refreshAhead: 4 * HOUR, ...options });
    const source = tokens.clientCredentials();
    await source.getToken();
    clock.advance(20 * HOUR + SECOND);
    return { source, clock, events };
  }

  test('C5 the token is served on, and the next try comes after 5 s, doubled up to 5 min', async () => {
    const { source, clock, events } = await inTheWindow();
    server.answersEvery({ status: 503 });
    for (const [round, pause] of [5, 10, 20, 40, 80, 160, 300, 300, 300].entries()) {
      expect((await source.getToken()).value).toBe('at-1');
      await eventually(() => events['refresh-failed'].length === round + 1);
      // One request each: nobody waits, so nothing is repeated at once.
      expect(server.tokenRequests).toHaveLength(round + 2);
      clock.advance(pause * SECOND - 1);
      for (let calls = 0; calls < 10; calls += 1) expect((await source.getToken()).value).toBe('at-1');
      await requestsHaveComeIn(server);
      expect(server.tokenRequests).toHaveLength(round + 2);
      clock.advance(1);
    }
    expect(events['refresh-failed']).toEqual(events['refresh-failed'].map(() => ({ background: true, error: expect.objectContaining({ status: 503, retryable: true }) as unknown })));
  });

  test.each<[string, Answer]>([
    ['a reset connection', reset()],
    ['invalid_client', { status: 401, json: { error: 'invalid_client' } }],
    ['unsupported_grant_type', { status: 400, json: { error: 'unsupported_grant_type' } }],
    ['HTML', { body: '<html>' }],
  ])('C5 %s in the background reaches no caller, and nothing is unhandled', async (_failure, answer) => {
    const { source, clock, events } = await inTheWindow();
    server.answersNext(answer);
    expect((await source.getToken()).value).toBe('at-1');
    await eventually(() => events['refresh-failed'].length === 1);
    expect((await source.getToken()).value).toBe('at-1');
    clock.advance(5 * SECOND);
    await source.getToken();
    await eventually(() => events.refreshed.length === 1);
    expect((await source.getToken()).value).toBe('at-2');
  });

  test('C5 a secret function that throws in the background reaches no caller', async () => {
    let broken = false;
    const { source, events } = await inTheWindow({
      clientSecret: () => {
        if (broken) throw new Error('the vault is sealed');
        return 'secret';
      },
    });
    broken = true;
    // The first secret is known; it is asked for again when the server refuses it.
    server.rejectsNextWith('invalid_client', 401);
    expect((await source.getToken()).value).toBe('at-1');
    await eventually(() => events['refresh-failed'].length === 1);
    expect(events['refresh-failed'][0]?.error.message).not.toContain('sealed');
    expect((await source.getToken()).value).toBe('at-1');
  });

  test('C5 a timeout in the background reaches no caller', async () => {
    const { source, events } = await inTheWindow({ timeout: 300 });
    server.answersNext(hang());
    expect((await source.getToken()).value).toBe('at-1');
    await eventually(() => events['refresh-failed'].length === 1);
    expect(events['refresh-failed'][0]).toMatchObject({ background: true, error: { code: 'timeout' } });
    expect((await source.getToken()).value).toBe('at-1');
  });

  test.each<[string, () => void]>([
    ['throws', () => { throw new Error('listener'); }],
    ['rejects later', async () => Promise.reject(new Error('listener'))],
  ])('C5 a listener that %s becomes a warning: neither the refresh nor the process ends', async (_how, listener) => {
    const warn = vi.spyOn(process, 'emitWarning').mockReturnValue();
    const { tokens, clock, events } = machineClient(server);
    tokens.on('refreshed', listener);
    const source = tokens.clientCredentials();
    await source.getToken();
    clock.advance(HOUR);
    expect((await source.getToken()).value).toBe('at-2');
    expect(events.refreshed).toHaveLength(1);
    await nextTurn();
    expect(warn).toHaveBeenCalledOnce();
    expect(String(warn.mock.calls[0]?.[0])).toContain('refreshed');
  });

  test('C5 the pause of the background is no shorter than the server asked for', async () => {
    const { source, clock, events } = await inTheWindow();
    server.answersNext({ status: 429, headers: { 'retry-after': '30' } });
    await source.getToken();
    await eventually(() => events['refresh-failed'].length === 1);
    clock.advance(30 * SECOND - 1);
    await source.getToken();
    await requestsHaveComeIn(server);
    expect(server.tokenRequests).toHaveLength(2);
    clock.advance(1);
    await source.getToken();
    await server.tokenRequestArrives(3);
  });

  test('C5 must refresh ignores the pause of the background', async () => {
    const { source, clock, events } = await inTheWindow();
    server.answersNext({ status: 503 });
    clock.advance(4 * HOUR - 32 * SECOND);
    await source.getToken();
    await eventually(() => events['refresh-failed'].length === 1);
    clock.advance(2 * SECOND);
    expect((await source.getToken()).value).toBe('at-2');
  });

  test('C5 a success in between ends the doubling', async () => {
    const { source, clock, events } = await inTheWindow();
    server.answersNext({ status: 503 }, { status: 503 });
    for (const pause of [5, 10]) {
      await source.getToken();
      await eventually(() => server.tokenRequests.length === events['refresh-failed'].length + 1);
      await eventually(() => events['refresh-failed'].length === (pause === 5 ? 1 : 2));
      clock.advance(pause * SECOND);
    }
    await source.getToken();
    await eventually(() => events.refreshed.length === 1);
    clock.advance(21 * HOUR);
    server.answersNext({ status: 503 });
    await source.getToken();
    await eventually(() => events['refresh-failed'].length === 3);
    clock.advance(5 * SECOND);
    await source.getToken();
    await eventually(() => events.refreshed.length === 2);
  });

  test('C5 a refusal that failed does not let the background ask again within the shared pause', async () => {
    const { source, clock } = await inTheWindow({ retry: { limit: 0 } });
    const rejected = { value: 'at-1', type: 'Bearer', parameters: {} } as const;
    server.answersEvery({ status: 503 });
    await reasonOf(source.getToken({ rejected }));
    clock.advance(SECOND - 1);
    await source.getToken();
    await requestsHaveComeIn(server);
    expect(server.tokenRequests).toHaveLength(2);
  });
});

describe('C6 must refresh while the server is down', () => {
  test('C6 a token that has not expired is served; once it has, the error is server_unreachable, retryable', async () => {
    const { tokens, clock, events } = machineClient(server, { refreshAhead: 0 });
    const source = tokens.clientCredentials();
    await source.getToken();
    await server.stop();
    clock.advance(HOUR - 30 * SECOND + 1);
    expect((await source.getToken()).value).toBe('at-1');
    expect(events['refresh-failed']).toMatchObject([{ background: false, error: { code: 'server_unreachable', retryable: true } }]);
    clock.advance(30 * SECOND - 2);
    expect((await source.getToken()).value).toBe('at-1');
    clock.advance(1);
    expect(await reasonOf(source.getToken())).toMatchObject({ code: 'server_unreachable', retryable: true });

    await server.start();
    clock.advance(30 * SECOND);
    expect((await source.getToken()).value).toBe('at-2');
  });

  test('C6 a failure that will not pass is thrown, though the token has not expired', async () => {
    const { tokens, clock } = machineClient(server, { refreshAhead: 0 });
    const source = tokens.clientCredentials();
    await source.getToken();
    clock.advance(HOUR - 10 * SECOND);
    server.rejectsNextWith('unauthorized_client');
    expect(await reasonOf(source.getToken())).toMatchObject({ error: 'unauthorized_client' });
  });

  test('C6 10,000 calls of an outage stay within the retry budget', async () => {
    const { tokens, clock } = machineClient(server);
    const source = tokens.clientCredentials();
    await source.getToken();
    clock.advance(HOUR);
    server.answersEvery(reset());
    for (let tick = 0; tick < 100; tick += 1) {
      const reasons = await Promise.all(Array.from({ length: 100 }, async () => reasonOf(source.getToken())));
      expect(new Set(reasons).size).toBe(1);
      expect(reasons[0]).toMatchObject({ code: 'server_unreachable', retryable: true });
      clock.advance(600);
    }
    // A minute's flights begin at 0, 1, 3, 7, 15, 31 s: three tries each at most.
    expect(server.tokenRequests.length).toBeLessThanOrEqual(1 + 6 * 3 + 3);
    expect(server.tokenRequests.length).toBeGreaterThan(6);
  });

  test('C6 an outage of 300 keys is not tripled: retries are a tenth, beside a reserve', async () => {
    const { tokens } = machineClient(server);
    server.answersEvery({ status: 503 });
    await Promise.all(Array.from({ length: 300 }, async (_, index) => reasonOf(tokens.clientCredentials({ scope: `s${index}` }).getToken())));
    expect(server.tokenRequests.length).toBeGreaterThan(300);
    expect(server.tokenRequests.length).toBeLessThanOrEqual(300 + 30 + 10);
  });

  test('C6 discovery that fails is shared, paused and tried again', async () => {
    const { tokens, clock } = machineClient(server, { issuer: server.issuer, retry: { limit: 0 } });
    server.openidConfiguration.answersNext({ status: 503 });
    server.oauthMetadata.answersNext({ status: 503 });
    const source = tokens.clientCredentials();
    const reasons = await Promise.all(Array.from({ length: 100 }, async () => reasonOf(source.getToken())));
    expect(new Set(reasons).size).toBe(1);
    expect(reasons[0]).toMatchObject({ code: 'discovery_failed', status: 503, retryable: true });
    expect(server.discoveryRequests).toHaveLength(2);
    clock.advance(SECOND);
    expect((await source.getToken()).value).toBe('at-1');
  });
});

test('T3 a try that failed after the token expired under way is repeated: its caller has nothing else', async () => {
  const { tokens, clock } = machineClient(server);
  const source = tokens.clientCredentials();
  server.answersNext({ json: { access_token: 'first', token_type: 'Bearer', expires_in: 100 } });
  await source.getToken();
  clock.advance(95_000);
  const hold = server.hold();
  const renewed = source.getToken();
  await hold.arrived;
  clock.advance(6_000);
  hold.release({ status: 503 });
  expect((await renewed).value).toMatch(/^at-/);
});

test('C6 a pause that was begun while the token was good ends with it: the server is asked again as soon as there is nothing else', async () => {
  const { tokens, clock } = machineClient(server, { retry: { limit: 0 } });
  const source = tokens.clientCredentials();
  server.answersNext({ json: { access_token: 'first', token_type: 'Bearer', expires_in: 30 } });
  await source.getToken();
  server.answersNext({ status: 503 }, { status: 503 });
  clock.advance(27_500);
  expect((await source.getToken()).value).toBe('first');
  clock.advance(1_000);
  expect((await source.getToken()).value).toBe('first');
  // The second failure's pause of two seconds would last until half a second after the expiry.
  clock.advance(1_500);
  expect((await source.getToken()).value).toMatch(/^at-/);
});
