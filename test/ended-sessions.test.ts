import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Lock } from 'grantkeeper';
import { inProcessLock } from '../src/cache/in-process-lock.js';
import { systemClock } from '../src/clock.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { ManualClock } from './support/clock.js';
import { eventually } from './support/eventually.js';
import { failureOf } from './support/failure.js';
import { FaultyStore } from './support/faulty-store.js';
import type { MachineClient, MachineClientOptions } from './support/machine-client.js';
import { headKeyOf } from './support/session-head.js';
import { signIn, webClient } from './support/web-client.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Forgets what is over, as Redis does. */
class ForgettingStore extends FaultyStore {
  readonly #expires = new Map<string, number>();

  forgetExpired(): void {
    for (const [key, expires] of this.#expires) if (expires <= clock.now()) this.entries.delete(key);
  }

  override async set(key: string, value: unknown, ttl = Infinity): Promise<unknown> {
    this.#expires.set(key, clock.now() + ttl);
    return super.set(key, value, ttl);
  }
}

/*
 * A session that is over, by the server or by `end()`, is over for all processes and for good, whatever the store did not take or takes late.
 */

let server: AuthorizationServer;
let store: ForgettingStore;
let clock: ManualClock;

beforeEach(async () => {
  server = await startAuthorizationServer();
  server.idTokenOnRefresh = false;
  clock = new ManualClock();
  store = new ForgettingStore();
});

afterEach(async () => {
  vi.useRealTimers();
  await server.close();
});

function processWith(lock: Lock, options: MachineClientOptions = {}): MachineClient {
  return webClient(server, { store, encryptionKeys: false, clock, lock, ...options });
}

function ownLock(): Lock {
  return inProcessLock(systemClock);
}

function headKey(): string {
  return headKeyOf(store);
}

/** For a process that knows nothing of it. */
async function expectItIsOver(id: string, lock: Lock): Promise<void> {
  const elsewhere = processWith(lock).tokens.session(id);
  expect(await elsewhere.info()).toBeUndefined();
  expect(await failureOf(elsewhere.getToken())).toMatchObject({ code: 'reauthorization_required' });
}

test.each([['nothing of it', ['set', 'set'] as const], ['its slot, but not the head', [] as const]])('R9 logout of a session that the server has ended, of which the store took %s: once end() resolves it is over for all', async (_what, failures) => {
  const lock = ownLock();
  const here = processWith(lock);
  const { session } = await signIn(here);
  await session.getToken();
  // Due for a refresh, but still good for some minutes.
  clock.advance(HOUR - 4 * 60_000);
  server.killAllGrants();
  const hold = server.hold();
  const refreshed = session.getToken();
  await hold.arrived;
  hold.release();
  if (failures.length > 0) {
    await refreshed;
    store.failsNext(...failures);
  } else {
    const set = store.set.bind(store);
    vi.spyOn(store, 'set').mockImplementation(async (key, value, ttl) => {
      if (key === headKey() && String(value).includes('refused')) throw Object.assign(new Error('lost'), { code: 'ECONNRESET' });
      return set(key, value, ttl);
    });
    await refreshed;
  }
  await eventually(() => { expect(here.events['session-ended']).toHaveLength(1); });
  await eventually(async () => { expect(await lock.acquire(headKey(), 'somebody', 1, 0)).toHaveProperty('fence'); });
  vi.restoreAllMocks();
  clock.advance(10_000);
  await session.end();
  await expectItIsOver(session.id, lock);
});

test('R9 a head that is written late, after end(): the session doesn\'t come back when its tombstone is forgotten', async () => {
  const lock = ownLock();
  server.expiresIn = 30 * 24 * 3_600;
  const { session } = await signIn(processWith(lock));
  await session.getToken();
  const key = headKey();
  const [record, ttl] = [store.entries.get(key), 30 * DAY];
  await session.end({ revoke: false });
  // What a client had queued while its connection was lost.
  await store.set(key, record, ttl);
  const elsewhere = processWith(lock).tokens.session(session.id);
  expect(await elsewhere.info()).toBeUndefined();
  clock.advance(DAY + 1);
  store.forgetExpired();
  await expectItIsOver(session.id, lock);
});

test('R9 the same by the library alone: a refresh whose head write hangs in the client while the session is ended elsewhere', async () => {
  const sleeper = processWith(ownLock());
  const { session } = await signIn(sleeper);
  clock.advance(HOUR);
  const answer = server.hold();
  const token = session.getToken();
  await answer.arrived;
  const slot = store.holds('set');
  answer.release();
  await slot.arrived;
  const head = store.holds('set');
  slot.release();
  await head.arrived;
  // 1 s later the library gives up waiting for it, and hands out what it has in memory.
  await token;
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
  await processWith(ownLock()).tokens.session(session.id).end({ revoke: false });
  vi.useRealTimers();
  // The client has its connection again, and sends what it had queued.
  head.release();
  clock.advance(60_000);
  await session.getToken().catch(() => undefined);
  await sleeper.tokens.close();
  clock.advance(DAY + 1);
  store.forgetExpired();
  expect(await processWith(ownLock()).tokens.session(session.id).info()).toBeUndefined();
});

test('a session that is over by its lifetime, in a store that doesn\'t forget, costs the same at every look', async () => {
  const lock = ownLock();
  const { session } = await signIn(processWith(lock));
  clock.advance(400 * DAY);
  const costs: number[] = [];
  for (let looks = 0; looks < 120; looks += 1) {
    const before = store.count('get');
    expect(await session.info()).toBeUndefined();
    costs.push(store.count('get') - before);
  }
  expect(costs.at(-1)).toBeLessThan(10);
});

test('R2 a store that takes the record again a moment after the lease: whoever has the lock waits for just that, and nobody writes it', async () => {
  const mine = { isDown: false };
  const shaky = {
    get: async (key: string) => (mine.isDown ? Promise.reject(new Error('down')) : store.get(key)),
    set: async (key: string, value: unknown, ttl?: number) => (mine.isDown ? Promise.reject(new Error('down')) : store.set(key, value, ttl)),
    delete: async (key: string) => store.delete(key),
  };
  const lock = ownLock();
  const { session } = await signIn(processWith(lock, { store: shaky }));
  clock.advance(HOUR);
  const hold = server.hold();
  const refreshed = session.getToken();
  await hold.arrived;
  mine.isDown = true;
  hold.release();
  const { value } = await refreshed;
  // The lease runs out.
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 13_001 });
  const gets = store.count('get');
  const other = processWith(lock).tokens.session(session.id).getToken();
  await eventually(() => { expect(store.count('get')).toBeGreaterThanOrEqual(gets + 4); });
  mine.isDown = false;
  expect((await other).value).toBe(value);
  expect(server.reuses).toBe(0);
});

