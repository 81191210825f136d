import type { AccessToken, Session } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lose } from './support/answers.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { eventually } from './support/eventually.js';
import { failureOf } from './support/failure.js';
import { FaultyStore } from './support/faulty-store.js';
import type { MachineClient, MachineClientOptions } from './support/machine-client.js';
import { signIn, webClient } from './support/web-client.js';

const HOUR = 3_600_000;

let server: AuthorizationServer;
let store: FaultyStore;

beforeEach(async () => {
  server = await startAuthorizationServer();
  store = new FaultyStore();
});

afterEach(async () => {
  await server.close();
});

type Client = MachineClient & { readonly session: Session };

/** Signed in, with an access token that has just expired. Its store is the one that all here share. */
async function atExpiry(options: MachineClientOptions = {}): Promise<Client> {
  server.idTokenOnRefresh = false;
  const client = webClient(server, { store, encryptionKeys: false, ...options });
  const { session } = await signIn(client);
  await session.getToken();
  client.clock.advance(HOUR);
  return { ...client, session };
}

/** The same session in a process that has nothing in memory. */
function elsewhere({ clock, session }: Client): Session {
  return webClient(server, { store, encryptionKeys: false, clock }).tokens.session(session.id);
}

function newestRefreshToken(): string | undefined {
  return server.issued.at(-1)?.refreshToken;
}

/** What the session gives wherever it's asked for: the same token, of the grant that lives. */
async function expectItLives(client: Client): Promise<void> {
  client.clock.advance(HOUR);
  const token = await elsewhere(client).getToken();
  expect(token.value).toBe(server.issued.at(-1)?.accessToken);
  expect(server.reuses).toBe(0);
}

async function expectItIsOver(client: Client): Promise<void> {
  client.clock.advance(HOUR);
  const requests = server.tokenRequests.length;
  for (const session of [client.session, elsewhere(client)]) {
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required' });
    expect(await session.info()).toBeUndefined();
  }
  expect(server.tokenRequests).toHaveLength(requests);
}

describe('A12 R9 end() while a refresh is under way', () => {
  test('A12 while the answer is on its way: who waits is told at once, nobody waits for the answer, and what it brings is revoked', async () => {
    const client = await atExpiry();
    const hold = server.hold();
    const waiting = [client.session.getToken(), client.session.getToken(), client.session.forResource({ resource: 'https://a.example' }).getToken()].map(failureOf);
    await hold.arrived;
    await client.session.end();
    for (const told of waiting) expect(await told).toMatchObject({ code: 'reauthorization_required' });
    expect(server.revocations.map(({ token }) => token)).toEqual(['rt-1']);
    hold.release({ json: { access_token: 'at-late', token_type: 'Bearer', refresh_token: 'rt-late' } });
    await eventually(() => { expect(server.revocations.map(({ token }) => token)).toEqual(['rt-1', 'rt-late']); });
    expect(client.events['session-ended']).toEqual([{ sessionId: client.session.id, reason: 'ended' }]);
    await expectItIsOver(client);
  });

  test('A12 in another process: it is ended once that is done, with the refresh token that came last', async () => {
    const client = await atExpiry();
    const hold = server.hold();
    const refreshed = client.session.getToken();
    await hold.arrived;
    const ended = elsewhere(client).end();
    hold.release();
    await Promise.all([refreshed, ended]);
    expect(server.revocations.map(({ token }) => token)).toEqual([newestRefreshToken()]);
    await expectItIsOver(client);
  });

  test('A12 before its intent is written: nothing is sent', async () => {
    const client = await atExpiry();
    const hold = store.holds('set');
    const told = failureOf(client.session.getToken());
    await hold.arrived;
    const ended = client.session.end();
    expect(await told).toMatchObject({ code: 'reauthorization_required' });
    hold.release();
    await ended;
    expect(server.tokenRequests).toHaveLength(1);
    await expectItIsOver(client);
  });

  test('A12 while its answer is being kept: what was kept is ended and revoked', async () => {
    const client = await atExpiry();
    const answer = server.hold();
    const told = failureOf(client.session.getToken());
    await answer.arrived;
    const keeping = store.holds('set');
    answer.release();
    await keeping.arrived;
    const ended = client.session.end();
    expect(await told).toMatchObject({ code: 'reauthorization_required' });
    keeping.release();
    await ended;
    expect(server.revocations.map(({ token }) => token)).toContain(newestRefreshToken());
    await expectItIsOver(client);
  });

  test('A12 while it waits to be repeated: it isn\'t, and end() does not wait for that', async () => {
    // Longer than any test may take.
    const client = await atExpiry({ refreshGrace: 60_000, timeout: 60_000 });
    server.answersNext({ status: 503, headers: { 'retry-after': '50' } });
    const told = failureOf(client.session.getToken());
    await server.tokenRequestArrives(2);
    await eventually(() => { expect(store.count('set')).toBeGreaterThanOrEqual(4); });
    await client.session.end();
    expect(await told).toMatchObject({ code: 'reauthorization_required' });
    expect(server.tokenRequests).toHaveLength(2);
  });
});

