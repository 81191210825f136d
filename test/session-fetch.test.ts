import { createFetch, type Session } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startApi, type Api } from './support/api-server.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { eventually } from './support/eventually.js';
import { failureOf } from './support/failure.js';
import { requestsHaveComeIn, type MachineClient } from './support/machine-client.js';
import { signIn, webClient } from './support/web-client.js';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;

let server: AuthorizationServer;
let api: Api;
let client: MachineClient;
let session: Session;
let call: typeof globalThis.fetch;

beforeEach(async () => {
  [server, api] = await Promise.all([startAuthorizationServer(), startApi()]);
  client = webClient(server);
  ({ session } = await signIn(client));
  call = createFetch(session, { baseUrl: api.origin, allowInsecureRequests: true });
});

afterEach(async () => {
  await Promise.all([server.close(), api.close()]);
});

/** Token requests since the login. */
function refreshes(): number {
  return server.tokenRequests.length - 1;
}

describe('a refused token', () => {
  test('F5 endless 401: two sends, one refresh', async () => {
    api.acceptsOnly(() => false);
    expect((await call('/')).status).toBe(401);
    expect([api.requests.length, refreshes()]).toEqual([2, 1]);
  });

  test('F5 a 401 while a newer token is there: one replay, no refresh', async () => {
    const stale = api.hold();
    const answered = call('/');
    await stale.arrived;
    const [old] = server.issued;
    api.acceptsOnly((token) => token !== old?.accessToken);
    expect((await call('/')).status).toBe(200);
    stale.release({ status: 401 });
    expect((await answered).status).toBe(200);
    expect(refreshes()).toBe(1);
  });

  test('F6 10 requests whose 401s come 100 ms apart: one refresh', async () => {
    const holds = Array.from({ length: 10 }, () => api.hold());
    const all = Array.from({ length: 10 }, () => call('/'));
    await Promise.all(holds.map(({ arrived }) => arrived));
    for (const hold of holds) {
      hold.release({ status: 401 });
      client.clock.advance(100);
      await requestsHaveComeIn(server);
    }
    expect((await Promise.all(all)).map(({ status }) => status)).toEqual(Array<number>(10).fill(200));
    expect(refreshes()).toBe(1);
    expect(server.reuses).toBe(0);
  });

  test('F11 its refresh fails: the original 401 comes back, the session lives, and the failure is an event', async () => {
    api.answersNext({ status: 401, body: 'the original' });
    server.answersEvery({ status: 503 });
    const response = await call('/');
    expect([response.status, await response.text()]).toEqual([401, 'the original']);
    expect(client.events['refresh-failed']).toMatchObject([{ error: { code: 'token_request_failed', status: 503 }, background: false }]);
    expect(client.events['session-ended']).toEqual([]);
  });

  test('F11 the first token can\'t be had: the error is thrown, and nothing is sent', async () => {
    await session.end();
    expect(await failureOf(call('/'))).toMatchObject({ code: 'reauthorization_required' });
    expect(api.requests).toEqual([]);
  });

  test('F15 persistent 401s: refreshes thin out, they don\'t follow the API\'s traffic', async () => {
    api.acceptsOnly(() => false);
    for (let seconds = 0; seconds < 120; seconds += 1) {
      for (let calls = 0; calls < 5; calls += 1) expect((await call('/')).status).toBe(401);
      client.clock.advance(SECOND);
    }
    expect(refreshes()).toBeLessThanOrEqual(9);
    expect(server.reuses).toBe(0);
  });

  test('F12 an abort while the token is waited for rejects with the caller\'s own reason, and the refresh goes on', async () => {
    client.clock.advance(HOUR);
    const hold = server.hold();
    const controller = new AbortController();
    const reason = new RangeError('the caller had enough');
    const aborted = expect(call('/', { signal: controller.signal })).rejects.toBe(reason);
    await hold.arrived;
    controller.abort(reason);
    await aborted;
    hold.release();
    expect((await call('/')).status).toBe(200);
    expect([api.requests.length, refreshes()]).toEqual([1, 1]);
  });
});

describe('a session ahead of the expiry', () => {
  test('C5 the current token at once, and one refresh in the background', async () => {
    const { value } = await session.getToken();
    client.clock.advance(HOUR - 200 * SECOND);
    const hold = server.hold();
    const all = await Promise.all(Array.from({ length: 20 }, async () => session.getToken()));
    expect(new Set(all.map((token) => token.value))).toEqual(new Set([value]));
    await hold.arrived;
    hold.release();
    await eventually(async () => { expect((await session.getToken()).value).toBe('at-2'); });
    expect(refreshes()).toBe(1);
  });

  test('C5 that fails: the token is served on, with pauses between the tries, from 5 s on', async () => {
    const { value } = await session.getToken();
    server.answersEvery({ status: 503 });
    client.clock.advance(HOUR - 299 * SECOND);
    for (let seconds = 0; seconds < 60; seconds += 1) {
      expect((await session.getToken()).value).toBe(value);
      await requestsHaveComeIn(server);
      await eventually(() => { expect(client.events['refresh-failed']).toHaveLength(refreshes()); });
      client.clock.advance(SECOND);
    }
    expect(client.events['refresh-failed'].every(({ background }) => background)).toBe(true);
    expect(refreshes()).toBeLessThanOrEqual(5);
    expect(refreshes()).toBeGreaterThan(1);
  });

  test('C6 it must be refreshed and the server is down: all callers share the failure and its pause', async () => {
    client.clock.advance(HOUR);
    await server.stop();
    const all = await Promise.all(Array.from({ length: 100 }, async () => failureOf(session.getToken())));
    expect(new Set(all).size).toBe(1);
    expect(all[0]).toMatchObject({ code: 'server_unreachable', retryable: true });
    expect(await failureOf(session.getToken())).toBe(all[0]);
    await server.start();
    client.clock.advance(SECOND);
    expect((await session.getToken()).value).toBe('at-2');
    expect(server.reuses).toBe(0);
  });
});
