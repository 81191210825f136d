import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { failureOf } from './support/failure.js';
import { loginUnderWay } from './support/login-under-way.js';
import type { MachineClient, MachineClientOptions } from './support/machine-client.js';
import { MapStore } from './support/map-store.js';
import { webClient } from './support/web-client.js';

const TEN_MINUTES = 10 * 60_000;

let server: AuthorizationServer;
let client: MachineClient;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(async () => {
  await server.close();
});

beforeEach(() => {
  client = webClient(server);
  server.tokenRequests.length = 0;
});

const newKey = (): string => randomBytes(32).toString('base64url');

/** A second process of the same client: it shares what it's given, and the time. */
function anotherProcess(options: MachineClientOptions): MachineClient {
  return webClient(server, { clock: client.clock, ...options });
}

describe('who can open a transaction', () => {
  test('the manager that sealed it, without any keys', async () => {
    const { callback, transaction } = await loginUnderWay(client);
    const { session } = await client.tokens.completeLogin(callback, transaction);
    expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
  });

  test('any process with the same keys: the login goes on where the callback arrives', async () => {
    const shared = { store: new MapStore(), encryptionKeys: [newKey()] };
    const { callback, transaction } = await loginUnderWay(anotherProcess(shared), { returnTo: '/inbox' });
    const { session, returnTo } = await anotherProcess(shared).tokens.completeLogin(callback, transaction);
    expect(returnTo).toBe('/inbox');
    expect(await anotherProcess(shared).tokens.session(session.id).getToken()).toMatchObject({ value: server.issuedTokens.at(-1) });
  });

  test('a process in whose list the key is second, while keys rotate', async () => {
    const store = new MapStore();
    const [before, after] = [newKey(), newKey()];
    const { callback, transaction } = await loginUnderWay(anotherProcess({ store, encryptionKeys: [before] }));
    expect(await anotherProcess({ store, encryptionKeys: [after, before] }).tokens.completeLogin(callback, transaction)).toHaveProperty('session');
  });

  test.each<[string, () => [MachineClientOptions, MachineClientOptions]]>([
    ['another manager, where there are no keys', () => [{}, {}]],
    ['another manager, where the store may hold tokens in the clear', () => {
      const shared: MachineClientOptions = { store: new MapStore(), encryptionKeys: false };
      return [shared, shared];
    }],
    ['another key', () => [{ store: new MapStore(), encryptionKeys: [newKey()] }, { store: new MapStore(), encryptionKeys: [newKey()] }]],
    ['another client', () => {
      const shared = { store: new MapStore(), encryptionKeys: [newKey()] };
      return [shared, { ...shared, clientId: 'other-app' }];
    }],
    ['a client of another issuer', () => {
      const shared = { store: new MapStore(), encryptionKeys: [newKey()] };
      return [shared, { ...shared, server: { ...server.metadata, issuer: 'https://other.example.com' } }];
    }],
  ])('A4 not %s: invalid_callback, and nothing is sent', async (_case, both) => {
    const [one, other] = both().map(anotherProcess) as [MachineClient, MachineClient];
    const { callback, transaction } = await loginUnderWay(one);
    const failure = await failureOf(other.tokens.completeLogin(callback, transaction));
    expect(failure).toMatchObject({ code: 'invalid_callback', retryable: false });
    expect(failure.message).toContain('it was changed, cut off, or started by a process with other `encryptionKeys`');
    expect(server.tokenRequests).toHaveLength(0);
    expect(await one.tokens.completeLogin(callback, transaction)).toHaveProperty('session');
  });

  test('A4 not a session of the store, nor anything else that was sealed with the same key', async () => {
    const store = new MapStore();
    const sharing = anotherProcess({ store, encryptionKeys: [newKey()] });
    const first = await loginUnderWay(sharing);
    await sharing.tokens.completeLogin(first.callback, first.transaction);
    const sealed = [...store.entries.values()].filter((value) => typeof value === 'string' && value.startsWith('ey'));
    expect(sealed).toHaveLength(1);
    expect(await failureOf(sharing.tokens.completeLogin(first.callback, sealed[0] as string))).toMatchObject({ code: 'invalid_callback' });
  });
});

