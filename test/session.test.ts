import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hang } from './support/answers.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { failureOf, thrownBy } from './support/failure.js';
import { MapStore } from './support/map-store.js';
import { followLogin } from './support/user-agent.js';
import { REDIRECT_URI, signIn, webClient } from './support/web-client.js';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;

let server: AuthorizationServer;

beforeEach(async () => {
  server = await startAuthorizationServer();
});

afterEach(async () => {
  await server.close();
});

describe('info()', () => {
  test('tells the claims, the granted scope, and the times', async () => {
    const client = webClient(server);
    const { session } = await signIn(client);
    const createdAt = client.clock.now();
    expect(await session.info()).toEqual({ id: session.id, claims: expect.objectContaining({ iss: server.issuer, sub: 'user-1', aud: 'app' }) as unknown, scope: 'openid offline_access', createdAt });
    client.clock.advance(HOUR);
    await session.getToken();
    expect(await session.info()).toMatchObject({ createdAt, refreshedAt: createdAt + HOUR });
  });

  test('of no session is undefined, and its token is reauthorization_required', async () => {
    const { tokens } = webClient(server);
    const session = tokens.session('A'.repeat(43));
    expect(await session.info()).toBeUndefined();
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required', retryable: false });
    expect(await session.end()).toMatchObject({ url: expect.any(URL) as unknown });
    expect(server.requests).toEqual([]);
  });

  test.each([undefined, '', 7, {}])('an id that is %j is refused at once', (id) => {
    expect(thrownBy(() => webClient(server).tokens.session(id as string))).toMatchObject({ code: 'invalid_configuration', message: expect.stringContaining('session: the id must be') as string });
  });
});

describe('forResource()', () => {
  test('gives each request a token of its own, and the same request the same', async () => {
    const { session } = await signIn(webClient(server));
    const [orders, again, invoices, own] = await Promise.all([
      session.forResource({ resource: 'https://orders.example', scope: 'openid' }).getToken(),
      session.forResource({ scope: ['openid'], resource: ['https://orders.example'] }).getToken(),
      session.forResource({ resource: 'https://invoices.example' }).getToken(),
      session.getToken(),
    ]);
    expect(again.value).toBe(orders.value);
    expect(new Set([orders, invoices, own].map(({ value }) => value)).size).toBe(3);
    expect(server.lastTokenRequest.parameters.getAll('resource')).toHaveLength(1);
  });

  test('refuses what is reserved', async () => {
    const { session } = await signIn(webClient(server));
    expect(thrownBy(() => session.forResource({ parameters: { refresh_token: 'mine' } }))).toMatchObject({ code: 'invalid_configuration', message: 'forResource: `parameters.refresh_token` is reserved: the library sends it' });
  });

  test('the resource of the login is named again at each refresh of the session\'s own token', async () => {
    const client = webClient(server);
    const { session } = await signIn(client, { resource: 'https://orders.example' });
    client.clock.advance(HOUR);
    await session.getToken();
    expect(server.lastTokenRequest.parameters.getAll('resource')).toEqual(['https://orders.example']);
  });
});

describe('AccessToken.parameters', () => {
  test('members that a refresh leaves out keep the login\'s value', async () => {
    const client = webClient(server);
    const { url, transaction } = await client.tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'offline_access' });
    server.nextTokenAnswerWith({ instance_url: 'https://eu.example', plan: 'basic' });
    const { session } = await client.tokens.completeLogin(await followLogin(url), transaction);
    client.clock.advance(HOUR);
    server.nextTokenAnswerWith({ plan: 'pro' });
    expect((await session.getToken()).parameters).toEqual({ instance_url: 'https://eu.example', plan: 'pro' });
    client.clock.advance(HOUR);
    expect((await session.getToken()).parameters).toEqual({ instance_url: 'https://eu.example', plan: 'pro' });
  });
});

