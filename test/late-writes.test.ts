import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Lock, Session } from 'grantkeeper';
import { inProcessLock } from '../src/cache/in-process-lock.js';
import { systemClock } from '../src/clock.js';
import { lose } from './support/answers.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { ManualClock } from './support/clock.js';
import { eventually } from './support/eventually.js';
import { failureOf } from './support/failure.js';
import { FaultyStore } from './support/faulty-store.js';
import type { MachineClient, MachineClientOptions } from './support/machine-client.js';
import { headKeyOf } from './support/session-head.js';
import { rejection } from './support/token-server.js';
import { signIn, webClient } from './support/web-client.js';

/*
 * Two processes on one store, of which one was stopped, or has a client that sends what it queued long after it gave up: whatever it writes then, the other's
 * newer record stands. The store can only get, set and delete.
 */

const HOUR = 3_600_000;

let server: AuthorizationServer;
let store: FaultyStore;
let clock: ManualClock;

beforeEach(async () => {
  server = await startAuthorizationServer();
  server.idTokenOnRefresh = false;
  store = new FaultyStore();
  clock = new ManualClock();
});

afterEach(async () => {
  vi.useRealTimers();
  await server.close();
});

/** A process with an empty memory. Its leases go by the lock's clock: one lock for each process stands for leases that ran out. */
function processWith(lock: Lock, options: MachineClientOptions = {}): MachineClient {
  return webClient(server, { store, encryptionKeys: false, clock, lock, ...options });
}

function ownLock(): Lock {
  return inProcessLock(systemClock);
}

/** The entry that readers see. */
function headKey(): string {
  return headKeyOf(store);
}

/** The session's next access token, whose refresh token is in memory only until the store has failed so often. */
async function refreshedWhileStoreFails(session: Session, times = 2): Promise<string> {
  clock.advance(HOUR);
  const hold = server.hold();
  const refreshed = session.getToken();
  await hold.arrived;
  store.failsNext(...Array.from({ length: times }, () => 'set' as const));
  hold.release();
  return (await refreshed).value;
}

test('M3 a head written late, by a client that had queued it, costs the next owner some reads and nobody a session', async () => {
  const lock = ownLock();
  const [one, other] = [processWith(lock), processWith(lock)];
  const { session } = await signIn(one);
  clock.advance(HOUR);
  await session.getToken();
  const late = store.entries.get(headKey());
  clock.advance(HOUR);
  await other.tokens.session(session.id).getToken();
  store.entries.set(headKey(), late);
  clock.advance(HOUR);
  await processWith(lock).tokens.session(session.id).getToken();
  expect(server.reuses).toBe(0);
  expect(server.tokenRequests.at(-1)?.parameters.get('refresh_token')).toBe('rt-3');
});

test('M3 a head that couldn\'t be written is put right by the next owner, and what it says is handed out without a request', async () => {
  const lock = ownLock();
  const { session } = await signIn(processWith(lock));
  clock.advance(HOUR);
  const hold = server.hold();
  const refreshed = session.getToken();
  await hold.arrived;
  const head = headKey();
  const before = store.entries.get(head);
  hold.release();
  const { value } = await refreshed;
  store.entries.set(head, before);
  const requests = server.tokenRequests.length;
  expect((await processWith(lock).tokens.session(session.id).getToken()).value).toBe(value);
  expect(server.tokenRequests).toHaveLength(requests);
  expect(String(store.entries.get(head))).toContain(value);
});

test('M3 an end by the server that is written late ends nothing: it is looked at under the lock', async () => {
  const lock = ownLock();
  const { session } = await signIn(processWith(lock));
  clock.advance(HOUR);
  const { value } = await session.getToken();
  store.entries.set(headKey(), JSON.stringify({ version: 1, fence: 0, ended: 'refused' }));
  expect((await processWith(lock).tokens.session(session.id).getToken()).value).toBe(value);
  expect(await session.info()).toMatchObject({ id: session.id });
});

test('M3 a head that is written late, and is older than a session is kept, hides nothing either', async () => {
  const lock = ownLock();
  const options = { sessionLifetime: 2 * HOUR };
  const one = processWith(lock, options);
  const { session } = await signIn(one);
  const late = store.entries.get(headKey());
  for (let hours = 0; hours < 3; hours += 1) {
    clock.advance(HOUR);
    await session.getToken();
  }
  store.entries.set(headKey(), late);
  const other = processWith(lock, options).tokens.session(session.id);
  expect(await other.info()).toBeDefined();
  expect((await other.getToken()).value).toBe('at-4');
});

