import { clientSecretPost, createFetch, type AccessToken, type Session, type UnauthenticatedRequest } from 'grantkeeper';
import { inProcessLock } from '../src/cache/in-process-lock.js';
import { systemClock } from '../src/clock.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hang, lose, reset, type Answer } from './support/answers.js';
import { startApi } from './support/api-server.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { failureOf } from './support/failure.js';
import { CLIENT_SECRET, type MachineClient, type MachineClientOptions } from './support/machine-client.js';
import { MapStore } from './support/map-store.js';
import { signIn, webClient } from './support/web-client.js';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const KEY = 'A'.repeat(43);

let server: AuthorizationServer;

beforeEach(async () => {
  server = await startAuthorizationServer();
});

afterEach(async () => {
  await server.close();
});

/** Signed in, and with an access token that has just expired. */
async function atExpiry(options: MachineClientOptions = {}): Promise<MachineClient & { session: Session; first: AccessToken }> {
  const client = webClient(server, options);
  const { session } = await signIn(client);
  const first = await session.getToken();
  client.clock.advance(HOUR);
  server.tokenRequests.length = 0;
  return { ...client, session, first };
}

function refreshTokensSent(): (string | null)[] {
  return server.tokenRequests.map(({ parameters }) => parameters.get('refresh_token'));
}

/** A store that fails when told to, before or after it has done what it was asked. */
class FailingStore extends MapStore {
  failsNext: ('get' | 'set')[] = [];
  isDown = false;

  override async get(key: string): Promise<unknown> {
    this.#mayFail('get');
    return super.get(key);
  }

  override async set(key: string, value: unknown, ttl?: number): Promise<unknown> {
    this.#mayFail('set');
    return super.set(key, value, ttl);
  }

  #mayFail(operation: 'get' | 'set'): void {
    if (this.isDown) throw new Error('the store is down');
    if (this.failsNext[0] !== operation) return;
    this.failsNext.shift();
    throw new Error('the store failed');
  }
}