test('R9 end() while what was in memory only is being written: the newest refresh token is the one that is revoked', async () => {
  const lock = ownLock();
  const { session } = await signIn(processWith(lock));
  clock.advance(HOUR);
  const hold = server.hold();
  const refreshed = session.getToken();
  await hold.arrived;
  store.isDown = true;
  hold.release();
  await refreshed;
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
  store.isDown = false;
  clock.advance(10_000);
  const write = store.holds('set');
  await session.getToken();
  await write.arrived;
  // Answers of the store to end() come late: what they say is from before.
  const get = store.get.bind(store);
  let goOn = (): void => undefined;
  const late = new Promise<void>((resolve) => { goOn = resolve; });
  let reads = 0;
  vi.spyOn(store, 'get').mockImplementation(async (key) => {
    const answer = await get(key);
    if (key.endsWith(':1') && reads === 0) {
      reads += 1;
      await late;
    }
    return answer;
  });
  const ended = session.end();
  await eventually(() => { expect(reads).toBe(1); });
  write.release();
  await eventually(() => { expect(String(store.entries.get(headKey()))).toContain('rt-2'); });
  for (let turn = 0; turn < 5; turn += 1) await nextTurn();
  goOn();
  await ended;
  expect(server.revocations.map(({ token }) => token)).toEqual(['rt-2']);
});