test('R9 an end that was asked for is not undone by a record that is written late', async () => {
  const lock = ownLock();
  const { session } = await signIn(processWith(lock));
  const [head, record] = [headKey(), store.entries.get(headKey())];
  await session.end();
  store.entries.set(head, record);
  const elsewhere = processWith(lock).tokens.session(session.id);
  expect(await failureOf(elsewhere.getToken())).toMatchObject({ code: 'reauthorization_required' });
  expect(await elsewhere.info()).toBeUndefined();
});

test('R9 a refresh whose lease ran out while somebody else ended the session hands out nothing, and revokes what it got', async () => {
  const sleeper = processWith(ownLock());
  const { session } = await signIn(sleeper);
  clock.advance(HOUR);
  const hold = server.hold();
  const late = failureOf(session.getToken());
  await hold.arrived;
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
  await processWith(ownLock()).tokens.session(session.id).end({ revoke: false });
  hold.release();
  expect(await late).toMatchObject({ code: 'reauthorization_required' });
  await eventually(() => { expect(server.revocations).toEqual([{ token: 'rt-2', hint: 'refresh_token' }]); });
});

test('M3 a lease that ran out before the refresh token left: it doesn\'t leave', async () => {
  const sleeper = processWith(ownLock());
  const { session } = await signIn(sleeper);
  clock.advance(HOUR);
  const write = store.holds('set');
  const late = failureOf(session.getToken());
  await write.arrived;
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
  write.release();
  expect(await late).toMatchObject({ code: 'store_failed', retryable: true });
  expect(server.tokenRequests).toHaveLength(1);
  vi.useRealTimers();
  expect(await processWith(ownLock()).tokens.session(session.id).getToken()).toMatchObject({ type: 'Bearer' });
});

test('M3 who finds a refresh token sent by somebody that fell silent gives the sender time, and takes what it writes', async () => {
  const { session } = await signIn(processWith(ownLock()));
  clock.advance(HOUR);
  const hold = server.hold();
  const refreshed = session.getToken();
  await hold.arrived;
  const gets = store.count('get');
  const other = processWith(ownLock()).tokens.session(session.id).getToken();
  // It has looked once, under its lock.
  await eventually(() => { expect(store.count('get')).toBeGreaterThanOrEqual(gets + 4); });
  hold.release();
  expect((await other).value).toBe((await refreshed).value);
  expect(server.tokenRequests).toHaveLength(2);
});

test('M3 what a silent sender wrote after all is taken by who had already been refused: no reuse detection, and the session lives', async () => {
  server.rotation = 'keep';
  const sleeper = processWith(ownLock(), { refreshGrace: HOUR });
  const { session } = await signIn(sleeper);
  clock.advance(HOUR);
  const hold = server.hold();
  const refreshed = session.getToken();
  await hold.arrived;
  const second = server.hold();
  const other = processWith(ownLock(), { refreshGrace: HOUR }).tokens.session(session.id).getToken();
  await second.arrived;
  hold.release({ json: { access_token: 'at-late', token_type: 'Bearer', expires_in: 3600, refresh_token: 'rt-late' } });
  await refreshed;
  second.release(rejection('invalid_grant'));
  expect((await other).value).toBe('at-late');
});

test('fences that begin anew don\'t hide what a process wrote that died before anybody could see it', async () => {
  const { session } = await signIn(processWith(ownLock()));
  const head = headKey();
  const before = store.entries.get(head);
  clock.advance(HOUR);
  const { value } = await session.getToken();
  store.entries.set(head, before);
  // A lock whose server was emptied gives the fence again under which the record is.
  expect((await processWith(ownLock()).tokens.session(session.id).getToken()).value).toBe(value);
  expect(server.tokenRequests).toHaveLength(2);
});

test('and nothing is written under such a fence: two processes never write one slot', async () => {
  const { session } = await signIn(processWith(ownLock()));
  const head = headKey();
  const before = store.entries.get(head);
  clock.advance(HOUR);
  await session.getToken();
  store.entries.set(head, before);
  clock.advance(HOUR);
  const sets = store.calls.length;
  await processWith(ownLock()).tokens.session(session.id).getToken();
  const slots = store.calls.slice(sets).filter(({ operation, key }) => operation === 'set' && key !== head).map(({ key }) => key.slice(head.length));
  expect(new Set(slots)).toEqual(new Set([':2']));
});

