import { generateKeyPair, exportJWK, SignJWT, type CryptoKey, type JWK } from 'jose';
import { createTokenManager, type LoginOptions, type TokenManager } from 'grantkeeper';
import { createLoginHandlers } from 'grantkeeper/web';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { Browser } from './support/browser.js';
import { textsOf } from './support/canary.js';
import { CookieUserAgent } from './support/cookie-user-agent.js';
import { failureOf } from './support/failure.js';
import { loginUnderWay, type LoginUnderWay } from './support/login-under-way.js';
import type { MachineClient, MachineClientOptions } from './support/machine-client.js';
import { MapStore } from './support/map-store.js';
import { startOidcProvider, type OidcProvider } from './support/oidc-provider.js';
import { REDIRECT_URI, webClient } from './support/web-client.js';

const SECRET = 'an-ordinary.secret_1';
const MINUTE = 60;

describe('at a real authorization server', () => {
  let provider: OidcProvider;
  let browser: CookieUserAgent;

  beforeAll(async () => {
    provider = await startOidcProvider({
      clients: [{ client_id: 'app', client_secret: SECRET, grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], redirect_uris: [REDIRECT_URI] }],
      configuration: { features: { jwtResponseModes: { enabled: true } } },
    });
  });

  afterAll(async () => {
    await provider.close();
  });

  beforeEach(() => {
    browser = new CookieUserAgent(provider.issuer);
  });

  const client = (): TokenManager => createTokenManager({ issuer: provider.issuer, clientId: 'app', clientSecret: SECRET, allowInsecureRequests: true });
  const options: LoginOptions = { redirectUri: REDIRECT_URI, scope: 'openid offline_access read', prompt: 'consent', responseMode: 'jwt' };

  test('a whole login: the callback is one JWT, and nothing else', async () => {
    const tokens = client();
    const { url, transaction } = await tokens.startLogin(options);
    expect(url.searchParams.get('response_mode')).toBe('jwt');
    const callback = await browser.follows(url);
    expect([...new URL(callback).searchParams.keys()]).toEqual(['response']);
    const { session } = await tokens.completeLogin(callback, transaction);
    expect(await session.info()).toMatchObject({ scope: 'read', claims: { sub: 'user-1' } });
    expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
    expect((await failureOf(tokens.completeLogin(callback, transaction))).code).toBe('callback_already_used');
  });

  test('A5 an error comes in one too', async () => {
    const tokens = client();
    provider.interactions.deniesNextConsent();
    const { url, transaction } = await tokens.startLogin(options);
    const callback = await browser.follows(url);
    expect([...new URL(callback).searchParams.keys()]).toEqual(['response']);
    expect(await failureOf(tokens.completeLogin(callback, transaction))).toMatchObject({ code: 'authorization_failed', error: 'access_denied', errorDescription: 'The user said no' });
  });

  test('A2 the JWT of another login, or of one that asked for none', async () => {
    const tokens = client();
    const [one, other, plain] = [await tokens.startLogin(options), await tokens.startLogin(options), await tokens.startLogin({ ...options, responseMode: undefined })];
    const callbacks = [await browser.follows(one.url), await browser.follows(other.url), await browser.follows(plain.url)] as const;
    for (const [callback, transaction] of [[callbacks[0], other.transaction], [callbacks[2], one.transaction], [callbacks[0], plain.transaction]] as const) {
      expect((await failureOf(tokens.completeLogin(callback, transaction))).code).toBe('invalid_callback');
    }
    for (const [callback, transaction] of [[callbacks[0], one.transaction], [callbacks[1], other.transaction], [callbacks[2], plain.transaction]] as const) {
      expect(await tokens.completeLogin(callback, transaction)).toHaveProperty('session');
    }
  });

  test('A4 through the login handlers, in two tabs', async () => {
    const auth = createLoginHandlers(client(), { redirectUri: REDIRECT_URI, scope: 'openid read', responseMode: 'jwt' });
    const site = new Browser(auth.handle);
    const starts = [await site.opens('/login?returnTo=/one'), await site.opens('/login?returnTo=/two')];
    const ends: (string | null)[] = [];
    for (const start of starts.reverse()) {
      const callback = new URL(await browser.follows(start.headers.get('location') ?? ''));
      ends.push((await site.opens(callback.pathname + callback.search)).headers.get('location'));
    }
    expect(ends).toEqual(['/two', '/one']);
    expect(site.session).toBeDefined();
    expect(site.loginsUnderWay).toEqual([]);
  });
});