describe('R1 one refresh at a time', () => {
  test('R1 100 concurrent callers of one session at expiry: one refresh', async () => {
    const { tokens, session, first } = await atExpiry();
    const all = await Promise.all(Array.from({ length: 100 }, async () => tokens.session(session.id).getToken()));
    expect(new Set(all.map(({ value }) => value)).size).toBe(1);
    expect(all[0]?.value).not.toBe(first.value);
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('R1 C4 two resources of one session: two refreshes, one after the other, each with the newest refresh token', async () => {
    const { session } = await atExpiry();
    const [orders, invoices] = await Promise.all(['https://orders.example', 'https://invoices.example'].map(async (resource) => session.forResource({ resource }).getToken()));
    expect(server.mostRefreshesAtOnce).toBe(1);
    expect(new Set(refreshTokensSent()).size).toBe(2);
    expect(server.reuses).toBe(0);
    const issued = (token: AccessToken | undefined): unknown => server.issued.find(({ accessToken }) => accessToken === token?.value)?.resource;
    expect([issued(orders), issued(invoices)]).toEqual([['https://orders.example'], ['https://invoices.example']]);
  });

  test('R1 two managers of one process on one store: one refresh, and the other adopts it', async () => {
    const store = new MapStore();
    const { session, clock } = await atExpiry({ store, encryptionKeys: [KEY] });
    const other = webClient(server, { store, encryptionKeys: [KEY], clock });
    const [a, b] = await Promise.all([session.getToken(), other.tokens.session(session.id).getToken()]);
    expect(b.value).toBe(a.value);
    expect(server.tokenRequests).toHaveLength(1);
  });
});

describe('R2 what came back is kept', () => {
  test('R2 the new refresh token is durable before anyone sees the new access token', async () => {
    const store = new MapStore();
    const { session, clock } = await atExpiry({ store, encryptionKeys: [KEY] });
    await session.getToken();
    // A new process, with nothing in memory, goes on with what the store has.
    clock.advance(HOUR);
    await webClient(server, { store, encryptionKeys: [KEY], clock }).tokens.session(session.id).getToken();
    expect(refreshTokensSent()).toHaveLength(2);
    expect(server.reuses).toBe(0);
  });

  test('R2 a store that fails once after the answer is asked again', async () => {
    const store = new FailingStore();
    const { session, clock, events } = await atExpiry({ store, encryptionKeys: false });
    const hold = server.hold();
    const refreshed = session.getToken();
    await hold.arrived;
    store.failsNext = ['set'];
    hold.release();
    expect(await refreshed).toMatchObject({ type: 'Bearer' });
    expect(store.failsNext).toEqual([]);
    clock.advance(HOUR);
    await webClient(server, { store, encryptionKeys: false, clock }).tokens.session(session.id).getToken();
    expect(server.reuses).toBe(0);
    expect(events['session-ended']).toEqual([]);
  });

  test('R2 a store that keeps failing after the answer: the token is served, an event says so, and the next call writes it', async () => {
    const store = new FailingStore();
    const { session, clock, events } = await atExpiry({ store, encryptionKeys: false });
    const hold = server.hold();
    const refreshed = session.getToken();
    await hold.arrived;
    store.isDown = true;
    hold.release();
    const token = await refreshed;
    expect(events['store-failed'].length).toBeGreaterThan(0);
    expect((await session.getToken()).value).toBe(token.value);

    store.isDown = false;
    clock.advance(10 * SECOND);
    expect((await session.getToken()).value).toBe(token.value);
    clock.advance(HOUR);
    await webClient(server, { store, encryptionKeys: false, clock }).tokens.session(session.id).getToken();
    expect(server.reuses).toBe(0);
  });

  test('R2 what could not be written is written when the manager is closed', async () => {
    const store = new FailingStore();
    const { tokens, session, clock } = await atExpiry({ store, encryptionKeys: false });
    const hold = server.hold();
    const refreshed = session.getToken();
    await hold.arrived;
    store.isDown = true;
    hold.release();
    await refreshed;
    store.isDown = false;
    clock.advance(10 * SECOND);
    await tokens.close();
    clock.advance(HOUR);
    await webClient(server, { store, encryptionKeys: false, clock }).tokens.session(session.id).getToken();
    expect(server.reuses).toBe(0);
  });

  test('R2 a store that fails before the request: store_failed, and nothing is sent', async () => {
    const store = new FailingStore();
    const { session } = await atExpiry({ store, encryptionKeys: false });
    store.isDown = true;
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'store_failed', retryable: true });
    expect(server.tokenRequests).toEqual([]);
  });

  test.each<[string, Record<string, unknown>]>([
    ['L6 of a type that can\'t be sent', { token_type: 'mac' }],
    ['L6 without a type', { token_type: undefined }],
    ['L7 that no header can carry', { access_token: 'line\r\nbreak' }],
    ['L7 that is no text', { access_token: 7 }],
    ['L12 that has expired', { expires_in: 0 }],
    ['L12 that expired before', { expires_in: -1 }],
  ])('an access token %s is invalid_response, and the refresh token that came with it is kept', async (_what, members) => {
    const { session } = await atExpiry();
    server.nextTokenAnswerWith(members);
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'invalid_response' });
    expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
    expect(new Set(refreshTokensSent()).size).toBe(2);
    expect(server.reuses).toBe(0);
  });

  test.each([['3600', 3_600], [3599.9, 3_599]])('L1 expires_in %j of a refresh is %d seconds', async (value, seconds) => {
    const { session, clock } = await atExpiry();
    server.nextTokenAnswerWith({ expires_in: value });
    expect((await session.getToken()).expiresAt).toBe(clock.now() + seconds * SECOND);
  });

  test.each(['3600abc', null, {}, '', true])('L1 expires_in %j counts as absent: the token is used until it is refused', async (value) => {
    const { session, clock } = await atExpiry();
    server.nextTokenAnswerWith({ expires_in: value });
    const token = await session.getToken();
    expect(token.expiresAt).toBeUndefined();
    clock.advance(1_000 * HOUR);
    expect(await session.getToken()).toBe(token);
    expect((await session.getToken({ rejected: token })).value).not.toBe(token.value);
  });

  test('L11 a refresh without scope inherits that of the login', async () => {
    const { session } = await atExpiry();
    server.nextTokenAnswerWith({ scope: undefined });
    expect((await session.getToken()).scope).toBe('openid offline_access');
  });
});

