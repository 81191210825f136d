import { generateKeyPairSync } from 'node:crypto';
import { createTokenManager, none, privateKeyJwt, tlsClientAuth, type LoginOptions, type Session, type TokenManager, type TokenManagerOptions } from 'grantkeeper';
import { createLoginHandlers } from 'grantkeeper/web';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { hang, redirectTo, reset, type Answer } from './support/answers.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { Browser } from './support/browser.js';
import { everySpelling, textsOf } from './support/canary.js';
import { CookieUserAgent } from './support/cookie-user-agent.js';
import { failureOf, thrownBy } from './support/failure.js';
import type { MachineClient, MachineClientOptions } from './support/machine-client.js';
import { startOidcProvider, type OidcProvider } from './support/oidc-provider.js';
import type { ReceivedRequest } from './support/received-request.js';
import { createTestCa } from './support/test-ca.js';
import { tokenRequest } from './support/token-request.js';
import { REDIRECT_URI, webClient } from './support/web-client.js';

const SECRET = 'an-ordinary.secret_1';
const REQUEST_URI = 'urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c';
const web = { grant_types: ['authorization_code', 'refresh_token'], response_types: ['code' as const], redirect_uris: [REDIRECT_URI] };
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

describe('at a real authorization server', () => {
  /** One that takes pushed requests, and one that takes no others. */
  let lenient: OidcProvider;
  let strict: OidcProvider;
  let pushed: string[];

  beforeAll(async () => {
    const clients = [
      { ...web, client_id: 'app', client_secret: SECRET },
      { ...web, client_id: 'public-app', token_endpoint_auth_method: 'none' as const },
      { ...web, client_id: 'key-app', token_endpoint_auth_method: 'private_key_jwt' as const, jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }) as { kty: string }, alg: 'ES256' }] } },
    ];
    lenient = await startOidcProvider({ clients });
    strict = await startOidcProvider({ clients, configuration: { features: { pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true } } } });
    for (const { provider } of [lenient, strict]) provider.on('pushed_authorization_request.success', (_ctx, { clientId }) => { pushed.push(clientId); });
  });

  afterAll(async () => {
    await Promise.all([lenient.close(), strict.close()]);
  });

  beforeEach(() => {
    pushed = [];
  });

  function client({ issuer }: OidcProvider, options: Partial<TokenManagerOptions> = {}): TokenManager {
    return createTokenManager({ issuer, clientId: 'app', ...options.clientAuthentication === undefined && { clientSecret: SECRET }, allowInsecureRequests: true, retry: { minDelay: 0 }, ...options });
  }

  async function signIn(tokens: TokenManager, { issuer }: OidcProvider, options: Partial<LoginOptions> = {}): Promise<{ session: Session; url: URL }> {
    const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'openid offline_access read', prompt: 'consent', ...options });
    return { url, session: (await tokens.completeLogin(await new CookieUserAgent(issuer).follows(url), transaction)).session };
  }

  test('a whole login, with a URL that says nothing of it', async () => {
    const { session, url } = await signIn(client(lenient, { pushedAuthorizationRequests: true }), lenient, { maxAge: 60, resource: 'https://orders.example.com/' });
    expect([...url.searchParams.keys()].sort()).toEqual(['client_id', 'request_uri']);
    expect(url.searchParams.get('request_uri')).toMatch(/^urn:ietf:params:oauth:request_uri:/);
    expect(await session.info()).toMatchObject({ scope: 'read', claims: { sub: 'user-1', auth_time: expect.any(Number) as number } });
    const rejected = await session.getToken();
    expect((await session.getToken({ rejected })).value).not.toBe(rejected.value);
    expect(pushed).toEqual(['app']);
  });

  test.each<[string, Partial<TokenManagerOptions>]>([
    ['a public client', { clientId: 'public-app', clientAuthentication: none() }],
    ['a client with a key', { clientId: 'key-app', clientAuthentication: privateKeyJwt(privateKey) }],
    ['a client whose secret has just been replaced', { clientSecret: rotating('out-of-date', SECRET) }],
    ['a client with DPoP: the code is bound too', { dpop: true }],
  ])('%s', async (_case, options) => {
    const { session, url } = await signIn(client(strict, options), strict);
    expect([...url.searchParams.keys()].sort()).toEqual(['client_id', 'request_uri']);
    expect(await session.getToken()).toMatchObject({ type: options.dpop === undefined ? 'Bearer' : 'DPoP' });
    expect(pushed).toEqual([options.clientId ?? 'app']);
  });

  test('one that takes no other requests is sent them so, unless the option says no', async () => {
    await signIn(client(strict), strict);
    await signIn(client(lenient), lenient);
    expect(pushed).toEqual(['app']);
    const tokens = client(strict, { pushedAuthorizationRequests: false });
    const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'openid' });
    const callback = await new CookieUserAgent(strict.issuer).follows(url);
    expect(await failureOf(tokens.completeLogin(callback, transaction))).toMatchObject({ code: 'authorization_failed', error: 'invalid_request' });
  });

  test('it refuses what it would have told the browser: the login doesn\'t begin', async () => {
    const failure = await failureOf(client(lenient, { pushedAuthorizationRequests: true }).startLogin({ redirectUri: 'https://evil.example/callback', scope: 'openid' }));
    expect(failure).toMatchObject({ code: 'token_request_failed', status: 400, retryable: false });
    expect(failure.errorDescription).toContain('redirect_uri');
    expect(failure.message).toContain('The pushed authorization request endpoint refused the request');
    const wrong = await failureOf(client(lenient, { pushedAuthorizationRequests: true, clientSecret: 'wrong' }).startLogin({ redirectUri: REDIRECT_URI, scope: 'openid' }));
    expect(wrong).toMatchObject({ code: 'token_request_failed', status: 401, error: 'invalid_client' });
  });

  test('through the login handlers, which find the login though its URL has no `state`', async () => {
    const auth = createLoginHandlers(client(strict), { redirectUri: REDIRECT_URI, scope: 'openid read' });
    const browser = new Browser(auth.handle);
    const [one, two] = [await browser.opens('/login?returnTo=/one'), await browser.opens('/login?returnTo=/two')];
    const ends: (string | null)[] = [];
    for (const start of [two, one]) {
      const callback = new URL(await new CookieUserAgent(strict.issuer).follows(start.headers.get('location') ?? ''));
      ends.push((await browser.opens(callback.pathname + callback.search)).headers.get('location'));
    }
    expect(ends).toEqual(['/two', '/one']);
    expect(await auth.session({ headers: new Headers({ cookie: browser.cookieHeader }) })?.getToken()).toMatchObject({ type: 'Bearer' });
    expect(browser.loginsUnderWay).toEqual([]);
  });

  test('with a client certificate, at the endpoint that asks for one (RFC 8705 section 5)', async () => {
    const ca = await createTestCa();
    const [certificate, billing] = await Promise.all([ca.server(), ca.client({ subject: 'CN=billing,O=Example' })]);
    const mutual = await startOidcProvider({ clients: [{ ...web, client_id: 'mtls-app', token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_subject_dn: 'O=Example,CN=billing' }], tls: { ...certificate, ca: ca.cert } });
    const ports: (number | undefined)[] = [];
    mutual.provider.on('pushed_authorization_request.success', ({ req }) => { ports.push(req.socket.localPort); });
    try {
      const tokens = client(mutual, { clientId: 'mtls-app', clientAuthentication: tlsClientAuth({ ...billing, ca: ca.cert }), pushedAuthorizationRequests: true });
      const { url } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'openid' });
      expect([...url.searchParams.keys()].sort()).toEqual(['client_id', 'request_uri']);
      expect(url.origin).toBe(mutual.issuer);
      expect(ports).toHaveLength(1);
      expect(ports[0]).not.toBe(Number(new URL(mutual.issuer).port));
    } finally {
      await mutual.close();
    }
  });
});

