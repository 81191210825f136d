import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { decodeJwt } from 'jose';
import { createFetch, createTokenManager, none, type Session, type TokenManager } from 'grantkeeper';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startApi, type Api } from './support/api-server.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { CookieUserAgent } from './support/cookie-user-agent.js';
import { demandsProofs, proofOf } from './support/dpop.js';
import { failureOf } from './support/failure.js';
import type { MachineClient, MachineClientOptions } from './support/machine-client.js';
import { MapStore } from './support/map-store.js';
import { startOidcProvider, type OidcProvider } from './support/oidc-provider.js';
import { followLogin } from './support/user-agent.js';
import { REDIRECT_URI, signIn, webClient } from './support/web-client.js';

const HOUR = 3_600_000;

let server: AuthorizationServer;
let store: MapStore;

beforeEach(async () => {
  server = await startAuthorizationServer();
  server.tokenType = 'DPoP';
  store = new MapStore();
});

afterEach(async () => {
  await server.close();
});

/** One of several processes on one store; `dpop` unless it's said otherwise. */
function client(options: MachineClientOptions = {}): MachineClient {
  return webClient(server, { dpop: true, store, encryptionKeys: false, ...options });
}

/** The keys that signed the token requests so far. */
async function signers({ clock }: MachineClient): Promise<(string | undefined)[]> {
  const now = new Date(clock.now());
  return Promise.all(server.tokenRequests.map(async (request) => (request.headers['dpop'] === undefined ? undefined : (await proofOf(request, now)).jkt)));
}

describe('the key of a session', () => {
  test('is its own, and signs the exchange and every refresh', async () => {
    const app = client();
    const [one, other] = [await signIn(app), await signIn(app)];
    app.clock.advance(HOUR);
    expect(await one.session.getToken()).toMatchObject({ type: 'DPoP' });
    await other.session.getToken();
    const [first, second, ...refreshes] = await signers(app);
    expect(first).not.toBe(second);
    expect(refreshes).toEqual([first, second]);
  });

  test('is told to the authorization endpoint, which binds the code to it', async () => {
    const app = client();
    const { url, transaction } = await app.tokens.startLogin({ redirectUri: REDIRECT_URI });
    await app.tokens.completeLogin(await followLogin(url), transaction);
    expect(await signers(app)).toEqual([url.searchParams.get('dpop_jkt')]);
  });

  test('goes with the transaction: another process may complete the login', async () => {
    const encryptionKeys = [randomBytes(32).toString('base64url')];
    const { url, transaction } = await client({ encryptionKeys }).tokens.startLogin({ redirectUri: REDIRECT_URI });
    const elsewhere = client({ encryptionKeys });
    const { session } = await elsewhere.tokens.completeLogin(await followLogin(url), transaction);
    expect(await session.getToken()).toMatchObject({ type: 'DPoP' });
    expect(await signers(elsewhere)).toEqual([url.searchParams.get('dpop_jkt')]);
  });

  test('is in the record: any process goes on with it, without `dpop` too', async () => {
    const { session: { id } } = await signIn(client());
    const other = client({ dpop: undefined });
    await using api = await startApi();
    const [jkt = ''] = await signers(other);
    demandsProofs(api, { keyOf: () => jkt });
    const fetch = createFetch(other.tokens.session(id), { baseUrl: api.origin, allowInsecureRequests: true });
    expect((await fetch('/')).status).toBe(200);
    other.clock.advance(HOUR);
    expect((await fetch('/')).status).toBe(200);
    expect(await signers(other)).toEqual([jkt, jkt]);
  });

  test('M5 is sealed there', async () => {
    await signIn(client({ encryptionKeys: [randomBytes(32).toString('hex')] }));
    const dump = JSON.stringify([...store.entries]);
    expect(dump).not.toContain('privateKey');
    await signIn(client());
    expect(JSON.stringify([...store.entries])).toContain('privateKey');
  });

  test('is that of all its resources', async () => {
    const app = client();
    const { session } = await signIn(app);
    await session.forResource({ resource: 'https://orders.example.com/' }).getToken();
    const [first, second] = await signers(app);
    expect(second).toBe(first);
  });

  test('a session that began without one goes on without', async () => {
    server.tokenType = 'Bearer';
    const before = client({ dpop: undefined });
    const { session: { id } } = await signIn(before);
    const after = client();
    after.clock.advance(HOUR);
    expect(await after.tokens.session(id).getToken()).toMatchObject({ type: 'Bearer' });
    expect(await signers(after)).toEqual([undefined, undefined]);
  });

  test('a login that was started before `dpop` was set ends with a key', async () => {
    const encryptionKeys = [randomBytes(32).toString('base64url')];
    const { url, transaction } = await client({ dpop: undefined, encryptionKeys }).tokens.startLogin({ redirectUri: REDIRECT_URI });
    const { session } = await client({ encryptionKeys }).tokens.completeLogin(await followLogin(url), transaction);
    expect(await session.getToken()).toMatchObject({ type: 'DPoP' });
  });
});

