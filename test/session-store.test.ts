import KeyvRedis from '@keyv/redis';
import Keyv from 'keyv';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { failureOf } from './support/failure.js';
import { MapStore } from './support/map-store.js';
import { describeWithRedis, startRedis } from './support/redis-server.js';
import { signIn, webClient } from './support/web-client.js';

const HOUR = 3_600_000;
const OLD_KEY = 'A'.repeat(43);
const NEW_KEY = 'f'.repeat(64);

let server: AuthorizationServer;

beforeEach(async () => {
  server = await startAuthorizationServer();
});

afterEach(async () => {
  await server.close();
});

const isSession = (key: string): boolean => key.startsWith('grantkeeper:session:');

function sessionEntry(store: MapStore): [key: string, value: unknown] {
  const found = [...store.entries].find(([key]) => isSession(key));
  if (found === undefined) throw new Error('the store has no session');
  return found;
}

describe('M5 at rest', () => {
  test('M5 a dump of the store shows no token, no secret, no claim, and no session id', async () => {
    const store = new MapStore();
    const client = webClient(server, { store, encryptionKeys: [OLD_KEY] });
    const { session } = await signIn(client);
    client.clock.advance(HOUR);
    await session.getToken();
    const dump = JSON.stringify([...store.entries]);
    const [{ refreshToken = '' } = {}] = server.issued;
    for (const secret of ['at-1', 'at-2', refreshToken, 'user-1', session.id, server.issuer, '"app"']) expect(dump).not.toContain(secret);
    for (const [, value] of store.entries) {
      const readable = String(value).split('.').map((part) => Buffer.from(part, 'base64url').toString('latin1')).join();
      for (const secret of ['at-1', 'at-2', refreshToken, 'user-1', session.id]) expect(readable).not.toContain(secret);
    }
  });

  test('M5 an entry moved to another key doesn\'t open, and isn\'t removed', async () => {
    const store = new MapStore();
    const client = webClient(server, { store, encryptionKeys: [OLD_KEY] });
    const [mine, yours] = [await signIn(client), await signIn(client)];
    const entries = [...store.entries].filter(([key]) => isSession(key));
    const [[firstKey, first] = ['', ''], [secondKey, second] = ['', '']] = entries;
    store.entries.set(firstKey, second);
    store.entries.set(secondKey, first);
    const other = webClient(server, { store, encryptionKeys: [OLD_KEY], clock: client.clock });
    for (const { session } of [mine, yours]) expect(await failureOf(other.tokens.session(session.id).getToken())).toMatchObject({ code: 'store_failed' });
    expect(store.entries.get(firstKey)).toBe(second);
  });

  test('M5 keys rotate without losing a session: the new one second everywhere, then first, then alone', async () => {
    const store = new MapStore();
    const client = webClient(server, { store, encryptionKeys: [OLD_KEY] });
    const { session } = await signIn(client);
    for (const encryptionKeys of [[OLD_KEY, NEW_KEY], [NEW_KEY, OLD_KEY], [NEW_KEY]]) {
      client.clock.advance(HOUR);
      expect(await webClient(server, { store, encryptionKeys, clock: client.clock }).tokens.session(session.id).getToken()).toMatchObject({ type: 'Bearer' });
    }
    expect(server.reuses).toBe(0);
  });

  test('a session that was sealed by an unknown key is store_failed, never ended, and its entry stays', async () => {
    const store = new MapStore();
    const client = webClient(server, { store, encryptionKeys: [OLD_KEY] });
    const { session } = await signIn(client);
    const [key, before] = sessionEntry(store);
    const stranger = webClient(server, { store, encryptionKeys: [NEW_KEY], clock: client.clock }).tokens.session(session.id);
    expect(await failureOf(stranger.getToken())).toMatchObject({ code: 'store_failed', message: expect.stringContaining('`encryptionKeys`') as string });
    expect(await failureOf(stranger.end())).toMatchObject({ code: 'store_failed' });
    expect(store.entries.get(key)).toBe(before);
    expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
  });
});

describe('what else may be found', () => {
  test.each<[string, (text: string) => unknown]>([
    ['cut off', (text) => text.slice(0, -9)],
    ['no record', () => '{"version":1}'],
    ['no text', () => ({ version: 1 })],
    ['not JSON', () => 'garbage'],
    ['of another version', (text) => text.replace('"version":1', '"version":2')],
    ['without its tokens', (text) => text.replace('"tokens"', '"tickets"')],
  ])('an entry that is %s is store_failed, never the end of the session, and stays', async (_what, spoiled) => {
    const store = new MapStore();
    const client = webClient(server, { store, encryptionKeys: false });
    const { session } = await signIn(client);
    const [key, text] = sessionEntry(store);
    store.entries.set(key, spoiled(String(text)));
    const other = webClient(server, { store, encryptionKeys: false, clock: client.clock });
    expect(await failureOf(other.tokens.session(session.id).getToken())).toMatchObject({ code: 'store_failed' });
    expect(store.entries.get(key)).toEqual(spoiled(String(text)));
    store.entries.set(key, text);
    expect(await other.tokens.session(session.id).getToken()).toMatchObject({ type: 'Bearer' });
  });

  test('C3 sessions of another client or server don\'t open', async () => {
    const store = new MapStore();
    const client = webClient(server, { store, encryptionKeys: [OLD_KEY] });
    const { session } = await signIn(client);
    const others = [
      webClient(server, { store, encryptionKeys: [OLD_KEY], clock: client.clock, clientId: 'another' }),
      webClient(server, { store, encryptionKeys: [OLD_KEY], clock: client.clock, server: { ...server.metadata, issuer: 'https://another.example' } }),
    ];
    for (const { tokens } of others) expect(await failureOf(tokens.session(session.id).getToken())).toMatchObject({ code: 'reauthorization_required' });
  });
});

describeWithRedis('a Keyv on Redis', () => {
  test('M6 that would swallow the failures of its server is told to throw: no session is lost to a server that is gone', async () => {
    await using redis = await startRedis();
    const adapter = new KeyvRedis(redis.url);
    const store = new Keyv(adapter);
    store.on('error', () => undefined);
    const client = webClient(server, { store, encryptionKeys: [OLD_KEY] });
    const { session } = await signIn(client);
    await session.getToken();
    const cold = webClient(server, { store, encryptionKeys: [OLD_KEY], clock: client.clock });
    await redis.kill();
    expect(await failureOf(cold.tokens.session(session.id).getToken())).toMatchObject({ code: 'store_failed', retryable: true });
    expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
    client.clock.advance(HOUR);
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'store_failed' });
    expect(server.tokenRequests).toHaveLength(1);
    await adapter.disconnect(true);
  });

  test('M6 a frozen server costs deadlines, not the session', async () => {
    await using redis = await startRedis();
    const adapter = new KeyvRedis(redis.url);
    const client = webClient(server, { store: new Keyv(adapter), encryptionKeys: [OLD_KEY], timeout: 1_000 });
    const { session } = await signIn(client);
    const token = await session.getToken();
    await redis.freeze();
    expect(await session.getToken()).toBe(token);
    client.clock.advance(HOUR);
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'store_failed', retryable: true });
    await redis.thaw();
    client.clock.advance(60_000);
    expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
    expect(server.reuses).toBe(0);
    await adapter.disconnect(true);
  });
});