test('R2 while a refresh token is in memory only, nobody else gets at the session: they would use the one that is spent', async () => {
  const lock = ownLock();
  const [one, other] = [processWith(lock), processWith(lock)];
  const { session } = await signIn(one);
  const value = await refreshedWhileStoreFails(session);
  expect(await lock.acquire(headKey(), 'somebody else', 1_000, 0)).toMatchObject({ busy: expect.any(Number) as number });
  const gets = store.count('get');
  const waiting = other.tokens.session(session.id).getToken();
  await eventually(() => { expect(store.count('get')).toBeGreaterThan(gets + 4); });
  expect(server.tokenRequests).toHaveLength(2);
  await session.getToken();
  expect((await waiting).value).toBe(value);
  expect(server.tokenRequests).toHaveLength(2);
});

test('R2 it is written without anybody asking for a token, for as long as nobody else can have the lock', async () => {
  const lock = ownLock();
  const { session } = await signIn(processWith(lock));
  const value = await refreshedWhileStoreFails(session);
  expect((await processWith(lock).tokens.session(session.id).getToken()).value).toBe(value);
  expect(server.tokenRequests).toHaveLength(2);
});

test('R2 a slot in which a silent sender may yet write is left alone by who finds nothing in it', async () => {
  server.expiresIn = 24 * 3_600;
  const options = { sessionLifetime: 4 * HOUR };
  const { session } = await signIn(processWith(ownLock(), options));
  const hold = server.hold();
  const refreshed = session.forResource({ resource: 'https://a.example' }).getToken();
  await hold.arrived;
  const elsewhere = processWith(ownLock(), options).tokens.session(session.id);
  // Fences of a lock of its own begin anew: the first is the sender's.
  const touch = store.holds('set');
  let isArrived = false;
  void touch.arrived.then(() => { isArrived = true; });
  clock.advance(HOUR);
  await eventually(async () => {
    await elsewhere.getToken();
    expect(isArrived).toBe(true);
  });
  hold.release();
  await refreshed;
  touch.release();
  await eventually(() => { expect(String(store.entries.get(headKey()))).toContain('"fence":2'); });
  await elsewhere.forResource({ resource: 'https://b.example' }).getToken();
  expect(server.lastTokenRequest.parameters.get('refresh_token')).toBe('rt-2');
  expect(server.reuses).toBe(0);
});

test('M1 who waits for another\'s refresh finds its token in the head, and needs no lock', async () => {
  const lock = ownLock();
  let given = 0;
  const counting: Lock = {
    async acquire(...call) {
      const answer = await lock.acquire(...call);
      if ('fence' in answer) given += 1;
      return answer;
    },
    renew: async (...call) => lock.renew(...call),
    release: async (...call) => lock.release(...call),
  };
  const { session } = await signIn(processWith(counting));
  clock.advance(HOUR);
  given = 0;
  const hold = server.hold();
  const refreshed = session.getToken();
  await hold.arrived;
  const gets = store.count('get');
  const waiting = processWith(counting).tokens.session(session.id).getToken();
  await eventually(() => { expect(store.count('get')).toBeGreaterThan(gets + 2); });
  hold.release();
  expect((await waiting).value).toBe((await refreshed).value);
  expect(given).toBe(1);
});

test('M3 a refresh token for whose answer too little time is left doesn\'t leave: a process that slept finds its timers late', async () => {
  const { tokens } = processWith(ownLock());
  const { session } = await signIn({ tokens });
  clock.advance(HOUR);
  const write = store.holds('set');
  const late = failureOf(session.getToken());
  await write.arrived;
  const now = performance.now.bind(performance);
  vi.spyOn(performance, 'now').mockImplementation(() => now() + 9_500);
  write.release();
  expect(await late).toMatchObject({ code: 'timeout', retryable: true });
  vi.restoreAllMocks();
  expect(server.tokenRequests).toHaveLength(1);
});