describe('A11 without a refresh token', () => {
  test('A11 the session lasts as long as its access token, to the last millisecond, then reauthorization_required', async () => {
    const client = webClient(server);
    const { session } = await signIn(client, { scope: 'openid' });
    const token = await session.getToken();
    client.clock.advance(HOUR - 1);
    expect(await session.getToken()).toBe(token);
    client.clock.advance(1);
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required' });
    expect(client.events['session-ended']).toEqual([{ sessionId: session.id, reason: 'no_refresh_token' }]);
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('A11 R8 who was refused the access token has to sign in again; the others get it for as long as it is good', async () => {
    const client = webClient(server);
    const { session } = await signIn(client, { scope: 'openid' });
    const token = await session.getToken();
    expect(await failureOf(session.getToken({ rejected: token }))).toMatchObject({ code: 'reauthorization_required' });
    expect((await session.getToken()).value).toBe(token.value);
    client.clock.advance(HOUR);
    expect(await session.info()).toBeUndefined();
  });

  test('A11 one without a lifetime is used until it is refused: that ends the session', async () => {
    const client = webClient(server);
    const { url, transaction } = await client.tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'read' });
    server.nextTokenAnswerWith({ expires_in: undefined });
    const { session } = await client.tokens.completeLogin(await followLogin(url), transaction);
    const token = await session.getToken();
    client.clock.advance(DAY);
    expect(await session.getToken()).toBe(token);
    expect(await failureOf(session.getToken({ rejected: token }))).toMatchObject({ code: 'reauthorization_required' });
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required' });
  });

  test('forResource() says what is missing, and ends nothing', async () => {
    const { session } = await signIn(webClient(server), { scope: 'openid' });
    expect(await failureOf(session.forResource({ resource: 'https://orders.example' }).getToken())).toMatchObject({ code: 'invalid_configuration', message: expect.stringContaining('`offline_access`') as string });
    expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
  });
});

describe('A12 end()', () => {
  test('A12 revokes the refresh token, and gives the address of the server\'s logout', async () => {
    const client = webClient(server);
    const { session } = await signIn(client);
    const { url } = await session.end({ postLogoutRedirectUri: 'https://app.example.com/bye' });
    expect(server.revocations).toEqual([{ token: server.issued[0]?.refreshToken, hint: 'refresh_token' }]);
    expect(server.requests.find(({ path }) => path === '/revoke')?.headers.authorization).toMatch(/^Basic /);
    expect(url?.origin).toBe(server.origin);
    const parameters = Object.fromEntries(url?.searchParams ?? []);
    expect(parameters).toEqual({ client_id: 'app', id_token_hint: expect.stringMatching(/^ey/) as unknown, post_logout_redirect_uri: 'https://app.example.com/bye', state: expect.stringMatching(/^[\w-]{22}$/) as unknown });
    expect(client.events['session-ended']).toEqual([{ sessionId: session.id, reason: 'ended' }]);
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required' });
    expect(await session.info()).toBeUndefined();
  });

  test('A12 without a place to come back to there is no state', async () => {
    const { session } = await signIn(webClient(server));
    const { url } = await session.end();
    expect([...url?.searchParams.keys() ?? []].sort()).toEqual(['client_id', 'id_token_hint']);
  });

  test('A12 without a refresh token the access token is revoked', async () => {
    const { session } = await signIn(webClient(server), { scope: 'openid' });
    await session.end();
    expect(server.revocations).toEqual([{ token: 'at-1', hint: 'access_token' }]);
  });

  test('A12 with `revoke: false` nothing is revoked', async () => {
    const { session } = await signIn(webClient(server));
    await session.end({ revoke: false });
    expect(server.revocations).toEqual([]);
    expect(await session.info()).toBeUndefined();
  });

  test('A12 a server without logout and revocation: neither', async () => {
    delete server.metadata.end_session_endpoint;
    delete server.metadata.revocation_endpoint;
    const { session } = await signIn(webClient(server));
    expect(await session.end()).toEqual({});
    expect(server.revocations).toEqual([]);
  });

  test.each([
    ['refused', { status: 503 }],
    ['never answered', hang()],
  ])('A12 a revocation that is %s doesn\'t stop it', async (_how, answer) => {
    const store = new MapStore();
    const client = webClient(server, { store, encryptionKeys: false });
    const { session } = await signIn(client);
    const impatient = webClient(server, { store, encryptionKeys: false, clock: client.clock, timeout: 500 }).tokens.session(session.id);
    server.at('/revoke').answersNext(answer);
    expect(await impatient.end()).toMatchObject({ url: expect.any(URL) as unknown });
    expect(await session.info()).toBeUndefined();
  });

  test('A12 twice is as good as once', async () => {
    const client = webClient(server);
    const { session } = await signIn(client);
    await Promise.all([session.end(), client.tokens.session(session.id).end()]);
    await session.end();
    expect(client.events['session-ended']).toHaveLength(1);
    expect(server.revocations).toHaveLength(1);
  });

  test('A12 while the store is down: store_failed, and the session is still there', async () => {
    const store = new MapStore();
    const client = webClient(server, { store, encryptionKeys: false });
    const { session } = await signIn(client);
    store.set = async () => Promise.reject(new Error('the store is down'));
    expect(await failureOf(session.end())).toMatchObject({ code: 'store_failed', retryable: true });
    expect(server.revocations).toEqual([]);
    Reflect.deleteProperty(store, 'set');
    client.clock.advance(10 * SECOND);
    expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
    await session.end();
    expect(await session.info()).toBeUndefined();
  });

  test('A12 of another process: no request is sent for it any more', async () => {
    const store = new MapStore();
    const client = webClient(server, { store, encryptionKeys: false });
    const { session } = await signIn(client);
    await webClient(server, { store, encryptionKeys: false, clock: client.clock }).tokens.session(session.id).end();
    client.clock.advance(HOUR);
    const before = server.tokenRequests.length;
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required' });
    expect(server.tokenRequests).toHaveLength(before);
  });

  test.each([7, 'not a URL', ''])('an unusable postLogoutRedirectUri is refused by name: %j', async (postLogoutRedirectUri) => {
    const { session } = await signIn(webClient(server));
    expect(await failureOf(session.end({ postLogoutRedirectUri: postLogoutRedirectUri as string }))).toMatchObject({ code: 'invalid_configuration', message: expect.stringContaining('end: `postLogoutRedirectUri` must be an absolute URL') as string });
    expect(await session.info()).toBeDefined();
  });
});