describe('a key that is configured', () => {
  const [old, next] = [1, 2].map(() => ({ privateKey: generateKeyPairSync('ed25519').privateKey }));

  test('is that of every session, and in no record', async () => {
    const app = client({ dpop: old });
    const [one, other] = [await signIn(app), await signIn(app)];
    app.clock.advance(HOUR);
    await Promise.all([one, other].map(async ({ session }) => session.getToken()));
    expect(new Set(await signers(app)).size).toBe(1);
    expect(JSON.stringify([...store.entries])).not.toContain('privateKey');
  });

  test('that was replaced: tokens of the old one are not sent with proofs of the new, and the session goes on', async () => {
    const before = client({ dpop: old });
    const { session } = await signIn(before);
    const first = await session.getToken();
    const after = client({ dpop: next });
    const second = await after.tokens.session(session.id).getToken();
    expect(second.value).not.toBe(first.value);
    const [one, other] = await signers(after);
    expect(other).not.toBe(one);
    const third = await client({ dpop: next }).tokens.session(session.id).getToken();
    expect(third.value).toBe(second.value);
    after.clock.advance(HOUR);
    await after.tokens.session(session.id).getToken();
    expect(await signers(after)).toEqual([one, other, other]);
  });

  test('that was replaced: tokens for other resources that are bound to the old one are not kept', async () => {
    const orders = { resource: 'https://orders.example.com/' };
    const before = client({ dpop: old });
    const { session: { id } } = await signIn(before);
    const first = await before.tokens.session(id).forResource(orders).getToken();
    const after = client({ dpop: next });
    await after.tokens.session(id).getToken();
    expect((await client({ dpop: next }).tokens.session(id).forResource(orders).getToken()).value).not.toBe(first.value);
  });

  test('of a public client can\'t be replaced while a session lives: its refresh token is bound to it as well', async () => {
    const before = client({ dpop: old, clientAuthentication: none() });
    const { session: { id } } = await signIn(before);
    before.clock.advance(HOUR);
    expect(await failureOf(client({ dpop: next, clientAuthentication: none() }).tokens.session(id).getToken())).toMatchObject({ code: 'invalid_configuration' });
    expect(server.tokenRequests).toHaveLength(1);
    expect(await before.tokens.session(id).getToken()).toMatchObject({ type: 'DPoP' });
  });

  test.each([['is gone', undefined], ['is another one', next]])('that a login was started with, and %s: no code is sent without it', async (_case, dpop) => {
    const encryptionKeys = [randomBytes(32).toString('base64url')];
    const { url, transaction } = await client({ dpop: old, encryptionKeys }).tokens.startLogin({ redirectUri: REDIRECT_URI });
    const callback = await followLogin(url);
    expect(await failureOf(client({ dpop, encryptionKeys }).tokens.completeLogin(callback, transaction))).toMatchObject({ code: 'invalid_configuration', message: expect.stringContaining('option `dpop`') as string });
    expect(server.tokenRequests).toEqual([]);
    expect(await client({ dpop: old, encryptionKeys }).tokens.completeLogin(callback, transaction)).toHaveProperty('session');
  });

  test('that is gone is asked for by name, and the session lives', async () => {
    const before = client({ dpop: old });
    const { session: { id } } = await signIn(before);
    const failure = await failureOf(client({ dpop: undefined }).tokens.session(id).getToken());
    expect(failure).toMatchObject({ code: 'invalid_configuration' });
    expect(failure.message).toContain('the option `dpop`');
    expect(await before.tokens.session(id).getToken()).toMatchObject({ type: 'DPoP' });
  });
});