test('R9 end() while the store deletes nothing, or is left alone because it didn\'t for another session: the session doesn\'t come back a day later', async () => {
  const lock = ownLock();
  server.expiresIn = 30 * 24 * 3_600;
  const client = processWith(lock);
  const other = (await signIn(client)).session;
  const { session } = await signIn(client);
  // One delete of somebody else's session fails.
  let failures = 0;
  const remove = store.delete.bind(store);
  vi.spyOn(store, 'delete').mockImplementation(async (key) => {
    failures += 1;
    if (failures === 1) throw Object.assign(new Error('lost'), { code: 'ECONNRESET' });
    return remove(key);
  });
  await other.end();
  await session.end();
  clock.advance(DAY + 1);
  store.forgetExpired();
  await expectItIsOver(session.id, lock);
});

test('R9 end() succeeds once the end stands, whether or not the head can be written', async () => {
  const lock = ownLock();
  const { session } = await signIn(processWith(lock));
  const key = headKey();
  const set = store.set.bind(store);
  vi.spyOn(store, 'set').mockImplementation(async (...call) => (call[0] === key ? Promise.reject(new Error('lost')) : set(...call)));
  await session.end();
  vi.restoreAllMocks();
  await expectItIsOver(session.id, lock);
  expect(String(store.entries.get(key))).not.toContain('rt-1');
});

test('R9 end() of a session that the server has ended is as final as any: a head that is written late doesn\'t bring it back', async () => {
  const lock = ownLock();
  const here = processWith(lock);
  const { session } = await signIn(here);
  await session.getToken();
  const [key, record] = [headKey(), store.entries.get(headKey())];
  clock.advance(HOUR - 4 * 60_000);
  server.killAllGrants();
  await session.getToken();
  await eventually(() => { expect(String(store.entries.get(key))).toContain('refused'); });
  await processWith(lock).tokens.session(session.id).end();
  store.entries.set(key, record);
  await expectItIsOver(session.id, lock);
});

test('the same of a session that the server has ended, looked at by processes that know nothing of it', async () => {
  const lock = ownLock();
  const here = processWith(lock);
  const { session } = await signIn(here);
  server.killAllGrants();
  clock.advance(HOUR);
  expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required' });
  await eventually(() => { expect(String(store.entries.get(headKey()))).toContain('refused'); });
  const costs: number[] = [];
  for (let looks = 0; looks < 120; looks += 1) {
    const before = store.count('get');
    expect(await processWith(lock).tokens.session(session.id).info()).toBeUndefined();
    costs.push(store.count('get') - before);
  }
  expect(costs.at(-1)).toBeLessThan(10);
});

test('R2 close() that wrote what was in memory only has let go of the lock', async () => {
  const inner = ownLock();
  const lock: Lock = {
    acquire: async (...call) => inner.acquire(...call),
    renew: async (...call) => inner.renew(...call),
    // A server that is some turns of the event loop away.
    async release(...call) {
      for (let turn = 0; turn < 5; turn += 1) await nextTurn();
      return inner.release(...call);
    },
  };
  const one = processWith(lock);
  const { session } = await signIn(one);
  clock.advance(HOUR);
  const hold = server.hold();
  const refreshed = session.getToken();
  await hold.arrived;
  store.failsNext('set', 'set');
  hold.release();
  await refreshed;
  await one.tokens.close();
  expect(String(store.entries.get(headKey()))).toContain('rt-2');
  expect(await inner.acquire(headKey(), 'somebody else', 1_000, 0)).toHaveProperty('fence');
});