describe('lifetimes of a session', () => {
  test('idle: 90 days from when it was last written, on both sides', async () => {
    const client = webClient(server);
    const { session } = await signIn(client);
    client.clock.advance(90 * DAY - 1);
    expect(await session.info()).toBeDefined();
    client.clock.advance(1);
    expect(await session.info()).toBeUndefined();
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required' });
  });

  test('a session that is used lives on, also where its access token needs no refresh', async () => {
    server.expiresIn = 300 * DAY / SECOND;
    const store = new MapStore();
    const client = webClient(server, { store, encryptionKeys: false });
    const { session } = await signIn(client);
    for (let day = 0; day < 200; day += 20) {
      expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
      await expect.poll(() => writtenAt(store)).toBeGreaterThan(client.clock.now() - 25 * DAY);
      client.clock.advance(20 * DAY);
    }
    expect(await session.info()).toBeDefined();
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('absolute: however much it is used', async () => {
    const client = webClient(server, { absoluteSessionLifetime: 2 * HOUR + 1 });
    const { session } = await signIn(client);
    client.clock.advance(HOUR);
    await session.getToken();
    client.clock.advance(HOUR);
    expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
    client.clock.advance(1);
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required' });
  });

  test('no lifetime of an access token ever expires the record', async () => {
    server.expiresIn = 5;
    const store = new MapStore();
    await signIn(webClient(server, { store, encryptionKeys: false }));
    expect(store.calls.filter(({ operation, key }) => operation === 'set' && key.startsWith('grantkeeper:session:')).map(({ ttl }) => ttl)).toEqual([90 * DAY]);
  });
});

function writtenAt(store: MapStore): number {
  const [, record] = [...store.entries].find(([key]) => key.startsWith('grantkeeper:session:')) ?? [];
  return (JSON.parse(String(record)) as { writtenAt: number }).writtenAt;
}
