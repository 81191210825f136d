import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { inspect } from 'node:util';
import { createTokenManager, OAuthError, type KeyvLike } from 'grantkeeper';
import { Keyv } from 'keyv';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { deferred } from './support/deferred.js';
import { eventually } from './support/eventually.js';
import { CLIENT_SECRET, machineClient } from './support/machine-client.js';
import { MapStore } from './support/map-store.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const CANARY = 'canary-77aa';

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

function newKey(): string {
  return randomBytes(32).toString('base64url');
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}

/** Stores may reject with anything. */
function rejectionWith(reason: unknown): Promise<never> {
  return Promise.resolve().then(() => { throw reason; });
}

function storeOf(methods: Partial<KeyvLike>): KeyvLike {
  const good = new MapStore();
  return {
    get: async (key) => good.get(key),
    set: async (key, value, ttl) => good.set(key, value, ttl),
    delete: async (key) => good.delete(key),
    ...methods,
  };
}

describe('two tiers', () => {
  test('C11 memory comes first: a token that is there asks no store', async () => {
    const store = new MapStore();
    const source = machineClient(server, { store, encryptionKeys: false }).tokens.clientCredentials();
    for (let calls = 0; calls < 10; calls += 1) await source.getToken();
    expect(store.calls.map(({ operation }) => operation)).toEqual(['get', 'set']);
  });

  test('C11 10,000 cold callers ask the store once', async () => {
    const store = new MapStore();
    const source = machineClient(server, { store, encryptionKeys: false }).tokens.clientCredentials();
    await Promise.all(Array.from({ length: 10_000 }, async () => source.getToken()));
    expect(store.count('get')).toBe(1);
    expect(store.count('set')).toBe(1);
  });

  test('C11 an entry lives as long as its token has left, in whole milliseconds above 0', async () => {
    const store = new MapStore();
    const { tokens, clock } = machineClient(server, { store, encryptionKeys: false });
    const hold = server.hold();
    const waiting = tokens.clientCredentials().getToken();
    await hold.arrived;
    clock.advance(20_000.5);
    hold.release();
    await waiting;
    expect(store.calls.at(-1)).toMatchObject({ operation: 'set', ttl: HOUR - 20_001 });
  });

  test('C11 the next start goes on with the stored token, all of it', async () => {
    const store = new MapStore();
    const encryptionKeys = [newKey()];
    server.answersNext({ json: { access_token: 'at', token_type: 'bearer', expires_in: 3600, scope: 'read', instance_url: 'https://eu1.example.com', nested: { a: [1] } } });
    const first = machineClient(server, { store, encryptionKeys });
    const token = await first.tokens.clientCredentials({ scope: 'read write' }).getToken();
    await first.tokens.close();

    const next = machineClient(server, { store, encryptionKeys });
    const stored = await next.tokens.clientCredentials({ scope: 'read write' }).getToken();
    expect({ ...stored, value: stored.value }).toEqual({ ...token, value: 'at' });
    expect(Object.isFrozen(stored.parameters)).toBe(true);
    expect(inspect(stored)).not.toContain("'at'");
    expect(server.tokenRequests).toHaveLength(1);
    expect(next.events.acquired).toEqual([]);
  });

  test('C11 a stored token without a lifetime is as old as it is', async () => {
    const store = new MapStore();
    server.answersNext({ json: { access_token: 'at', token_type: 'Bearer' } });
    await machineClient(server, { store, encryptionKeys: false }).tokens.clientCredentials().getToken();
    const { tokens, clock } = machineClient(server, { store, encryptionKeys: false, refreshAhead: 0 });
    clock.advance(HOUR - 30 * SECOND);
    expect(await tokens.clientCredentials().getToken()).not.toHaveProperty('expiresAt');
    clock.advance(1);
    expect((await tokens.clientCredentials().getToken()).value).toBe('at-1');
  });

  test.each([['expired', HOUR], ['about to expire', HOUR - 30 * SECOND + 1]])('C11 a stored token that is %s is not used, though the store still has it', async (_state, age) => {
    const store = new MapStore();
    await machineClient(server, { store, encryptionKeys: false }).tokens.clientCredentials().getToken();
    const { tokens, clock } = machineClient(server, { store, encryptionKeys: false });
    clock.advance(age);
    expect((await tokens.clientCredentials().getToken()).value).toBe('at-2');
  });

  test('C11 Keyv in memory, as it comes', async () => {
    const store = new Keyv();
    await machineClient(server, { store, encryptionKeys: [newKey()] }).tokens.clientCredentials().getToken();
    const shared = { store: new Keyv(), encryptionKeys: [newKey()] };
    const one = await machineClient(server, shared).tokens.clientCredentials().getToken();
    const other = machineClient(server, shared);
    expect((await other.tokens.clientCredentials().getToken()).value).toBe(one.value);
    expect(other.events['store-failed']).toEqual([]);
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('C11 closing leaves the store open: it is not ours', async () => {
    const disconnect = vi.fn();
    const store = Object.assign(new MapStore(), { disconnect, clear: disconnect });
    const { tokens } = machineClient(server, { store, encryptionKeys: false });
    await tokens.clientCredentials().getToken();
    await tokens.close();
    expect(disconnect).not.toHaveBeenCalled();
    expect(store.count('delete')).toBe(0);
    expect(store.entries.size).toBe(1);
  });
});

describe('C11 two managers on one store', () => {
  test('C11 they share their token, and each replacement of it', async () => {
    const shared = { store: new MapStore(), encryptionKeys: [newKey()] };
    const one = machineClient(server, shared);
    const other = machineClient(server, { ...shared, clock: one.clock });
    const [a, b] = [one.tokens.clientCredentials(), other.tokens.clientCredentials()];
    expect((await a.getToken()).value).toBe('at-1');
    expect((await b.getToken()).value).toBe('at-1');

    one.clock.advance(HOUR);
    expect((await b.getToken()).value).toBe('at-2');
    expect((await a.getToken()).value).toBe('at-2');
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('C11 ahead of time the second one adopts what the first one fetched', async () => {
    const shared = { store: new MapStore(), encryptionKeys: [newKey()] };
    const one = machineClient(server, shared);
    const other = machineClient(server, { ...shared, clock: one.clock });
    const [a, b] = [one.tokens.clientCredentials(), other.tokens.clientCredentials()];
    await a.getToken();
    await b.getToken();
    one.clock.advance(HOUR - MINUTE);
    await a.getToken();
    await eventually(() => one.events.refreshed.length === 1);
    await eventually(async () => (await a.getToken()).value === 'at-2');
    await eventually(() => shared.store.count('set') === 2);
    expect((await b.getToken()).value).toBe('at-1');
    await eventually(async () => (await b.getToken()).value === 'at-2');
    expect(server.tokenRequests).toHaveLength(2);
    expect(other.events.acquired).toEqual([]);
  });

  test('C11 a token refused by one is not adopted again, and its replacement is', async () => {
    const shared = { store: new MapStore(), encryptionKeys: [newKey()] };
    const one = machineClient(server, shared);
    const other = machineClient(server, { ...shared, clock: one.clock });
    const [a, b] = [one.tokens.clientCredentials(), other.tokens.clientCredentials()];
    const rejected = await a.getToken();
    await b.getToken();
    one.clock.advance(SECOND);
    expect((await a.getToken({ rejected })).value).toBe('at-2');
    expect((await b.getToken({ rejected })).value).toBe('at-2');
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('C11 a new process that is told of a refused token does not take it from the store', async () => {
    const shared = { store: new MapStore(), encryptionKeys: [newKey()] };
    const rejected = await machineClient(server, shared).tokens.clientCredentials().getToken();
    expect((await machineClient(server, shared).tokens.clientCredentials().getToken({ rejected })).value).toBe('at-2');
  });

  test('C11 a refusal while the refused token is being read from the store gets another', async () => {
    const store = new MapStore();
    const shared = { store, encryptionKeys: [newKey()] };
    const rejected = await machineClient(server, shared).tokens.clientCredentials().getToken();
    const source = machineClient(server, shared).tokens.clientCredentials();
    const [ordinary, refused] = await Promise.all([source.getToken(), source.getToken({ rejected })]);
    expect(ordinary.value).toBe('at-1');
    expect(refused.value).toBe('at-2');
  });

  test('C11 closing one, or the failures of one, leave the other alone', async () => {
    const store = new MapStore();
    const one = machineClient(server, { store, encryptionKeys: false, retry: { limit: 0 } });
    const other = machineClient(server, { store, encryptionKeys: false, retry: { limit: 0 } });
    server.answersNext({ status: 503 });
    await expect(one.tokens.clientCredentials().getToken()).rejects.toMatchObject({ status: 503 });
    expect((await other.tokens.clientCredentials().getToken()).value).toBe('at-1');
    await one.tokens.close();
    expect((await other.tokens.clientCredentials({ scope: 'x' }).getToken()).value).toBe('at-2');
  });
});

describe('C9 stores that misbehave', () => {
  const thrown = new Error(`ECONNREFUSED ${CANARY}`);

  test.each<[string, Partial<KeyvLike>, string[]]>([
    ['rejects', { get: async () => Promise.reject(thrown), set: async () => Promise.reject(thrown) }, ['get']],
    ['throws synchronously', { get: () => { throw thrown; }, set: () => { throw thrown; } }, ['get']],
    ['rejects with nothing', { get: async () => rejectionWith(undefined) }, ['get']],
    ['rejects with a text', { get: async () => rejectionWith(CANARY) }, ['get']],
    ['answers `false` to set', { set: async () => Promise.resolve(false) }, ['set']],
    ['rejects set only', { set: async () => Promise.reject(thrown) }, ['set']],
    ['answers a number', { get: async () => Promise.resolve(42) }, ['get']],
    ['answers `false` to get', { get: async () => Promise.resolve(false) }, ['get']],
    ['answers an empty text', { get: async () => Promise.resolve('') }, ['get']],
    ['answers an object', { get: async () => Promise.resolve({ value: CANARY }) }, ['get']],
    ['answers a list', { get: async () => Promise.resolve([]) }, ['get']],
    ['answers text that is no record', { get: async () => Promise.resolve(CANARY) }, ['get']],
    ['answers null: that is a miss like any other', { get: async () => Promise.resolve(null) }, []],
    ['gives values instead of promises', { get: (() => undefined) as unknown as KeyvLike['get'], set: (() => true) as unknown as KeyvLike['set'] }, []],
    ['answers undefined to set', { set: async () => Promise.resolve(undefined) }, []],
  ])('C9 one that %s: the token comes, and the failure is reported once', async (_case, methods, reported) => {
    for (const encryptionKeys of [false, [newKey()]] as const) {
      const { tokens, events } = machineClient(server, { store: storeOf(methods), encryptionKeys: encryptionKeys === false ? false : [...encryptionKeys] });
      expect((await tokens.clientCredentials().getToken()).value).toMatch(/^at-/);
      expect(events['store-failed'].map(({ operation }) => operation)).toEqual(reported);
      for (const { error } of events['store-failed']) {
        expect(error).toBeInstanceOf(OAuthError);
        expect(error.code).toBe('store_failed');
        expect(inspect(error, { depth: 20, showHidden: true })).not.toContain(CANARY);
      }
    }
  });

  test.each<[string, string]>([
    ['null', 'null'],
    ['a number', '1'],
    ['an empty object', '{}'],
    ['a record without its token', '{"version":1,"type":"Bearer","parameters":{},"lifetime":3600000,"obtainedAt":1767225600000}'],
    ['a record whose token is a number', '{"version":1,"value":7,"type":"Bearer","parameters":{},"lifetime":3600000,"obtainedAt":1767225600000}'],
    ['a record of another type of token', '{"version":1,"value":"x","type":"mac","parameters":{},"lifetime":3600000,"obtainedAt":1767225600000}'],
    ['a record without times', '{"version":1,"value":"x","type":"Bearer","parameters":{}}'],
    ['a record with a token that no header may carry', '{"version":1,"value":"x\\r\\ny","type":"Bearer","parameters":{},"lifetime":3600000,"obtainedAt":1767225600000}'],
    ['a record with an empty token', '{"version":1,"value":"","type":"Bearer","parameters":{},"lifetime":3600000,"obtainedAt":1767225600000}'],
  ])('C9 garbage in the clear, %s, is a miss', async (_case, text) => {
    const { tokens } = machineClient(server, { store: storeOf({ get: async () => Promise.resolve(text) }), encryptionKeys: false });
    expect((await tokens.clientCredentials().getToken()).value).toBe('at-1');
  });

  test('C9 one that hangs costs one deadline, not one per call', async () => {
    const get = vi.fn(never);
    const set = vi.fn(never);
    const { tokens, events } = machineClient(server, { store: storeOf({ get, set }), encryptionKeys: false, timeout: 1_200 });
    for (let calls = 0; calls < 50; calls += 1) await tokens.clientCredentials({ scope: `s${calls}` }).getToken();
    expect(get).toHaveBeenCalledTimes(1);
    expect(set).toHaveBeenCalledTimes(0);
    expect(events['store-failed']).toMatchObject([{ operation: 'get', error: { code: 'store_failed', retryable: true, cause: { code: 'timeout' } } }]);
    expect(server.tokenRequests).toHaveLength(50);
  });

  test('C9 one that hangs on set: the token is there after one deadline', async () => {
    const { tokens, events } = machineClient(server, { store: storeOf({ set: never }), encryptionKeys: false, timeout: 1_200 });
    expect((await tokens.clientCredentials().getToken()).value).toBe('at-1');
    expect(events['store-failed']).toMatchObject([{ operation: 'set' }]);
    expect((await tokens.clientCredentials().getToken()).value).toBe('at-1');
  });

  test('C9 the store is left alone for 0.5 s, doubled up to 4 s, and asked again after that', async () => {
    const get = vi.fn(async () => Promise.reject(new Error('down')));
    const { tokens, clock, events } = machineClient(server, { store: storeOf({ get }), encryptionKeys: false });
    let calls = 0;
    const miss = async (): Promise<unknown> => tokens.clientCredentials({ scope: `s${++calls}` }).getToken();
    for (const [round, pause] of [500, 1_000, 2_000, 4_000, 4_000].entries()) {
      await miss();
      expect(get).toHaveBeenCalledTimes(round + 1);
      clock.advance(pause - 1);
      await miss();
      expect(get).toHaveBeenCalledTimes(round + 1);
      expect(events['store-failed']).toHaveLength(round + 1);
      clock.advance(1);
    }
  });

  test('C9 one that comes back is used again', async () => {
    const store = new MapStore();
    let down = true;
    const unsteady = storeOf({
      get: async (key) => (down ? Promise.reject(new Error('down')) : store.get(key)),
      set: async (key, value, ttl) => (down ? Promise.reject(new Error('down')) : store.set(key, value, ttl)),
    });
    const { tokens, clock } = machineClient(server, { store: unsteady, encryptionKeys: false });
    await tokens.clientCredentials({ scope: 'a' }).getToken();
    down = false;
    clock.advance(500);
    await tokens.clientCredentials({ scope: 'b' }).getToken();
    expect(store.entries.size).toBe(1);
  });

  test('C9 a slow one is still used, as long as it keeps its deadline', async () => {
    const store = new MapStore();
    const slow = storeOf({
      get: async (key) => new Promise((resolve) => setTimeout(() => { resolve(store.get(key)); }, 20)),
      set: async (key, value, ttl) => new Promise((resolve) => setTimeout(() => { resolve(store.set(key, value, ttl)); }, 20)),
    });
    const options = { store: slow, encryptionKeys: [newKey()], timeout: 4_000 };
    await machineClient(server, options).tokens.clientCredentials().getToken();
    const { tokens, events } = machineClient(server, options);
    expect((await tokens.clientCredentials().getToken()).value).toBe('at-1');
    expect(events['store-failed']).toEqual([]);
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('C9 an answer or a failure that comes after the deadline disturbs nobody', async () => {
    let answer = deferred<unknown>();
    const get = async (): Promise<unknown> => answer.promise;
    for (const settle of ['resolve', 'reject'] as const) {
      answer = deferred();
      const { tokens } = machineClient(server, { store: storeOf({ get, set: never }), encryptionKeys: false, timeout: 800 });
      await tokens.clientCredentials().getToken();
      answer[settle](new Error('late'));
      await nextTurn();
      expect(await tokens.clientCredentials().getToken()).toBeDefined();
    }
  });

  test('C9 one that hangs while the request ahead of time is on its way delays nobody', async () => {
    let hangs = false;
    const store = new MapStore();
    const { tokens, clock, events } = machineClient(server, { store: storeOf({ get: async (key) => (hangs ? never() : store.get(key)) }), encryptionKeys: false, timeout: 1_200 });
    const source = tokens.clientCredentials();
    await source.getToken();
    hangs = true;
    clock.advance(HOUR - MINUTE);
    expect((await source.getToken()).value).toBe('at-1');
    // The store still has time left.
    expect(events['store-failed']).toEqual([]);
    await eventually(async () => (await source.getToken()).value === 'at-2');
  });
});

describe('C10 entries that must not open', () => {
  async function storedBy(key: string): Promise<MapStore> {
    const store = new MapStore();
    await machineClient(server, { store, encryptionKeys: [key] }).tokens.clientCredentials({ scope: 'a' }).getToken();
    return store;
  }

  async function expectMiss(store: MapStore, encryptionKeys: string[] | false, scope = 'a'): Promise<void> {
    const { tokens, events } = machineClient(server, { store, encryptionKeys });
    expect((await tokens.clientCredentials({ scope }).getToken()).value).toBe('at-2');
    expect(events['store-failed']).toMatchObject([{ operation: 'get', error: { code: 'store_failed' } }]);
    // It was written anew: the next one finds it.
    expect((await machineClient(server, { store, encryptionKeys }).tokens.clientCredentials({ scope }).getToken()).value).toBe('at-2');
  }

  test('C10 one that was sealed by an unknown key is a miss', async () => {
    await expectMiss(await storedBy(newKey()), [newKey()]);
  });

  test('C10 one that was sealed, where nothing is sealed, is a miss', async () => {
    await expectMiss(await storedBy(newKey()), false);
  });

  test('C10 one in the clear, where everything is sealed, is a miss', async () => {
    const store = new MapStore();
    await machineClient(server, { store, encryptionKeys: false }).tokens.clientCredentials({ scope: 'a' }).getToken();
    await expectMiss(store, [newKey()]);
  });

  test('C10 one that was written by a different cache key is a miss', async () => {
    const key = newKey();
    const store = await storedBy(key);
    const { value } = store.only;
    await machineClient(server, { store, encryptionKeys: [key] }).tokens.clientCredentials({ scope: 'b' }).getToken();
    const [, nameOfB = ''] = store.entries.keys();
    server.answersNext({ json: { access_token: 'at-b', token_type: 'Bearer', expires_in: 60 } });
    store.entries.set(nameOfB, value);
    const { tokens, events } = machineClient(server, { store, encryptionKeys: [key] });
    expect((await tokens.clientCredentials({ scope: 'b' }).getToken()).value).toBe('at-b');
    expect(events['store-failed']).toHaveLength(1);
  });

  test('C10 one that was truncated anywhere, or changed anywhere, is a miss', async () => {
    const key = newKey();
    const store = await storedBy(key);
    const { key: name, value } = store.only;
    const sealed = value as string;
    const part = Math.ceil(sealed.length / 12);
    const damaged = Array.from({ length: 12 }, (_, index) => index * part).flatMap((at) => [
      sealed.slice(0, at),
      sealed.slice(0, at) + (sealed[at] === 'A' ? 'B' : 'A') + sealed.slice(at + 1),
    ]);
    for (const text of [...damaged, sealed.slice(0, -1), `${sealed}A`, `${sealed}.`, sealed.split('.').reverse().join('.')]) {
      store.entries.set(name, text);
      const { tokens, events } = machineClient(server, { store, encryptionKeys: [key] });
      expect((await tokens.clientCredentials({ scope: 'a' }).getToken()).value).not.toBe('at-1');
      expect(events['store-failed']).toHaveLength(1);
    }
  });

  test('C10 one of another version of the record is a miss, and no failure', async () => {
    const store = new MapStore();
    await machineClient(server, { store, encryptionKeys: false }).tokens.clientCredentials().getToken();
    const { key, value } = store.only;
    store.entries.set(key, JSON.stringify({ ...JSON.parse(value as string) as object, version: 999 }));
    const { tokens, events } = machineClient(server, { store, encryptionKeys: false });
    expect((await tokens.clientCredentials().getToken()).value).toBe('at-2');
    expect(events['store-failed']).toEqual([]);
  });
});

describe('M5 what is in the store', () => {
  test('M5 a dump shows no token, no secret and nothing of the request', async () => {
    const store = new MapStore();
    server.answersNext({ json: { access_token: CANARY, token_type: 'Bearer', expires_in: 60, tenant_secret: CANARY } });
    const token = await machineClient(server, { store, encryptionKeys: [newKey()] }).tokens.clientCredentials({ scope: 'payroll', parameters: { pin: '0815-4711' } }).getToken();
    expect(token.value).toBe(CANARY);
    const dump = inspect([...store.entries], { maxStringLength: null });
    const decoded = dump.replace(/[\w-]{8,}/g, (text) => Buffer.from(text, 'base64url').toString('latin1'));
    for (const text of [dump, decoded]) {
      for (const secret of [CANARY, CLIENT_SECRET, 'payroll', '0815-4711', 'billing']) expect(text).not.toContain(secret);
    }
  });

  test('M5 the same token is never sealed to the same text twice', async () => {
    const key = newKey();
    const texts = new Set<unknown>();
    for (let round = 0; round < 5; round += 1) {
      const store = new MapStore();
      server.answersNext({ json: { access_token: 'same', token_type: 'Bearer', expires_in: 60 } });
      await machineClient(server, { store, encryptionKeys: [key] }).tokens.clientCredentials().getToken();
      texts.add(store.only.value);
    }
    expect(texts.size).toBe(5);
  });

  test('M5 keys rotate without losing a token: the first seals, all open, in base64url or hex', async () => {
    const [old, fresh] = [newKey(), newKey()];
    const store = new MapStore();
    const start = async (...encryptionKeys: string[]): Promise<string> => (await machineClient(server, { store, encryptionKeys }).tokens.clientCredentials().getToken()).value;
    expect(await start(old)).toBe('at-1');
    expect(await start(old, fresh)).toBe('at-1');
    expect(await start(fresh, Buffer.from(old, 'base64url').toString('hex'))).toBe('at-1');
    store.entries.clear();
    expect(await start(fresh, old)).toBe('at-2');
    expect(await start(fresh)).toBe('at-2');
  });

  test('M5 with `false`, said aloud, it is in the clear; saying nothing is refused', async () => {
    const store = new MapStore();
    await machineClient(server, { store, encryptionKeys: false }).tokens.clientCredentials().getToken();
    expect(store.only.value).toContain('at-1');
    expect(() => createTokenManager({ issuer: 'https://login.example.com', clientId: 'billing', store: new MapStore() })).toThrow(/encryptionKeys/);
  });
});

test('C11 a token that another manager got in the same millisecond as the refused one is adopted all the same', async () => {
  const store = new MapStore();
  const [a, b] = [machineClient(server, { store, encryptionKeys: false }), machineClient(server, { store, encryptionKeys: false })];
  const refused = await a.tokens.clientCredentials().getToken();
  expect((await b.tokens.clientCredentials().getToken()).value).toBe(refused.value);
  const successor = await a.tokens.clientCredentials().getToken({ rejected: refused });
  expect((await b.tokens.clientCredentials().getToken({ rejected: refused })).value).toBe(successor.value);
});