describe('R3 invalid_grant', () => {
  test('R3 truly dead: reauthorization_required, the record is removed, and later calls cost no request', async () => {
    const store = new MapStore();
    const { tokens, session, events, clock } = await atExpiry({ store, encryptionKeys: [KEY] });
    server.killAllGrants();
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required', retryable: false, error: 'invalid_grant' });
    const { length } = server.tokenRequests;
    for (const again of [session, tokens.session(session.id), webClient(server, { store, encryptionKeys: [KEY], clock }).tokens.session(session.id)]) {
      expect(await failureOf(again.getToken())).toMatchObject({ code: 'reauthorization_required' });
    }
    expect(server.tokenRequests).toHaveLength(length);
    expect(await session.info()).toBeUndefined();
    expect(events['session-ended']).toEqual([{ sessionId: session.id, reason: 'refused' }]);
  });

  test('R3 while another process has written: its result is adopted', async () => {
    const store = new MapStore();
    const { session, clock } = await atExpiry({ store, encryptionKeys: false });
    const hold = server.hold();
    const refreshed = session.getToken();
    await hold.arrived;
    // One that doesn't share this one's lock.
    const other = webClient(server, { store, encryptionKeys: false, clock, lock: inProcessLock(systemClock) });
    const theirs = await other.tokens.session(session.id).getToken();
    hold.release({ status: 400, json: { error: 'invalid_grant' } });
    expect((await refreshed).value).toBe(theirs.value);
  });
});

describe('R4 what passes never ends a session', () => {
  test.each<[string, Answer, string]>([
    ['500', { status: 500, json: { error: 'server_error' } }, 'token_request_failed'],
    ['500 that says invalid_grant', { status: 500, json: { error: 'invalid_grant' } }, 'token_request_failed'],
    ['502 with a page', { status: 502, body: '<html>Bad gateway</html>' }, 'token_request_failed'],
    ['503', { status: 503, headers: { 'retry-after': '1' } }, 'token_request_failed'],
    ['501 that says invalid_grant', { status: 501, json: { error: 'invalid_grant' } }, 'token_request_failed'],
    ['429', { status: 429, json: { error: 'slow_down' } }, 'token_request_failed'],
    ['429 that says invalid_grant', { status: 429, json: { error: 'invalid_grant' } }, 'token_request_failed'],
    ['a page with 200', { body: '<html>Maintenance</html>' }, 'invalid_response'],
    ['an empty 400', { status: 400 }, 'token_request_failed'],
    ['an empty 401', { status: 401 }, 'token_request_failed'],
    ['invalid_request', { status: 400, json: { error: 'invalid_request' } }, 'token_request_failed'],
    ['invalid_client', { status: 401, json: { error: 'invalid_client' } }, 'token_request_failed'],
    ['a redirect', { status: 302, headers: { location: '/' } }, 'token_request_failed'],
  ])('R4 %s', async (_case, answer, code) => {
    const { session, clock, events } = await atExpiry({ retry: { limit: 0 } });
    server.answersNext(answer);
    expect(await failureOf(session.getToken())).toMatchObject({ code });
    clock.advance(10 * SECOND);
    expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
    expect(events['session-ended']).toEqual([]);
    expect(server.reuses).toBe(0);
  });

  test('R4 a server that never answers is a timeout, and the session lives', async () => {
    const store = new MapStore();
    const { session, clock } = await atExpiry({ store, encryptionKeys: [KEY] });
    const impatient = webClient(server, { store, encryptionKeys: [KEY], clock, timeout: 500 }).tokens.session(session.id);
    server.answersNext(hang());
    expect(await failureOf(impatient.getToken())).toMatchObject({ code: 'timeout', retryable: true });
    clock.advance(10 * SECOND);
    expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
  });

  test('R4 a server that is gone: server_unreachable, however often, and then the session goes on', async () => {
    const { session, clock } = await atExpiry({ retry: { limit: 0 } });
    await server.stop();
    for (let times = 0; times < 5; times += 1) {
      expect(await failureOf(session.getToken())).toMatchObject({ code: 'server_unreachable', retryable: true });
      clock.advance(60 * SECOND);
    }
    await server.start();
    expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
  });

  test('R4 no number of 503s ends a session', async () => {
    const { session, clock } = await atExpiry({ retry: { limit: 0 } });
    server.answersEvery({ status: 503 });
    for (let times = 0; times < 8; times += 1) {
      expect(await failureOf(session.getToken())).toMatchObject({ code: 'token_request_failed', status: 503 });
      clock.advance(60 * SECOND);
    }
    server.answersAsUsual();
    expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
  });
});

