import { createLocalJWKSet, jwtVerify, type JSONWebKeySet, type JWTPayload } from 'jose';
import { createTokenManager, none, type LoginOptions, type Session, type StartedLogin, type TokenManager, type TokenManagerOptions } from 'grantkeeper';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { inProcessLock } from '../src/cache/in-process-lock.js';
import { ManualClock } from './support/clock.js';
import { CookieUserAgent } from './support/cookie-user-agent.js';
import { failureOf } from './support/failure.js';
import { MapStore } from './support/map-store.js';
import { startOidcProvider, type OidcProvider } from './support/oidc-provider.js';
import { REDIRECT_URI } from './support/web-client.js';

const ORDERS = 'https://orders.example.com/';
const INVOICES = 'https://invoices.example.com/';
const SIGNED_OUT = 'https://app.example.com/signed-out';
const MINUTE = 60_000;
const SECRET = 'an-ordinary.secret_1';

let provider: OidcProvider;
let keys: ReturnType<typeof createLocalJWKSet>;
let browser: CookieUserAgent;
/** What the token endpoint granted, and why it refused. */
const granted: string[] = [];
const refused: string[] = [];

beforeAll(async () => {
  const web = { grant_types: ['authorization_code', 'refresh_token'], response_types: ['code' as const], redirect_uris: [REDIRECT_URI], post_logout_redirect_uris: [SIGNED_OUT] };
  provider = await startOidcProvider({
    accessTokenTtl: 60,
    clients: [
      { ...web, client_id: 'app', client_secret: SECRET },
      { ...web, client_id: 'public-app', token_endpoint_auth_method: 'none' },
    ],
  });
  keys = createLocalJWKSet(await (await fetch(`${provider.issuer}/jwks`)).json() as JSONWebKeySet);
  provider.provider.on('grant.success', ({ oidc }) => { granted.push(String(oidc.params?.['grant_type'])); });
  provider.provider.on('grant.error', (_ctx, { error_detail: detail, error_description: description }) => { refused.push(detail ?? description ?? ''); });
});

afterAll(async () => {
  await provider.close();
});

beforeEach(() => {
  browser = new CookieUserAgent(provider.issuer);
  provider.interactions.subject = 'user-1';
  granted.length = 0;
  refused.length = 0;
});

function client(options: Partial<TokenManagerOptions> = {}): TokenManager {
  return createTokenManager({ issuer: provider.issuer, clientId: 'app', clientSecret: SECRET, allowInsecureRequests: true, retry: { minDelay: 0 }, ...options });
}

async function signIn(tokens: TokenManager, options: Partial<LoginOptions> = {}): Promise<Session> {
  const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'openid offline_access read', prompt: 'consent', ...options });
  return (await tokens.completeLogin(await browser.follows(url), transaction)).session;
}

/** Of the one session in a store that keeps it in the clear. */
function refreshTokenIn(store: MapStore): string {
  const record = [...store.entries.values()].find((value) => typeof value === 'string' && value.includes('refreshToken')) as string;
  return (JSON.parse(record) as { refreshToken: string }).refreshToken;
}

/** The access token's claims, as an API reads them (RFC 9068). */
async function claimsOf(token: { value: string }, audience: string): Promise<JWTPayload> {
  return (await jwtVerify(token.value, keys, { issuer: provider.issuer, audience, typ: 'at+jwt' })).payload;
}