describe('the JWT of a callback', () => {
  let server: AuthorizationServer;
  /** The server's keys: the second has no `kid`. */
  let rsa: CryptoKey;
  let ec: CryptoKey;
  let stranger: CryptoKey;
  let jwks: { keys: JWK[] };
  let client: MachineClient;
  let store: MapStore;

  beforeAll(async () => {
    server = await startAuthorizationServer();
    const [first, second, third] = await Promise.all([generateKeyPair('RS256', { extractable: true }), generateKeyPair('ES256', { extractable: true }), generateKeyPair('RS256')]);
    [rsa, ec, stranger] = [first.privateKey, second.privateKey, third.privateKey];
    jwks = { keys: [{ ...await exportJWK(first.publicKey), kid: 'rsa', use: 'sig' }, { ...await exportJWK(second.publicKey), use: 'sig' }] };
  });

  afterAll(async () => {
    await server.close();
  });

  beforeEach(() => {
    server.at('/jwks').answersEvery({ json: jwks });
    store = new MapStore();
    client = manager();
    server.tokenRequests.length = 0;
    server.jwksRequests.length = 0;
  });

  function manager(options: MachineClientOptions = {}): MachineClient {
    return webClient(server, { store, encryptionKeys: false, ...options });
  }

  interface Bent {
    /** In the place of the JWT's own; `undefined` leaves one out. */
    readonly claims?: Record<string, unknown>;
    readonly header?: Record<string, unknown>;
    readonly key?: CryptoKey | Uint8Array;
  }

  /** What a server that knows the mode would have sent the browser back with. */
  async function jwtOf({ callback }: LoginUnderWay, { claims = {}, header = {}, key = rsa }: Bent = {}): Promise<string> {
    const now = Math.floor(client.clock.now() / 1_000);
    const all: Record<string, unknown> = { ...Object.fromEntries(new URL(callback).searchParams), iss: server.issuer, aud: 'app', exp: now + 10 * MINUTE, ...claims };
    const payload = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
    return new SignJWT(payload).setProtectedHeader({ alg: 'RS256', kid: 'rsa', ...header }).sign(key);
  }

  const started = async (options: Partial<LoginOptions> = {}): Promise<LoginUnderWay> => loginUnderWay(client, { scope: 'offline_access', responseMode: 'jwt', ...options });
  const at = (jwt: string): string => `${REDIRECT_URI}?response=${jwt}`;

  /** Refused for this reason, and nothing spent: the right callback completes the login afterwards. */
  async function expectRefused(login: LoginUnderWay, callback: string, reason: string): Promise<void> {
    const failure = await failureOf(client.tokens.completeLogin(callback, login.transaction));
    expect(failure).toMatchObject({ code: 'invalid_callback', retryable: false });
    expect(failure.message).toContain(reason);
    expect([server.tokenRequests.length, store.entries.size]).toEqual([0, 0]);
    expect(await client.tokens.completeLogin(at(await jwtOf(login)), login.transaction)).toHaveProperty('session');
  }

  test.each<[string, Bent]>([
    ['as it should be', {}],
    ['for this client in a list', { claims: { aud: ['app'] } }],
    ['that has just expired, by a clock that is behind', { claims: { exp: -20 } }],
    ['with claims that are no parameters', { claims: { nbf: 1, extra: { code: 'x' }, list: ['state'] } }],
  ])('%s', async (_case, bent) => {
    const login = await started();
    const now = Math.floor(client.clock.now() / 1_000);
    const { exp } = bent.claims ?? {};
    const jwt = await jwtOf(login, { ...bent, claims: { ...bent.claims, ...typeof exp === 'number' && { exp: now + exp } } });
    expect(await client.tokens.completeLogin(at(jwt), login.transaction)).toHaveProperty('session');
  });

  test('signed with another key of the server\'s, which it doesn\'t name', async () => {
    const login = await started();
    const jwt = await jwtOf(login, { header: { alg: 'ES256', kid: undefined }, key: ec });
    expect(await client.tokens.completeLogin(at(jwt), login.transaction)).toHaveProperty('session');
  });

  test('in a form that was posted', async () => {
    const login = await started();
    const form = new Request(REDIRECT_URI, { method: 'POST', body: new URLSearchParams({ response: await jwtOf(login) }) });
    expect(await client.tokens.completeLogin(form, login.transaction)).toHaveProperty('session');
  });

  test('counts alone: what stands beside it is not looked at', async () => {
    const login = await started();
    expect(await client.tokens.completeLogin(`${at(await jwtOf(login))}&code=other&iss=https://evil.example&error=access_denied`, login.transaction)).toHaveProperty('session');
    expect(server.lastTokenRequest.parameters.get('code')).toBe(new URL(login.callback).searchParams.get('code'));
  });

  test.each<[string, Bent, string]>([
    ['another issuer', { claims: { iss: 'https://evil.example' } }, 'its `iss` is not what it must be'],
    ['no issuer', { claims: { iss: undefined } }, 'its `iss` is missing'],
    ['another audience', { claims: { aud: 'other' } }, 'its `aud` is not what it must be'],
    ['no audience', { claims: { aud: undefined } }, 'its `aud` is missing'],
    ['an expiry long ago', { claims: { exp: 1 } }, 'it has expired'],
    ['no expiry', { claims: { exp: undefined } }, 'its `exp` is missing'],
    ['a time before which it\'s not good', { claims: { nbf: 99_999_999_999 } }, 'its `nbf` is not what it must be'],
    ['the state of another login', { claims: { state: 'other' } }, 'its `state` is not that of this login'],
    ['no state', { claims: { state: undefined } }, 'its `state` is not that of this login'],
    ['a state that is a list', { claims: { state: ['a'] } }, 'its `state` is not that of this login'],
    ['neither code nor error', { claims: { code: undefined } }, 'it has neither `code` nor `error`'],
    ['a code that is no text', { claims: { code: { value: 'code-1' } } }, 'it has neither `code` nor `error`'],
    ['a key that the server doesn\'t have', { header: { kid: 'other' } }, 'its signing key is not among the server\'s'],
    ['HMAC', { header: { alg: 'HS256' }, key: new TextEncoder().encode('correct-horse-battery-staple-and-more') }, 'its signature algorithm is not accepted'],
  ])('with %s', async (_case, bent, reason) => {
    const login = await started();
    await expectRefused(login, at(await jwtOf(login, bent)), reason);
  });

  test.each<[string, (jwt: string, login: LoginUnderWay) => string | Promise<string>, string]>([
    ['signed by somebody else', async (_jwt, login) => at(await jwtOf(login, { key: stranger })), 'its signature is not the server\'s'],
    ['changed on the way', (jwt) => at(changed(jwt, { code: 'code-of-the-attacker' })), 'its signature is not the server\'s'],
    ['with its signature cut off', (jwt) => at(jwt.replace(/\.[^.]*$/, '.')), 'its signature is not the server\'s'],
    ['unsigned, as `none` says', (jwt) => at(`${encoded({ alg: 'none' })}.${jwt.split('.')[1] ?? ''}.`), 'its signature algorithm is not accepted'],
    ['with a header that is none', (jwt) => at(`x.${jwt.split('.').slice(1).join('.')}`), 'it is not a signed JWT'],
    ['that is another text', () => at('x'), 'its `state` is not that of this login'],
    ['that is empty', () => at(''), 'its `state` is not that of this login'],
    ['twice', (jwt) => `${at(jwt)}&response=${jwt}`, 'it must come as one JWT'],
    ['stripped: its parameters bare', (_jwt, { callback }) => callback, 'it must come as one JWT'],
    ['stripped, as an error', (_jwt, login) => login.callbackWith({ code: undefined, error: 'access_denied' }), 'it must come as one JWT'],
    ['beside another state', (jwt) => `${at(jwt)}&state=other`, 'its `state` is not that of this login'],
  ])('%s', async (_case, bend, reason) => {
    const login = await started();
    await expectRefused(login, await bend(await jwtOf(login), login), reason);
  });

  test('for a login that did not ask for one', async () => {
    const login = await started({ responseMode: undefined });
    const failure = await failureOf(client.tokens.completeLogin(at(await jwtOf(login)), login.transaction));
    expect(failure).toMatchObject({ code: 'invalid_callback', message: 'The callback can\'t complete this login: it comes as a JWT (`response`), which the login did not ask for' });
    expect([server.tokenRequests.length, store.entries.size]).toEqual([0, 0]);
    expect(await client.tokens.completeLogin(login.callback, login.transaction)).toHaveProperty('session');
  });

  test('a bare callback may have a `response` of somebody else\'s beside its parameters', async () => {
    const login = await started({ responseMode: undefined });
    expect(await client.tokens.completeLogin(`${login.callback}&response=full`, login.transaction)).toHaveProperty('session');
  });

  test('a stranger\'s makes nobody fetch keys', async () => {
    const login = await started();
    await failureOf(client.tokens.completeLogin(at(await jwtOf(login, { claims: { state: 'other' }, header: { kid: 'other' } })), login.transaction));
    expect(server.jwksRequests).toEqual([]);
  });

  test('an algorithm that the server doesn\'t list for it', async () => {
    client = manager({ server: { ...server.metadata, authorization_signing_alg_values_supported: ['ES256'] } });
    const login = await started();
    const failure = await failureOf(client.tokens.completeLogin(at(await jwtOf(login)), login.transaction));
    expect(failure).toMatchObject({ code: 'invalid_callback' });
    expect(failure.message).toContain('its signature algorithm is not accepted');
    expect(await client.tokens.completeLogin(at(await jwtOf(login, { header: { alg: 'ES256', kid: undefined }, key: ec })), login.transaction)).toHaveProperty('session');
  });

  test('keys that can\'t be had just now: nothing is spent, and the same callback succeeds later', async () => {
    const login = await started();
    const callback = at(await jwtOf(login));
    server.at('/jwks').answersNext({ status: 503 });
    expect(await failureOf(client.tokens.completeLogin(callback, login.transaction))).toMatchObject({ code: 'invalid_response', status: 503, retryable: true });
    expect(await client.tokens.completeLogin(callback, login.transaction)).toHaveProperty('session');
  });

  test('S1 of one that is refused the error shows nothing', async () => {
    const login = await started();
    const jwts = [await jwtOf(login, { key: stranger }), await jwtOf(login, { claims: { iss: 'iss-canary' } }), await jwtOf(login, { claims: { aud: 'aud-canary' } }), await jwtOf(login, { claims: { code: undefined, error: `c4nary ${login.state}`, error_description: login.state } })];
    for (const jwt of jwts) {
      const shown = textsOf(await failureOf(client.tokens.completeLogin(at(jwt), login.transaction))).join();
      for (const secret of [...jwt.split('.'), login.state, new URL(login.callback).searchParams.get('code') ?? '', 'iss-canary', 'aud-canary']) expect(shown).not.toContain(secret);
    }
  });
});

