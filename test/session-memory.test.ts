import { clientSecretPost, type Session } from 'grantkeeper';
import { inProcessLock } from '../src/cache/in-process-lock.js';
import { systemClock } from '../src/clock.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { deferred } from './support/deferred.js';
import { eventually } from './support/eventually.js';
import { failureOf } from './support/failure.js';
import { FaultyStore } from './support/faulty-store.js';
import { signIn, webClient } from './support/web-client.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let server: AuthorizationServer;
let store: FaultyStore;

beforeEach(async () => {
  server = await startAuthorizationServer();
  server.idTokenOnRefresh = false;
  store = new FaultyStore();
});

afterEach(async () => {
  await server.close();
});

/** Whatever is known of others goes: this process remembers one session at a time. */
async function useOthers(...others: Session[]): Promise<void> {
  for (const session of others) await session.info();
}

describe('a process that has room for one session', () => {
  const options = { maxEntries: 1, encryptionKeys: false } as const;

  test('R2 doesn\'t forget a refresh token that the store has not taken', async () => {
    const client = webClient(server, { ...options, store });
    const [mine, other] = [(await signIn(client)).session, (await signIn(client)).session];
    client.clock.advance(HOUR);
    const hold = server.hold();
    const refreshed = mine.getToken();
    await hold.arrived;
    store.failsNext('set', 'set');
    hold.release();
    await refreshed;
    client.clock.advance(HOUR);
    await useOthers(other, client.tokens.session('another'));
    await mine.getToken();
    client.clock.advance(HOUR);
    await webClient(server, { store, encryptionKeys: false, clock: client.clock }).tokens.session(mine.id).getToken();
    expect(server.reuses).toBe(0);
  });

  test('A12 doesn\'t forget a refresh that is being prepared: end() still ends the waiting', async () => {
    const signedIn = webClient(server, { store, encryptionKeys: false });
    const [mine, other] = [(await signIn(signedIn)).session, (await signIn(signedIn)).session];
    signedIn.clock.advance(HOUR);
    const asked = deferred();
    const secret = deferred<string>();
    const slowly = async (): Promise<string> => {
      asked.resolve();
      return secret.promise;
    };
    const { tokens } = webClient(server, { ...options, store, clientAuthentication: clientSecretPost(slowly) });
    const told = failureOf(tokens.session(mine.id).getToken());
    await asked.promise;
    await useOthers(tokens.session(other.id), tokens.session('another'));
    await tokens.session(mine.id).end({ revoke: false });
    expect(await told).toMatchObject({ code: 'reauthorization_required' });
    secret.resolve('a secret of the test');
    await tokens.close();
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('a session stays in the store as long as it is used, also where its access token never expires', async () => {
    const client = webClient(server, { ...options, store });
    server.nextTokenAnswerWith({ expires_in: undefined });
    const mine = (await signIn(client)).session;
    const other = (await signIn(client)).session;
    for (let days = 0; days < 200; days += 40) {
      expect((await mine.getToken()).value).toBe('at-1');
      await useOthers(other, client.tokens.session('another'));
      await eventually(() => { expect(client.clock.now() - writtenAt(mine.id)).toBeLessThan(40 * DAY); });
      client.clock.advance(40 * DAY);
    }
    expect((await webClient(server, { store, encryptionKeys: false, clock: client.clock }).tokens.session(mine.id).getToken()).value).toBe('at-1');
  });

  /** When the record was last written whose tokens are those of the first login. */
  function writtenAt(id: string): number {
    expect(id).not.toBe('');
    const texts = [...store.entries].filter(([key]) => key.startsWith('grantkeeper:session:')).map(([, text]) => JSON.parse(String(text)) as { writtenAt: number; refreshToken: string });
    return texts.find(({ refreshToken }) => refreshToken === 'rt-1')?.writtenAt ?? 0;
  }
});

test('R2 a refresh token in memory is newer than the one whose place it took, though another process has written that one again', async () => {
  server.expiresIn = 24 * 3_600;
  const options = { store, encryptionKeys: false, sessionLifetime: 4 * HOUR } as const;
  const client = webClient(server, options);
  const { session } = await signIn(client);
  const hold = server.hold();
  const refreshed = session.forResource({ resource: 'https://a.example' }).getToken();
  await hold.arrived;
  store.failsNext('set', 'set');
  hold.release();
  await refreshed;
  // Its lease is over, and the other one, which only keeps the session from being forgotten, writes what it finds.
  const elsewhere = webClient(server, { ...options, clock: client.clock, lock: inProcessLock(systemClock) }).tokens.session(session.id);
  client.clock.advance(HOUR);
  const before = store.count('set');
  await eventually(async () => {
    expect((await elsewhere.getToken()).value).toBe('at-1');
    expect(store.count('set')).toBeGreaterThan(before);
  });
  await session.getToken();
  await elsewhere.forResource({ resource: 'https://b.example' }).getToken();
  expect(server.lastTokenRequest.parameters.get('refresh_token')).toBe('rt-2');
  expect(server.reuses).toBe(0);
});

test('R3 a session that is over gives no token of another resource either, though that was forgotten', async () => {
  const client = webClient(server, { store, encryptionKeys: false, maxEntries: 2 });
  const [mine, other] = [(await signIn(client)).session, (await signIn(client)).session];
  client.clock.advance(HOUR);
  const resource = mine.forResource({ resource: 'https://a.example' });
  await resource.getToken();
  server.killAllGrants();
  expect(await failureOf(mine.getToken())).toMatchObject({ code: 'reauthorization_required' });
  await mine.end();
  await useOthers(other, client.tokens.session('another'), client.tokens.session('one more'));
  expect(await failureOf(resource.getToken())).toMatchObject({ code: 'reauthorization_required' });
});

describe('what is used no more', () => {
  test('a session that is over by its lifetime gives no token, however long that is good', async () => {
    server.expiresIn = 30 * 24 * 3_600;
    const client = webClient(server, { store, encryptionKeys: false, sessionLifetime: DAY });
    const { session } = await signIn(client);
    const other = session.forResource({ resource: 'https://a.example' });
    await Promise.all([session.getToken(), other.getToken()]);
    const before = store.count('set');
    client.clock.advance(DAY - 1);
    await Promise.all([session.getToken(), other.getToken()]);
    await eventually(() => { expect(store.count('set')).toBeGreaterThan(before); });
    client.clock.advance(DAY);
    for (const source of [session, other]) expect(await failureOf(source.getToken())).toMatchObject({ code: 'reauthorization_required' });
  });

  test('one that was used elsewhere lives on here as well', async () => {
    server.expiresIn = 30 * 24 * 3_600;
    const options = { store, encryptionKeys: false, sessionLifetime: DAY } as const;
    const client = webClient(server, options);
    const { session } = await signIn(client);
    const elsewhere = webClient(server, { ...options, clock: client.clock }).tokens.session(session.id);
    await Promise.all([session.getToken(), elsewhere.getToken()]);
    for (let days = 0; days < 4; days += 1) {
      client.clock.advance(DAY - HOUR);
      const before = store.count('set');
      await elsewhere.getToken();
      await eventually(() => { expect(store.count('set')).toBeGreaterThan(before); });
    }
    expect((await session.getToken()).value).toBe('at-1');
  });

  test('a lock or store that is busy or fails while a session is kept alive is no concern of who asks', async () => {
    const client = webClient(server, { store, encryptionKeys: false, sessionLifetime: 4 * HOUR });
    server.expiresIn = 30 * 24 * 3_600;
    const { session } = await signIn(client);
    await session.getToken();
    client.clock.advance(2 * HOUR);
    store.failsNext('get');
    expect((await session.getToken()).value).toBe('at-1');
    await eventually(() => { expect(client.events['store-failed']).toMatchObject([{ operation: 'get' }]); });
    client.clock.advance(HOUR);
    const before = store.count('set');
    expect((await session.getToken()).value).toBe('at-1');
    await eventually(() => { expect(store.count('set')).toBe(before + 2); });
    client.clock.advance(3 * HOUR);
    expect((await session.getToken()).value).toBe('at-1');
  });
});