describe('the request', () => {
  let server: AuthorizationServer;

  beforeAll(async () => {
    server = await startAuthorizationServer();
  });

  afterAll(async () => {
    await server.close();
  });

  beforeEach(() => {
    server.at('/par').answersAsUsual();
  });

  /** @param metadata of a server that takes pushed requests at `/par` */
  function client(options: MachineClientOptions = {}, metadata: Record<string, unknown> = {}): MachineClient {
    return webClient(server, { pushedAuthorizationRequests: true, server: { ...server.metadata, pushed_authorization_request_endpoint: `${server.origin}/par`, ...metadata }, ...options });
  }

  const start = async ({ tokens }: MachineClient, options: Partial<LoginOptions> = {}): Promise<URL> => (await tokens.startLogin({ redirectUri: REDIRECT_URI, ...options })).url;

  /** What was pushed to a server that gives `answer`. */
  function pushesTo(answer: Answer): ReceivedRequest[] {
    const requests: ReceivedRequest[] = [];
    server.at('/par').answersEvery((request) => {
      requests.push(request);
      return answer;
    });
    return requests;
  }

  test('holds all that the URL would have held, and the client\'s proof', async () => {
    const requests = pushesTo({ status: 201, json: { request_uri: REQUEST_URI, expires_in: 60 } });
    const options: Partial<LoginOptions> = { scope: 'openid read', resource: ['https://a.example', 'https://b.example'], maxAge: 60, loginHint: 'user@example.com', authorizationDetails: [{ type: 'payment' }], parameters: { access_type: 'offline' } };
    const url = await start(client(), options);
    expect(url.href).toBe(`${server.origin}/authorize?${new URLSearchParams({ request_uri: REQUEST_URI, client_id: 'app' }).toString()}`);
    const [{ parameters, basic, method, headers }] = requests.map(tokenRequest) as [ReturnType<typeof tokenRequest>];
    expect([method, headers['content-type']]).toEqual(['POST', 'application/x-www-form-urlencoded;charset=UTF-8']);
    expect(basic).toMatchObject({ user: 'app' });
    const plain = await start(client({ pushedAuthorizationRequests: false }), options);
    expect([...parameters.keys()].sort()).toEqual([...plain.searchParams.keys()].sort());
    const fresh = new Set(['state', 'nonce', 'code_challenge']);
    for (const name of new Set(parameters.keys())) expect(parameters.getAll(name).length, name).toBe(plain.searchParams.getAll(name).length);
    expect([...parameters].filter(([name]) => !fresh.has(name)).sort()).toEqual([...plain.searchParams].filter(([name]) => !fresh.has(name)).sort());
  });

  test.each<[string, Answer]>([
    ['200', { status: 200, json: { request_uri: REQUEST_URI, expires_in: 60 } }],
    ['201 without a lifetime', { status: 201, json: { request_uri: REQUEST_URI } }],
    ['201 with a lifetime that is a text', { status: 201, json: { request_uri: REQUEST_URI, expires_in: 'soon' } }],
    ['201 without a content type', { status: 201, body: JSON.stringify({ request_uri: REQUEST_URI }) }],
  ])('is answered with %s: good', async (_case, answer) => {
    pushesTo(answer);
    expect((await start(client())).searchParams.get('request_uri')).toBe(REQUEST_URI);
  });

  test.each<[string, Answer, number]>([
    ['no request_uri', { status: 201, json: { expires_in: 60 } }, 201],
    ['an empty one', { status: 201, json: { request_uri: '', expires_in: 60 } }, 201],
    ['a number for one', { status: 201, json: { request_uri: 1, expires_in: 60 } }, 201],
    ['null', { status: 200, json: null }, 200],
    ['a page', { status: 200, body: '<html>Sign in</html>' }, 200],
    ['nothing', { status: 204 }, 204],
  ])('is answered with %s: invalid_response', async (_case, answer, status) => {
    pushesTo(answer);
    const failure = await failureOf(start(client()));
    expect(failure).toMatchObject({ code: 'invalid_response', status });
    expect(failure.message).toContain('`request_uri`');
  });

  test.each<[string, Answer, Record<string, unknown>]>([
    ['400', { status: 400, json: { error: 'invalid_request', error_description: 'no such scope' } }, { code: 'token_request_failed', status: 400, error: 'invalid_request', errorDescription: 'no such scope', retryable: false }],
    ['401', { status: 401, json: { error: 'invalid_client' } }, { code: 'token_request_failed', status: 401, error: 'invalid_client' }],
    ['an error with 200', { status: 200, json: { error: 'invalid_request', request_uri: REQUEST_URI } }, { code: 'token_request_failed', status: 200 }],
    ['429', { status: 429, headers: { 'retry-after': '2' } }, { code: 'token_request_failed', status: 429, retryable: true, retryAfter: 2_000 }],
    ['503', { status: 503, body: 'down' }, { code: 'token_request_failed', status: 503, retryable: true }],
    ['a redirect', redirectTo('https://evil.example/par', 307), { code: 'token_request_failed', status: 307 }],
    ['a reset connection', reset(), { code: 'server_unreachable', retryable: true }],
  ])('is answered with %s', async (_case, answer, expected) => {
    const requests = pushesTo(answer);
    const failure = await failureOf(start(client()));
    expect(failure).toMatchObject(expected);
    expect(failure.message).toContain('The pushed authorization request endpoint');
    expect(requests).toHaveLength(1);
  });

  test('is not answered in time', async () => {
    pushesTo(hang());
    expect(await failureOf(start(client({ timeout: 300 })))).toMatchObject({ code: 'timeout', retryable: true });
  });

  test('S1 of what it holds an answer that echoes it shows nothing', async () => {
    const secrets = [`cl1entSecretCanary+w/x=&<"é ü">'\\%`, 'p4sswordCanary+/é'];
    server.at('/par').answersEvery((request) => {
      const { parameters, body, headers } = tokenRequest(request);
      secrets.push(parameters.get('state') ?? '', parameters.get('nonce') ?? '');
      const echo = `${body} ${JSON.stringify(headers)} ${[...parameters.values()].join(' ')}`;
      return { status: 400, json: { error: echo, error_description: echo } };
    });
    const observed = client({ clientSecret: secrets[0] ?? '' });
    const failure = await failureOf(start(observed, { parameters: { user_password: secrets[1] ?? '' } }));
    expect(secrets.map(({ length }) => length > 15)).toEqual([true, true, true, true]);
    const texts = [failure, observed.tokens].flatMap(textsOf);
    for (const secret of secrets) for (const [encoding, spelling] of everySpelling(secret)) expect(texts.some((text) => text.includes(spelling)), encoding).toBe(false);
  });

  test.each<[string, Record<string, unknown>, Record<string, unknown>, string]>([
    ['no endpoint', { pushed_authorization_request_endpoint: undefined }, { code: 'invalid_configuration' }, 'no `pushed_authorization_request_endpoint`, which the option `pushedAuthorizationRequests` needs'],
    ['an endpoint on http elsewhere', { pushed_authorization_request_endpoint: 'http://login.example.com/par' }, { code: 'discovery_failed' }, '`pushed_authorization_request_endpoint`'],
  ])('can\'t be sent to a server with %s', async (_case, metadata, expected, message) => {
    const { issuer } = server;
    server.openidConfiguration.answersNext({ json: { ...server.metadata, ...metadata } });
    const failure = await failureOf(start(webClient(server, { issuer, pushedAuthorizationRequests: true })));
    expect(failure).toMatchObject(expected);
    expect(failure.message).toContain(message);
  });

  test('is sent only where it\'s asked for, or required', async () => {
    const requests = pushesTo({ status: 201, json: { request_uri: REQUEST_URI } });
    const counts: number[] = [];
    for (const isRequired of [undefined, false, 'true', true]) {
      await start(client({ pushedAuthorizationRequests: undefined }, { require_pushed_authorization_requests: isRequired }));
      counts.push(requests.length);
    }
    await start(client({ pushedAuthorizationRequests: false }, { require_pushed_authorization_requests: true }));
    expect([...counts, requests.length]).toEqual([0, 0, 0, 1, 1]);
  });

  test('is not sent by a manager that is closed', async () => {
    const requests = pushesTo({ status: 201, json: { request_uri: REQUEST_URI } });
    const closed = client();
    await closed.tokens.close();
    expect(await failureOf(start(closed))).toMatchObject({ code: 'invalid_configuration' });
    expect(requests).toEqual([]);
  });

  test('the option is true or false', () => {
    expect(thrownBy(() => client({ pushedAuthorizationRequests: 'yes' as never })).message).toBe('createTokenManager: `pushedAuthorizationRequests` must be true or false; received "yes"');
  });
});

function rotating(...secrets: string[]): () => string {
  return () => secrets.shift() ?? 'none left';
}