describe('startLogin', () => {
  let server: AuthorizationServer;

  beforeAll(async () => {
    server = await startAuthorizationServer();
  });

  afterAll(async () => {
    await server.close();
  });

  const refusal = async (options: Record<string, unknown>, metadata: Record<string, unknown> = {}): Promise<string> => {
    const failure = await failureOf(webClient(server, { server: { ...server.metadata, ...metadata } }).tokens.startLogin({ redirectUri: REDIRECT_URI, ...options }));
    expect(failure.code).toBe('invalid_configuration');
    return failure.message;
  };

  test.each<[string, Record<string, unknown>, Record<string, unknown>, string]>([
    ['another mode', { responseMode: 'query' }, {}, 'startLogin: `responseMode` must be "jwt" (JARM); others go into `parameters.response_mode`; received "query"'],
    ['the mode twice', { responseMode: 'jwt', parameters: { response_mode: 'form_post' } }, {}, 'startLogin: pass `responseMode` or `parameters.response_mode`, not both'],
    ['a JWT that nobody would check', { parameters: { response_mode: 'jwt' } }, {}, 'startLogin: `parameters.response_mode` must not be "jwt": use the option `responseMode`, whose JWT is checked'],
    ['the same in a query', { parameters: { response_mode: 'query.jwt' } }, {}, 'startLogin: `parameters.response_mode` must not be "query.jwt"'],
    ['an issuer that is not known', { responseMode: 'jwt' }, { issuer: undefined }, 'startLogin: the option `responseMode` needs the `issuer` that callbacks must name'],
    ['keys that are not known', { responseMode: 'jwt' }, { jwks_uri: undefined }, 'no `jwks_uri`, which the option `responseMode` needs'],
  ])('refuses %s', async (_case, options, metadata, message) => {
    expect(await refusal(options, metadata)).toContain(message);
  });
});

const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** The same JWT with other claims under the same signature. */
function changed(jwt: string, claims: Record<string, unknown>): string {
  const [header = '', payload = '', signature = ''] = jwt.split('.');
  return [header, encoded({ ...JSON.parse(Buffer.from(payload, 'base64url').toString()) as object, ...claims }), signature].join('.');
}