const bytesOf = (base64url: string): string => Buffer.from(base64url, 'base64url').toString('hex');

describe('a transaction that was touched', () => {
  const parts = ['the header', 'the encrypted key', 'the initialization vector', 'the ciphertext', 'the tag'];

  test.each(parts.map((part, index) => [part, index] as const))('A4 in %s: what is changed doesn\'t open', async (_part, index) => {
    const { callback, transaction } = await loginUnderWay(client);
    const pieces = transaction.split('.');
    const piece = pieces[index] ?? '';
    const changed = (replacement: string): string => pieces.with(index, replacement).join('.');
    const positions = [...new Set([0, 1, piece.length >> 1, piece.length - 2, piece.length - 1])].filter((position) => position >= 0 && position < piece.length);
    const variants = [
      ...positions.flatMap((position) => ['A', 'Q', 'g', 'w', 'z', '0', '9', '-', '_'].map((letter) => piece.slice(0, position) + letter + piece.slice(position + 1))),
      piece.slice(1),
      piece.slice(0, -1),
      `${piece}AAAA`,
      '',
    ].filter((variant) => bytesOf(variant) !== bytesOf(piece) || (index === 0 && variant !== piece));
    expect(variants).not.toEqual([]);
    for (const variant of variants) {
      const failure = await failureOf(client.tokens.completeLogin(callback, changed(variant)).then(() => Promise.reject(new Error(`it took "${variant}" for "${piece}"`))));
      expect(failure.code).toBe('invalid_callback');
    }
    expect(server.tokenRequests).toHaveLength(0);
    expect(await client.tokens.completeLogin(callback, transaction)).toHaveProperty('session');
  });

  // The last letter of a tag holds four bits that belong to no byte: many texts mean the same transaction.
  test('A3 spellings of the same bytes: whichever comes first, there is one exchange', async () => {
    const letters = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');
    for (const turn of ['the original first', 'a variant first']) {
      const { callback, transaction } = await loginUnderWay(client);
      const tag = (text: string): string => bytesOf(text.slice(text.lastIndexOf('.') + 1));
      const variants = [...letters.map((letter) => transaction.slice(0, -1) + letter), `${transaction}=`, `${transaction}==`].filter((variant) => tag(variant) === tag(transaction) && variant !== transaction);
      expect(variants.length).toBeGreaterThan(10);
      const order = turn === 'the original first' ? [transaction, ...variants] : [...variants, transaction];
      const before = server.tokenRequests.length;
      const outcomes = [];
      for (const each of order) outcomes.push(await client.tokens.completeLogin(callback, each).then(() => 'completed', (thrown: unknown) => (thrown as { code: string }).code));
      expect(outcomes.filter((outcome) => outcome === 'completed'), turn).toHaveLength(1);
      expect(outcomes.every((outcome) => ['completed', 'callback_already_used', 'invalid_callback'].includes(outcome))).toBe(true);
      expect(server.tokenRequests.length - before).toBe(1);
    }
  });

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a number', 5],
    ['an object', {}],
    ['a list', ['a.b.c.d.e']],
    ['an empty string', ''],
    ['a text', 'transaction'],
    ['five empty parts', '....'],
    ['a header without a key', `${Buffer.from('{"alg":"dir","enc":"A256GCM"}').toString('base64url')}..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA`],
    ['a JWT without a signature', `${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.`],
    ['a megabyte', 'e'.repeat(1_000_000)],
  ])('A4 %s is no transaction', async (_case, transaction) => {
    const { callback } = await loginUnderWay(client);
    expect(await failureOf(client.tokens.completeLogin(callback, transaction as string))).toMatchObject({ code: 'invalid_callback' });
    expect(server.tokenRequests).toHaveLength(0);
  });

  test('A4 whatever text comes as one: invalid_callback', async () => {
    const { callback, transaction } = await loginUnderWay(client);
    const pieces = transaction.split('.');
    const piece = fc.oneof(fc.string(), fc.base64String(), fc.constantFrom(...pieces));
    await fc.assert(fc.asyncProperty(fc.oneof(fc.string({ unit: 'binary' }), fc.array(piece, { maxLength: 6 }).map((list) => list.join('.'))), async (text) => {
      fc.pre(text !== transaction);
      expect((await failureOf(client.tokens.completeLogin(callback, text))).code).toBe('invalid_callback');
    }), { numRuns: 200 });
    expect(server.tokenRequests).toHaveLength(0);
  });
});