describe('R5 a lost answer', () => {
  test('R5 without a grace the refresh token is sent once more; a refusal then says that the outcome was ambiguous', async () => {
    const { session, events } = await atExpiry();
    server.answersNext(lose());
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required', ambiguous: true });
    expect(server.tokenRequests).toHaveLength(2);
    expect(new Set(refreshTokensSent()).size).toBe(1);
    await expect.poll(() => events['session-ended']).toEqual([{ sessionId: session.id, reason: 'ambiguous' }]);
  });

  test('R5 a reset before anything was done costs nothing: the second send succeeds', async () => {
    const { session } = await atExpiry();
    server.answersNext(reset());
    expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('R5 without a grace it is sent twice at most, by this caller and all later ones, in other processes too', async () => {
    const store = new MapStore();
    const { session, clock, events } = await atExpiry({ store, encryptionKeys: [KEY], retry: { limit: 0 } });
    server.answersEvery(reset());
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'server_unreachable' });
    clock.advance(60 * SECOND);
    const other = webClient(server, { store, encryptionKeys: [KEY], clock, retry: { limit: 0 } }).tokens.session(session.id);
    expect(await failureOf(other.getToken())).toMatchObject({ code: 'server_unreachable' });
    clock.advance(60 * SECOND);
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required', ambiguous: true });
    expect(server.tokenRequests).toHaveLength(2);
    await expect.poll(() => events['session-ended']).toEqual([{ sessionId: session.id, reason: 'unanswered' }]);
  });

  test('R5 after a lost answer in the background the last send waits until somebody has no other token', async () => {
    const client = webClient(server, { refreshAhead: 300 * SECOND });
    const { session } = await signIn(client);
    const token = await session.getToken();
    client.clock.advance(3_400 * SECOND);
    server.answersNext(reset());
    expect(await session.getToken()).toBe(token);
    await expect.poll(() => client.events['refresh-failed']).toHaveLength(1);
    for (let times = 1; times <= 3; times += 1) {
      client.clock.advance(60 * SECOND);
      expect(await session.getToken()).toBe(token);
      await expect.poll(() => client.events['refresh-failed']).toHaveLength(times + 1);
    }
    expect(refreshTokensSent().filter(Boolean)).toHaveLength(1);
    client.clock.advance(60 * SECOND);
    expect((await session.getToken()).value).not.toBe(token.value);
    expect(refreshTokensSent().filter(Boolean)).toHaveLength(2);
  });

  test('R5 what never left is not a send: a client authentication that hangs ends with the deadline, and the session goes on', async () => {
    const store = new MapStore();
    const { session, clock } = await atExpiry({ store, encryptionKeys: [KEY] });
    let calls = 0;
    const hanging = clientSecretPost(CLIENT_SECRET);
    const clientAuthentication = {
      method: hanging.method,
      // The first call of each refresh finds out whether there is a proof, the second is for the request itself.
      authenticate: async (request: UnauthenticatedRequest) => (++calls % 2 === 1 ? hanging.authenticate(request) : new Promise<never>(() => undefined)),
    };
    const other = webClient(server, { store, encryptionKeys: [KEY], clock, clientAuthentication, timeout: 400, retry: { limit: 0 } }).tokens.session(session.id);
    for (let times = 0; times < 3; times += 1) {
      expect(await failureOf(other.getToken())).toMatchObject({ code: 'timeout' });
      clock.advance(60 * SECOND);
    }
    expect(server.tokenRequests).toEqual([]);
    expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
  });

  test('R5 as long as an access token is good, two lost answers end nothing', async () => {
    const client = webClient(server, { retry: { limit: 0 } });
    const { session } = await signIn(client);
    const token = await session.getToken();
    server.answersEvery(reset());
    for (let times = 0; times < 4; times += 1) {
      expect(await failureOf(session.forResource({ resource: 'https://orders.example' }).getToken())).toMatchObject({ code: 'server_unreachable', retryable: true });
      client.clock.advance(60 * SECOND);
    }
    expect(refreshTokensSent().filter(Boolean)).toHaveLength(2);
    expect((await session.getToken()).value).toBe(token.value);
    expect(client.events['session-ended']).toEqual([]);
  });

  test.each([
    ['within the grace', 29 * SECOND, true],
    ['at its end', 30 * SECOND, false],
  ])('R5 with a grace of 30 s, sent again %s', async (_when, later, lives) => {
    server.graceMs = 30 * SECOND;
    const { session, clock } = await atExpiry({ refreshGrace: 30 * SECOND, retry: { limit: 0 } });
    server.answersNext(lose());
    await failureOf(session.getToken());
    clock.advance(later);
    const outcome = await session.getToken().then(() => true, () => false);
    expect(outcome).toBe(lives);
  });

  test('R5 within the grace it is sent as often as need be', async () => {
    server.graceMs = 600 * SECOND;
    const { session, clock } = await atExpiry({ refreshGrace: 600 * SECOND, retry: { limit: 0 } });
    server.answersNext(...Array.from({ length: 6 }, lose));
    for (let times = 0; times < 6; times += 1) {
      await failureOf(session.getToken());
      clock.advance(60 * SECOND);
    }
    expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
    expect(server.tokenRequests).toHaveLength(7);
    expect(new Set(refreshTokensSent()).size).toBe(1);
  });
});