describe('refreshes', () => {
  test('L6 an answer that is bound to no key is refused, once its refresh token is stored', async () => {
    const app = client();
    const { session } = await signIn(app);
    app.clock.advance(HOUR);
    server.nextTokenAnswerWith({ token_type: 'Bearer', refresh_token: 'rt-of-the-bearer' });
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'invalid_response' });
    expect(JSON.stringify([...store.entries])).toContain('rt-of-the-bearer');
  });

  test('a nonce that is asked for costs one more request, and the refresh token counts once', async () => {
    const app = client();
    const { session } = await signIn(app);
    app.clock.advance(HOUR);
    server.answersNext({ status: 400, json: { error: 'use_dpop_nonce' }, headers: { 'dpop-nonce': 'nonce-1' } });
    expect(await session.getToken()).toMatchObject({ type: 'DPoP' });
    expect(server.tokenRequests).toHaveLength(3);
    expect(server.reuses).toBe(0);
    expect((await proofOf(server.lastTokenRequest, new Date(app.clock.now()))).claims['nonce']).toBe('nonce-1');
  });

  test('so does the exchange of a code', async () => {
    const app = client();
    server.answersNext({ status: 400, json: { error: 'use_dpop_nonce' }, headers: { 'dpop-nonce': 'nonce-1' } });
    expect(await (await signIn(app)).session.getToken()).toMatchObject({ type: 'DPoP' });
  });
});

describe('a real authorization server', () => {
  let provider: OidcProvider;
  let api: Api;

  beforeAll(async () => {
    api = await startApi();
    provider = await startOidcProvider({
      accessTokenTtl: 60,
      clients: [{ client_id: 'app', grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], redirect_uris: [REDIRECT_URI], token_endpoint_auth_method: 'none', dpop_bound_access_tokens: true }],
      configuration: { features: { dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 7), requireNonce: () => true } } },
    });
  });

  afterAll(async () => {
    await Promise.all([provider.close(), api.close()]);
  });

  async function begun(tokens: TokenManager): Promise<Session> {
    const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'openid offline_access read', prompt: 'consent' });
    return (await tokens.completeLogin(await new CookieUserAgent(provider.issuer).follows(url), transaction)).session;
  }

  test('binds code, refresh token and access tokens of a public client to one key', async () => {
    const tokens = createTokenManager({ issuer: provider.issuer, clientId: 'app', clientAuthentication: none(), dpop: true, allowInsecureRequests: true, retry: { minDelay: 0 } });
    const session = await begun(tokens);
    const first = await session.getToken();
    const second = await session.getToken({ rejected: first });
    expect(second.value).not.toBe(first.value);
    const [before, after] = [first, second].map(({ value }) => decodeJwt<{ cnf: { jkt: string } }>(value).cnf.jkt);
    expect(after).toBe(before);
    demandsProofs(api, { keyOf: () => after });
    expect((await createFetch(session, { baseUrl: api.origin, allowInsecureRequests: true })('/me')).status).toBe(200);
    await session.end();
  });
});