describe('ten minutes', () => {
  test('A4 are enough, to the millisecond', async () => {
    const { callback, transaction } = await loginUnderWay(client);
    client.clock.advance(TEN_MINUTES - 1);
    expect(await client.tokens.completeLogin(callback, transaction)).toHaveProperty('session');
  });

  test('A4 and not a millisecond more: login_expired, and nothing is sent', async () => {
    const { callback, transaction } = await loginUnderWay(client);
    client.clock.advance(TEN_MINUTES);
    const failure = await failureOf(client.tokens.completeLogin(callback, transaction));
    expect(failure).toMatchObject({ code: 'login_expired', retryable: false });
    expect(failure.message).toBe('The login was started more than 10 minutes ago: it has to be started again');
    expect(server.tokenRequests).toHaveLength(0);
  });

  test('A4 the login can be started again', async () => {
    const late = await loginUnderWay(client);
    client.clock.advance(TEN_MINUTES);
    await failureOf(client.tokens.completeLogin(late.callback, late.transaction));
    const { callback, transaction } = await loginUnderWay(client);
    expect(await client.tokens.completeLogin(callback, transaction)).toHaveProperty('session');
  });

  test('A3 a login is remembered as used for as long as its transaction opens', async () => {
    const { callback, transaction } = await loginUnderWay(client);
    await client.tokens.completeLogin(callback, transaction);
    client.clock.advance(TEN_MINUTES - 1);
    expect((await failureOf(client.tokens.completeLogin(callback, transaction))).code).toBe('callback_already_used');
    client.clock.advance(1);
    expect((await failureOf(client.tokens.completeLogin(callback, transaction))).code).toBe('login_expired');
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('A3 the mark that says so lives that long in the store, and tells nothing of the login', async () => {
    const store = new MapStore();
    const sharing = anotherProcess({ store, encryptionKeys: [newKey()] });
    const { callback, transaction, state } = await loginUnderWay(sharing);
    await sharing.tokens.completeLogin(callback, transaction);
    const [mark] = store.calls.filter(({ operation }) => operation === 'set');
    expect(mark?.ttl).toBe(TEN_MINUTES);
    expect(mark?.key).toMatch(/^grantkeeper:login:[\w-]{43}$/);
    expect(mark?.key).not.toContain(state);
    expect(store.entries.get(mark?.key ?? '')).toBe('spent');
  });
});

describe('logins side by side', () => {
  test('A4 two tabs: both complete, in either order, each with its own user and page', async () => {
    server.subject = 'alice';
    const first = await loginUnderWay(client, { returnTo: '/first' });
    server.subject = 'bob';
    const second = await loginUnderWay(client, { returnTo: '/second' });
    const [later, earlier] = [await client.tokens.completeLogin(second.callback, second.transaction), await client.tokens.completeLogin(first.callback, first.transaction)];
    expect([later.returnTo, (await later.session.info())?.claims?.['sub']]).toEqual(['/second', 'bob']);
    expect([earlier.returnTo, (await earlier.session.info())?.claims?.['sub']]).toEqual(['/first', 'alice']);
    server.subject = 'user-1';
  });

  test('A9 every login makes a session with a new id of 256 bits', async () => {
    const logins = await Promise.all(Array.from({ length: 10 }, async () => loginUnderWay(client)));
    const sessions = await Promise.all(logins.map(async ({ callback, transaction }) => (await client.tokens.completeLogin(callback, transaction)).session));
    expect(new Set(sessions.map(({ id }) => id)).size).toBe(10);
    for (const { id } of sessions) expect([/^[\w-]+$/.test(id), Buffer.from(id, 'base64url').length]).toEqual([true, 32]);
  });
});