describe('A12 end() whose store fails', () => {
  test('A12 with an answer on its way: store_failed, the answer is kept, and the session lives', async () => {
    const client = await atExpiry();
    const hold = server.hold();
    const told = failureOf(client.session.getToken());
    await hold.arrived;
    store.failsNext('set', 'set');
    expect(await failureOf(client.session.end())).toMatchObject({ code: 'store_failed', retryable: true });
    expect(await told).toMatchObject({ code: 'reauthorization_required' });
    hold.release();
    await eventually(() => { expect(client.events.refreshed).toHaveLength(1); });
    expect(server.revocations).toEqual([]);
    expect((await client.session.getToken()).value).toBe('at-2');
    await expectItLives(client);
    await client.session.end();
    await expectItIsOver(client);
  });

  test('A12 after the fact: it is over all the same, and what arrives later is revoked', async () => {
    const client = await atExpiry();
    const hold = server.hold();
    const told = failureOf(client.session.getToken());
    await hold.arrived;
    store.failsNext('set');
    store.losesNextAnswerOf('set');
    expect(await failureOf(client.session.end())).toMatchObject({ code: 'store_failed' });
    hold.release();
    await told;
    await eventually(() => { expect(server.revocations.map(({ token }) => token)).toEqual(['rt-2']); });
    await expectItIsOver(client);
  });

  test('A12 once: it is asked again, and the session is over', async () => {
    const client = await atExpiry();
    store.failsNext('set');
    await client.session.end();
    expect(client.events['store-failed']).toEqual([]);
    await expectItIsOver(client);
  });

  test('A12 while another end() is under way, which fails: both say so', async () => {
    const client = await atExpiry();
    const hold = store.holds('get');
    const both = [client.session.end(), client.session.end()].map(failureOf);
    await hold.arrived;
    store.isDown = true;
    hold.release();
    for (const failure of both) expect(await failure).toMatchObject({ code: 'store_failed' });
    store.isDown = false;
    client.clock.advance(10_000);
    expect((await client.session.getToken()).value).toBe('at-2');
  });

  test('A12 both are done when one is', async () => {
    const client = await atExpiry();
    await Promise.all([client.session.end(), client.session.end()]);
    expect(server.revocations).toHaveLength(1);
    expect(client.events['session-ended']).toHaveLength(1);
    await expectItIsOver(client);
  });
});

test('A12 end() of a session that there is not: the server\'s logout, and nothing in the store', async () => {
  const { tokens, events } = webClient(server, { store, encryptionKeys: false });
  const { url } = await tokens.session('somebody-made-it-up').end({ postLogoutRedirectUri: 'https://app.example.com/' });
  expect(Object.fromEntries(url?.searchParams ?? [])).toMatchObject({ client_id: 'app', post_logout_redirect_uri: 'https://app.example.com/' });
  expect(url?.searchParams.has('id_token_hint')).toBe(false);
  expect([store.count('set'), server.revocations, events['session-ended']]).toEqual([0, [], []]);
});

describe('an end that is nobody\'s wish', () => {
  test('R5 two sends without an answer, and it can\'t be written: store_failed, and asked again it is over', async () => {
    const client = await atExpiry();
    server.answersNext(lose(), lose());
    server.graceMs = HOUR;
    expect(await failureOf(client.session.getToken())).toMatchObject({ code: 'server_unreachable' });
    client.clock.advance(60_000);
    store.failsNext('set', 'set', 'set');
    expect(await failureOf(client.session.getToken())).toMatchObject({ code: 'store_failed' });
    expect(client.events['session-ended']).toEqual([]);
    client.clock.advance(60_000);
    expect(await failureOf(client.session.getToken())).toMatchObject({ code: 'reauthorization_required', ambiguous: true });
    expect(client.events['session-ended']).toEqual([{ sessionId: client.session.id, reason: 'unanswered' }]);
    expect(server.tokenRequests).toHaveLength(3);
    await expectItIsOver(client);
  });

  test('R3 the server refused, and it can\'t be written: it is over all the same', async () => {
    const client = await atExpiry();
    const hold = server.hold();
    const told = failureOf(client.session.getToken());
    await hold.arrived;
    server.killAllGrants();
    store.failsNext('set', 'set');
    hold.release();
    expect(await told).toMatchObject({ code: 'reauthorization_required', error: 'invalid_grant' });
    expect(client.events['session-ended']).toEqual([{ sessionId: client.session.id, reason: 'refused' }]);
    expect(await failureOf(elsewhere(client).getToken())).toMatchObject({ code: 'reauthorization_required' });
  });

  test('R3 what another resource still had is served no more', async () => {
    const client = await atExpiry();
    const other = client.session.forResource({ resource: 'https://a.example' });
    const token: AccessToken = await other.getToken();
    server.killAllGrants();
    client.clock.advance(60_000);
    expect(await failureOf(client.session.getToken())).toMatchObject({ code: 'reauthorization_required' });
    expect(token.expiresAt).toBeGreaterThan(client.clock.now());
    expect(await failureOf(other.getToken())).toMatchObject({ code: 'reauthorization_required' });
  });
});