describe('R6 nobody\'s abort stops what was sent', () => {
  test('R6 a caller aborts: the refresh goes on, and what it brings is kept', async () => {
    const { session } = await atExpiry();
    const hold = server.hold();
    const reason = new Error('changed my mind');
    const controller = new AbortController();
    const aborted = session.getToken({ signal: controller.signal }).then(() => undefined, (thrown: unknown) => thrown);
    await hold.arrived;
    controller.abort(reason);
    expect(await aborted).toBe(reason);
    hold.release();
    expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('R6 close() waits for a refresh that was sent, and it is kept', async () => {
    const store = new MapStore();
    const { tokens, session, clock } = await atExpiry({ store, encryptionKeys: [KEY] });
    const hold = server.hold();
    const refreshed = session.getToken();
    await hold.arrived;
    const closed = tokens.close();
    hold.release();
    await closed;
    await refreshed;
    clock.advance(HOUR);
    await webClient(server, { store, encryptionKeys: [KEY], clock }).tokens.session(session.id).getToken();
    expect(server.reuses).toBe(0);
  });
});

test.each<[string, unknown]>([['omitted', undefined], ['null', null], ['empty', '']])('R7 a refresh token that is %s: the old one is kept', async (_what, refreshToken) => {
  server.rotation = 'keep';
  const { session, clock } = await atExpiry();
  server.nextTokenAnswerWith({ refresh_token: refreshToken });
  await session.getToken();
  clock.advance(HOUR);
  await session.getToken();
  expect(refreshTokensSent()).toHaveLength(2);
  expect(new Set(refreshTokensSent()).size).toBe(1);
});

describe('R8 an access token that is good is served', () => {
  test('R8 while store and server are down', async () => {
    const store = new FailingStore();
    const client = webClient(server, { store, encryptionKeys: false });
    const { session } = await signIn(client);
    const token = await session.getToken();
    store.isDown = true;
    await server.stop();
    client.clock.advance(HOUR - SECOND);
    expect(await session.getToken()).toBe(token);
  });

  test('R8 with `rejected` and a failing refresh that call rejects; callers without it still get the token', async () => {
    const client = webClient(server, { retry: { limit: 0 } });
    const { session } = await signIn(client);
    const token = await session.getToken();
    server.answersNext({ status: 503 });
    expect(await failureOf(session.getToken({ rejected: token }))).toMatchObject({ code: 'token_request_failed' });
    expect(await session.getToken()).toBe(token);
  });
});

describe('R9 ended during a refresh', () => {
  test('R9 who waits is told at once, and the late refresh token is revoked', async () => {
    const { session, events } = await atExpiry();
    const hold = server.hold();
    const waiting = failureOf(session.getToken());
    await hold.arrived;
    await session.end();
    expect(await waiting).toMatchObject({ code: 'reauthorization_required' });
    hold.release();
    await expect.poll(() => server.revocations.map(({ token }) => token)).toContain(server.issued.at(-1)?.refreshToken);
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required' });
    expect(await session.info()).toBeUndefined();
    expect(events['session-ended']).toEqual([{ sessionId: session.id, reason: 'ended' }]);
  });
});

describe('a session behind a fetch', () => {
  test('F7 100 parallel 401s: one refresh', async () => {
    await using api = await startApi();
    const client = webClient(server);
    const { session } = await signIn(client);
    const first = await session.getToken();
    api.acceptsOnly((token) => token !== first.value);
    const fetch = createFetch(client.tokens.session(session.id), { baseUrl: api.origin, allowInsecureRequests: true });
    const statuses = await Promise.all(Array.from({ length: 100 }, async () => (await fetch('/')).status));
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('F11 the grant is gone: the original 401 comes back', async () => {
    await using api = await startApi();
    const client = webClient(server);
    const { session } = await signIn(client);
    api.acceptsOnly(() => false);
    server.killAllGrants();
    const fetch = createFetch(session, { baseUrl: api.origin, allowInsecureRequests: true });
    expect((await fetch('/')).status).toBe(401);
    expect(client.events['session-ended']).toHaveLength(1);
    await expect(fetch('/')).rejects.toMatchObject({ code: 'reauthorization_required' });
  });
});