describe('a login at a real authorization server', () => {
  test('A1 A7 brings a session, its claims, and a token that the API takes', async () => {
    const session = await signIn(client(), { maxAge: 60 });
    const info = await session.info();
    expect(info).toMatchObject({ id: session.id, scope: 'read', claims: { iss: provider.issuer, sub: 'user-1', aud: 'app', auth_time: expect.any(Number) as number } });
    expect(await claimsOf(await session.getToken(), 'https://api.example.com')).toMatchObject({ sub: 'user-1', client_id: 'app', scope: 'read' });
    expect(granted).toEqual(['authorization_code']);
  });

  test('A11 as a public client: PKCE is all that it proves', async () => {
    const session = await signIn(client({ clientId: 'public-app', clientSecret: undefined, clientAuthentication: none() }));
    const rejected = await session.getToken();
    expect((await session.getToken({ rejected })).value).not.toBe(rejected.value);
    expect(granted).toEqual(['authorization_code', 'refresh_token']);
  });

  test('A11 without offline_access there is no refresh token: the session ends with its access token', async () => {
    const session = await signIn(client(), { scope: 'openid read', prompt: undefined });
    const rejected = await session.getToken();
    expect(await failureOf(session.getToken({ rejected }))).toMatchObject({ code: 'reauthorization_required' });
    expect(granted).toEqual(['authorization_code']);
  });

  test('A5 the user says no', async () => {
    const tokens = client();
    provider.interactions.deniesNextConsent();
    const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'openid offline_access', prompt: 'consent' });
    const callback = await browser.follows(url);
    expect(await failureOf(tokens.completeLogin(callback, transaction))).toMatchObject({ code: 'authorization_failed', error: 'access_denied', errorDescription: 'The user said no' });
  });

  test('A5 A6 prompt=none with nobody signed in; the error callback names its issuer', async () => {
    const tokens = client();
    const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'openid', prompt: 'none' });
    const callback = new URL(await browser.follows(url));
    expect(callback.searchParams.get('iss')).toBe(provider.issuer);
    callback.searchParams.delete('iss');
    expect((await failureOf(tokens.completeLogin(callback, transaction))).code).toBe('invalid_callback');
    callback.searchParams.set('iss', provider.issuer);
    expect(await failureOf(tokens.completeLogin(callback, transaction))).toMatchObject({ code: 'authorization_failed', error: 'login_required' });
  });

  test('A4 two tabs of one browser, and a user in another one', async () => {
    const tokens = client();
    const [first, second, third] = await Promise.all(['/1', '/2', '/3'].map(async (returnTo) => tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'openid', returnTo }))) as [StartedLogin, StartedLogin, StartedLogin];
    const [one, two] = [await browser.follows(first.url), await browser.follows(second.url)];
    provider.interactions.subject = 'user-2';
    const three = await new CookieUserAgent(provider.issuer).follows(third.url);
    const completed = [await tokens.completeLogin(three, third.transaction), await tokens.completeLogin(two, second.transaction), await tokens.completeLogin(one, first.transaction)];
    const seen = await Promise.all(completed.map(async ({ session, returnTo }) => [(await session.info())?.claims?.['sub'], returnTo]));
    expect(seen).toEqual([['user-2', '/3'], ['user-1', '/2'], ['user-1', '/1']]);
  });

  test('A3 a second callback is not sent, so that the server has no reason to revoke the first one\'s tokens', async () => {
    const tokens = client();
    const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'openid offline_access read', prompt: 'consent' });
    const callback = await browser.follows(url);
    const { session } = await tokens.completeLogin(callback, transaction);
    expect(await failureOf(tokens.completeLogin(callback, transaction))).toMatchObject({ code: 'callback_already_used' });
    expect(await session.getToken({ rejected: await session.getToken() })).toMatchObject({ type: 'Bearer' });
    expect([granted, refused]).toEqual([['authorization_code', 'refresh_token'], []]);
  });
});

describe('its refresh tokens are good for one use, and a second use ends the grant', () => {
  test('R1 ten refreshes, one after the other', async () => {
    const clock = new ManualClock(Date.now());
    const session = await signIn(client({ clock }));
    const values = new Set<string>();
    for (let times = 0; times < 10; times += 1) {
      const token = await session.getToken();
      await claimsOf(token, 'https://api.example.com');
      values.add(token.value);
      clock.advance(MINUTE);
    }
    expect([values.size, granted.length, refused]).toEqual([10, 10, []]);
    expect((await session.info())?.claims).toMatchObject({ sub: 'user-1' });
  });

  test('R1 fifty callers in two processes: one refresh, and no reuse', async () => {
    const shared = { store: new MapStore(), encryptionKeys: ['A'.repeat(43)], lock: inProcessLock(new ManualClock()) };
    const [one, other] = [client(shared), client(shared)];
    const { id } = await signIn(one);
    const rejected = await one.session(id).getToken();
    const tokens = await Promise.all(Array.from({ length: 50 }, async (_, index) => (index % 2 === 0 ? one : other).session(id).getToken({ rejected })));
    expect(new Set(tokens.map(({ value }) => value)).size).toBe(1);
    expect([granted, refused]).toEqual([['authorization_code', 'refresh_token'], []]);
  });

  test('R3 whoever uses an old one ends the grant: reauthorization_required, and no further request', async () => {
    const store = new MapStore();
    const clock = new ManualClock(Date.now());
    const session = await signIn(client({ store, encryptionKeys: false, clock }));
    const stolen = refreshTokenIn(store);
    clock.advance(MINUTE);
    await session.getToken();
    const thief = await fetch(`${provider.issuer}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`app:${SECRET}`).toString('base64')}` },
      body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: stolen }),
    });
    expect([thief.status, refused]).toEqual([400, ['refresh token already used']]);
    clock.advance(MINUTE);
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required', error: 'invalid_grant' });
    expect(refused).toHaveLength(2);
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required' });
    expect(refused).toHaveLength(2);
  });
});