test('R2 a lock that is kept for an unwritten note is kept through the next try as well, whose intent is written', async () => {
  const lock = ownLock();
  const { tokens, events } = processWith(lock);
  const { session } = await signIn({ tokens });
  clock.advance(HOUR);
  server.answersNext(() => {
    store.failsNext('set', 'set');
    return { status: 429, headers: { 'retry-after': '1' }, json: { error: 'slow_down' } };
  });
  const second = server.hold();
  const refreshed = session.getToken();
  await eventually(() => { expect(events['store-failed']).toHaveLength(1); });
  // The store is asked again.
  clock.advance(1_000);
  await second.arrived;
  expect(await lock.acquire(headKey(), 'somebody else', 1_000, 0)).toMatchObject({ busy: expect.any(Number) as number });
  second.release();
  await refreshed;
  expect(await lock.acquire(headKey(), 'somebody else', 1_000, 0)).toHaveProperty('fence');
});

test('R3 a refusal after which the store fails is a plain one when it comes again: an answer had come', async () => {
  const { tokens, events } = processWith(ownLock());
  const { session } = await signIn({ tokens });
  clock.advance(HOUR);
  server.killAllGrants();
  server.answersNext(() => {
    store.failsNext('get', 'get', 'get', 'get');
    return rejection('invalid_grant');
  });
  expect(await failureOf(session.getToken())).toMatchObject({ code: 'store_failed' });
  clock.advance(60_000);
  expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required', error: 'invalid_grant' });
  expect(events['session-ended']).toEqual([{ sessionId: session.id, reason: 'refused' }]);
});

test('R2 close() goes on writing what is in memory only, for as long as it may take', async () => {
  const one = processWith(ownLock());
  const { session } = await signIn(one);
  await refreshedWhileStoreFails(session, 6);
  await one.tokens.close();
  expect(String(store.entries.get(headKey()))).toContain('rt-2');
});

test('R9 a refresh token in memory only of a session that ended elsewhere meanwhile is revoked, and not left in the store', async () => {
  const one = processWith(ownLock());
  const { session } = await signIn(one);
  clock.advance(HOUR);
  const hold = server.hold();
  const token = session.getToken();
  await hold.arrived;
  store.isDown = true;
  hold.release();
  await token;
  store.isDown = false;
  // Its lease has run out.
  await processWith(ownLock()).tokens.session(session.id).end({ revoke: false });
  clock.advance(10_000);
  await session.getToken().catch(() => undefined);
  await eventually(() => { expect(server.revocations.map(({ token: revoked }) => revoked)).toContain('rt-2'); });
  expect([...store.entries.values()].some((text) => String(text).includes('rt-2'))).toBe(false);
});

test('a slot that is outvoted by a record that was written late is deleted as any other', async () => {
  const lock = ownLock();
  const one = processWith(lock);
  const { session } = await signIn(one);
  clock.advance(HOUR);
  await session.getToken();
  clock.advance(HOUR);
  const hold = server.hold();
  const token = session.getToken();
  await hold.arrived;
  store.failsNext('set', 'set');
  hold.release();
  await token;
  clock.advance(10_000);
  await session.getToken();
  await eventually(() => { expect([...store.entries.values()].some((text) => String(text).includes('rt-3'))).toBe(true); });
  clock.advance(HOUR);
  await session.getToken();
  clock.advance(HOUR);
  await session.getToken();
  await eventually(() => { expect([...store.entries.keys()].filter((key) => key.startsWith(headKey()))).toHaveLength(2); });
});

test('R5 an answer that is known to be lost keeps nobody waiting: its sender said so', async () => {
  const lock = ownLock();
  Object.assign(server, { graceMs: HOUR });
  const { session } = await signIn(processWith(lock, { retry: { limit: 0 } }));
  clock.advance(HOUR);
  server.answersNext(lose());
  await failureOf(session.getToken());
  const slots = [...store.entries].filter(([key]) => /:\d+$/.test(key)).map(([, text]) => JSON.parse(String(text)) as { attempt?: object });
  expect(slots).toMatchObject([{ attempt: { sends: 1, openUnder: [] } }]);
});

test('an owner leaves one slot behind, whatever happened before', async () => {
  const lock = ownLock();
  const { session } = await signIn(processWith(lock));
  for (let hours = 0; hours < 5; hours += 1) {
    clock.advance(HOUR);
    await processWith(lock).tokens.session(session.id).getToken();
  }
  await eventually(() => { expect([...store.entries.keys()].filter((key) => key.startsWith(headKey()))).toHaveLength(2); });
});