describe('its resource indicators (RFC 8707)', () => {
  test('one resource: the login\'s token is for it, and every refresh of it too', async () => {
    const session = await signIn(client(), { resource: ORDERS });
    const rejected = await session.getToken();
    await claimsOf(rejected, ORDERS);
    await claimsOf(await session.getToken({ rejected }), ORDERS);
    expect(refused).toEqual([]);
  });

  test('two resources: a token for each out of one grant', async () => {
    const session = await signIn(client(), { resource: [ORDERS, INVOICES], scope: 'openid offline_access read write' });
    const [orders, invoices] = [session.forResource({ resource: ORDERS }), session.forResource({ resource: INVOICES, scope: 'write' })];
    const [first, second] = await Promise.all([orders.getToken(), invoices.getToken()]);
    expect(await claimsOf(first, ORDERS)).toMatchObject({ sub: 'user-1' });
    expect(await claimsOf(second, INVOICES)).toMatchObject({ sub: 'user-1', scope: 'write' });
    expect(await orders.getToken()).toMatchObject({ value: first.value });
    const renewed = await Promise.all([orders.getToken({ rejected: first }), invoices.getToken({ rejected: second })]);
    expect(renewed.map(({ value }) => value)).not.toEqual([first.value, second.value]);
    expect([granted.length, refused]).toEqual([5, []]);
  });

  test('one that the login did not ask for is refused', async () => {
    const session = await signIn(client(), { resource: ORDERS });
    expect(await failureOf(session.forResource({ resource: INVOICES }).getToken())).toMatchObject({ code: 'token_request_failed', error: 'invalid_target' });
  });
});

describe('A12 its logout', () => {
  test('A12 revokes the grant, and its page takes the address: the browser comes back with the state', async () => {
    const session = await signIn(client());
    const { url } = await session.end({ postLogoutRedirectUri: SIGNED_OUT });
    const { searchParams } = url ?? new URL('about:blank');
    expect([...searchParams.keys()].sort()).toEqual(['client_id', 'id_token_hint', 'post_logout_redirect_uri', 'state']);
    expect(await browser.submits(url ?? '', { logout: 'yes' })).toBe(`${SIGNED_OUT}?state=${searchParams.get('state') ?? ''}`);
    const tokens = client();
    const { url: silent, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'openid', prompt: 'none' });
    expect(await failureOf(tokens.completeLogin(await browser.follows(silent), transaction))).toMatchObject({ error: 'login_required' });
  });

  test('A12 its refresh token is good for nothing any more', async () => {
    const store = new MapStore();
    const session = await signIn(client({ store, encryptionKeys: false }));
    const refreshToken = refreshTokenIn(store);
    await session.end();
    expect(await provider.provider.RefreshToken.find(refreshToken)).toBeUndefined();
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required' });
    expect([...store.entries.values()].join()).not.toContain(refreshToken);
  });

  test('A12 without an address to come back to', async () => {
    const session = await signIn(client());
    const { url } = await session.end();
    expect([...url?.searchParams.keys() ?? []].sort()).toEqual(['client_id', 'id_token_hint']);
    expect(await browser.submits(url ?? '', { logout: 'yes' })).toBe(`${provider.issuer}/session/end/success`);
  });
});
