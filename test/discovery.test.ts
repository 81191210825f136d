import { createTokenManager, type TokenManager, type TokenManagerOptions } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { drip, gzipBomb, hang, redirectTo, reset, type Answer } from './support/answers.js';
import { startApi } from './support/api-server.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { ManualClock } from './support/clock.js';
import { failureOf } from './support/failure.js';

const OPENID = '/.well-known/openid-configuration';
const OAUTH = '/.well-known/oauth-authorization-server';

let server: AuthorizationServer;
let clock: ManualClock;

beforeEach(async () => {
  server = await startAuthorizationServer();
  clock = new ManualClock();
});

afterEach(async () => {
  vi.unstubAllGlobals();
  await server.close();
});

function discovering(issuer: string | URL = server.issuer, options: Partial<TokenManagerOptions> = {}): TokenManager {
  return createTokenManager({ issuer, clientId: 'billing', clientSecret: 'correct-horse', clock, retry: { minDelay: 0 }, allowInsecureRequests: true, ...options });
}

function paths({ discoveryRequests }: AuthorizationServer): string[] {
  return discoveryRequests.map(({ path }) => path);
}

describe('T7 where the metadata is', () => {
  test('T7 nothing is sent before the first token is asked for', () => {
    discovering().clientCredentials();
    expect(server.requests).toEqual([]);
  });

  test('T7 OpenID Connect Discovery comes first, and is enough', async () => {
    await discovering().clientCredentials().getToken();
    expect(server.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([`GET ${OPENID}`, 'POST /token']);
    expect(server.discoveryRequests[0]?.headers.accept).toBe('application/json');
  });

  test.each<[string, Answer]>([
    ['404', { status: 404 }],
    ['405 with a page', { status: 405, body: '<h1>no</h1>' }],
    ['a page with 200', { body: '<!doctype html>', headers: { 'content-type': 'text/html' } }],
    ['a redirect', redirectTo('/login')],
  ])('T7 RFC 8414 comes second, where the first answers %s', async (_case, answer) => {
    server.openidConfiguration.answersEvery(answer);
    await discovering().clientCredentials().getToken();
    expect(paths(server)).toEqual([OPENID, OAUTH]);
    expect(server.tokenRequests).toHaveLength(1);
  });

  test.each([
    ['/tenant', '/tenant/.well-known/openid-configuration', '/.well-known/oauth-authorization-server/tenant'],
    ['/tenant/', '/tenant/.well-known/openid-configuration', '/.well-known/oauth-authorization-server/tenant'],
    ['/a/b%20c', '/a/b%20c/.well-known/openid-configuration', '/.well-known/oauth-authorization-server/a/b%20c'],
    ['/', OPENID, OAUTH],
    ['', OPENID, OAUTH],
  ])('T7 an issuer with the path %j', async (issuerPath, openid, oauth) => {
    await using tenant = await startAuthorizationServer({ issuerPath });
    tenant.openidConfiguration.answersNext({ status: 404 });
    await discovering(tenant.issuer).clientCredentials().getToken();
    expect(paths(tenant)).toEqual([openid, oauth]);
    expect(tenant.tokenRequests).toHaveLength(1);
  });

  test('T7 endpoints with double slashes and a query are kept as they are', async () => {
    server.metadata.token_endpoint = `${server.origin}//oauth2//token?p=b2c_1_flow`;
    await discovering().clientCredentials().getToken();
    expect(server.lastTokenRequest.url).toBe('//oauth2//token?p=b2c_1_flow');
  });

  test('T7 explicit metadata needs no discovery request', async () => {
    const tokens = discovering(undefined, { issuer: undefined, server: { token_endpoint: server.tokenEndpoint } });
    await tokens.clientCredentials().getToken();
    expect(server.discoveryRequests).toEqual([]);
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('T7 explicit metadata may hold what the server publishes, and is copied', async () => {
    const metadata = { ...server.metadata, token_endpoint_auth_methods_supported: ['client_secret_post'], extra: { nested: true } };
    const tokens = createTokenManager({ server: metadata, clientId: 'billing', allowInsecureRequests: true });
    metadata.token_endpoint = 'http://127.0.0.1:1/elsewhere';
    await tokens.clientCredentials().getToken();
    expect(server.tokenRequests).toHaveLength(1);
  });

  test.each(['https://login.example.com', 'not a URL'])('T7 the issuer in explicit metadata is a name only: %s', async (issuer) => {
    const tokens = createTokenManager({ server: { issuer, token_endpoint: server.tokenEndpoint }, clientId: 'billing', allowInsecureRequests: true });
    expect(await tokens.clientCredentials().getToken()).toMatchObject({ value: 'at-1' });
  });
});

describe('T7 the issuer in the document is the configured one, character by character', () => {
  test.each([
    ['', (issuer: string) => `${issuer}/`],
    ['/', (issuer: string) => issuer.slice(0, -1)],
    ['/tenant', (issuer: string) => `${issuer}/`],
    ['/tenant/', (issuer: string) => issuer.slice(0, -1)],
    ['/tenant', (issuer: string) => issuer.toUpperCase()],
    ['/tenant', (issuer: string) => issuer.replace('tenant', '{tenantid}')],
    ['/tenant', (issuer: string) => issuer.replace('http:', 'https:')],
  ])('T7 the path %j and another spelling', async (issuerPath, spelling) => {
    await using tenant = await startAuthorizationServer({ issuerPath });
    tenant.metadata.issuer = spelling(tenant.issuer);
    const failure = await failureOf(discovering(tenant.issuer).clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'discovery_failed', retryable: false });
    expect(failure.message).toContain(JSON.stringify(tenant.issuer));
    expect(failure.message).toContain(JSON.stringify(tenant.metadata.issuer));
    expect(failure.message).toContain('`issuer`');
    expect(tenant.tokenRequests).toEqual([]);
  });

  test.each([
    ['without a slash', (origin: string) => origin],
    ['with one', (origin: string) => `${origin}/`],
  ])('T7 a URL object with the path / stands for the issuer %s', async (_case, spelling) => {
    server.metadata.issuer = spelling(server.origin);
    expect(await discovering(new URL(server.origin)).clientCredentials().getToken()).toMatchObject({ value: 'at-1' });
  });

  test('T7 a URL object with another path stands for itself', async () => {
    await using tenant = await startAuthorizationServer({ issuerPath: '/tenant' });
    expect(await discovering(new URL(tenant.issuer)).clientCredentials().getToken()).toMatchObject({ value: 'at-1' });
    tenant.metadata.issuer += '/';
    expect(await failureOf(discovering(new URL(tenant.issuer)).clientCredentials().getToken())).toMatchObject({ code: 'discovery_failed' });
  });

  test('T7 a URL object that is changed afterwards changes nothing', async () => {
    const issuer = new URL(server.issuer);
    const tokens = discovering(issuer);
    issuer.pathname = '/elsewhere';
    expect(await tokens.clientCredentials().getToken()).toMatchObject({ value: 'at-1' });
  });
});

describe('T7 documents that are not the metadata', () => {
  test.each<[string, Record<string, unknown>, RegExp]>([
    ['no issuer', { issuer: undefined }, /none instead of/],
    ['an issuer that is a number', { issuer: 7 }, /none instead of/],
    ['no token endpoint', { token_endpoint: undefined }, /token_endpoint/],
    ['a token endpoint that is a list', { token_endpoint: ['https://login.example.com/token'] }, /token_endpoint/],
    ['a relative token endpoint', { token_endpoint: '/token' }, /token_endpoint/],
    ['a token endpoint on http', { token_endpoint: 'http://login.example.com/token' }, /token_endpoint that is not https/],
    ['a token endpoint that is no web address', { token_endpoint: 'javascript:alert(1)' }, /token_endpoint that is not https/],
    ['a token endpoint with user and password', { token_endpoint: 'https://user:password@login.example.com/token' }, /token_endpoint/],
  ])('T7 %s: a failure that names it, and no token request', async (_case, change, message) => {
    server.openidConfiguration.answersEvery({ json: { ...server.metadata, ...change } });
    const failure = await failureOf(discovering().clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'discovery_failed', retryable: false });
    expect(failure.message).toContain(server.issuer + OPENID);
    expect(failure.message).toMatch(message);
    expect(server.tokenRequests).toEqual([]);
  });

  test.each<[string, Answer]>([
    ['a page', { body: '<html>hello</html>', headers: { 'content-type': 'text/html' } }],
    ['a list', { json: [] }],
    ['null', { json: null }],
    ['a text', { json: 'metadata' }],
    ['nothing', { status: 200 }],
    ['half a document', { body: '{"issuer":' }],
  ])('T7 %s in both places', async (_case, answer) => {
    server.openidConfiguration.answersEvery(answer);
    server.oauthMetadata.answersEvery(answer);
    const failure = await failureOf(discovering().clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'discovery_failed', retryable: false, status: 200 });
    expect(failure.message).not.toContain('hello');
    expect(server.tokenRequests).toEqual([]);
  });

  test('T7 an issuer without metadata is told where it was looked for, and what to do', async () => {
    server.openidConfiguration.answersEvery({ status: 404 });
    server.oauthMetadata.answersEvery({ status: 403 });
    expect(await failureOf(discovering().clientCredentials().getToken())).toMatchObject({
      code: 'discovery_failed',
      status: 404,
      retryable: false,
      message: `No metadata of ${server.issuer}: ${server.issuer}${OPENID} answered with HTTP 404; ${server.issuer}${OAUTH} answered with HTTP 403. Check the option \`issuer\`, or pass the metadata as \`server\``,
    });
    expect(server.discoveryRequests).toHaveLength(2);
  });

  test.each([301, 302, 303, 307, 308])('T7 a redirect (%i) is not followed: its target sees nothing', async (status) => {
    await using target = await startApi();
    server.openidConfiguration.answersEvery(redirectTo(`${target.origin}${OPENID}`, status));
    server.oauthMetadata.answersEvery(redirectTo(`${target.origin}${OAUTH}`, status));
    const failure = await failureOf(discovering().clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'discovery_failed', status, retryable: false });
    expect(failure.message).toContain('redirect');
    expect(target.requests).toEqual([]);
  });

  test('T7 an endless document is cut', async () => {
    server.openidConfiguration.answersEvery(gzipBomb(64 * 1024 * 1024));
    const failure = await failureOf(discovering().clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'invalid_response', retryable: false });
    expect((await server.discoveryRequests[0]?.outcome)?.complete).toBe(false);
  });

  test.each([
    ['hangs', hang()],
    ['drips', drip(' ', 20)],
  ])('T7 a server that %s costs one timeout', async (_case, behaviour) => {
    server.openidConfiguration.answersEvery(behaviour);
    expect(await failureOf(discovering(undefined, { timeout: 100 }).clientCredentials().getToken())).toMatchObject({ code: 'timeout', retryable: true });
    expect(server.discoveryRequests).toHaveLength(1);
  });
});

describe('T7 discovery is done once, and again after a failure', () => {
  test('T7 all who ask at the same time share one request', async () => {
    const hold = server.openidConfiguration.hold();
    const tokens = discovering();
    const asked = ['a', 'b', 'c', 'd'].map((scope) => tokens.clientCredentials({ scope }).getToken());
    await hold.arrived;
    hold.release();
    await Promise.all(asked);
    expect(server.discoveryRequests).toHaveLength(1);
    expect(server.tokenRequests).toHaveLength(4);
  });

  test('T7 and share its failure', async () => {
    const hold = server.openidConfiguration.hold();
    const tokens = discovering();
    const failures = ['a', 'b', 'c'].map(async (scope) => failureOf(tokens.clientCredentials({ scope }).getToken()));
    await hold.arrived;
    hold.release({ json: { issuer: 'https://other.example' } });
    expect((await Promise.all(failures)).map(({ code }) => code)).toEqual(['discovery_failed', 'discovery_failed', 'discovery_failed']);
    expect(server.discoveryRequests).toHaveLength(1);
  });

  test('T7 the document is kept', async () => {
    const tokens = discovering();
    await tokens.clientCredentials({ scope: 'a' }).getToken();
    clock.advance(24 * 60 * 60 * 1_000);
    await tokens.clientCredentials({ scope: 'b' }).getToken();
    await tokens.clientCredentials({ scope: 'a' }).getToken();
    expect(server.discoveryRequests).toHaveLength(1);
    expect(server.tokenRequests).toHaveLength(3);
  });

  test('T7 another manager discovers for itself', async () => {
    await discovering().clientCredentials().getToken();
    await discovering().clientCredentials().getToken();
    expect(server.discoveryRequests).toHaveLength(2);
  });

  test('T7 a failure that will not pass by itself is forgotten: the next caller asks again', async () => {
    const source = discovering().clientCredentials();
    server.openidConfiguration.answersNext({ json: { ...server.metadata, issuer: 'https://other.example' } });
    expect(await failureOf(source.getToken())).toMatchObject({ code: 'discovery_failed' });
    expect(await source.getToken()).toMatchObject({ value: 'at-1' });
  });

  test.each([500, 503, 429])('T7 %i, and then the document: the same call gets its token', async (status) => {
    server.openidConfiguration.answersNext({ status });
    server.oauthMetadata.answersNext({ status });
    expect(await discovering().clientCredentials().getToken()).toMatchObject({ value: 'at-1' });
    expect(paths(server)).toEqual([OPENID, OAUTH, OPENID]);
  });

  test('T7 a connection that was reset, and then the document', async () => {
    server.openidConfiguration.answersNext(reset());
    expect(await discovering().clientCredentials().getToken()).toMatchObject({ value: 'at-1' });
  });

  test('T7 a server that keeps failing: three tries, with its status and Retry-After', async () => {
    server.openidConfiguration.answersEvery({ status: 503, headers: { 'retry-after': '0' } });
    server.oauthMetadata.answersEvery({ status: 404 });
    expect(await failureOf(discovering().clientCredentials().getToken())).toMatchObject({ code: 'discovery_failed', status: 503, retryable: true, retryAfter: 0 });
    expect(server.discoveryRequests).toHaveLength(6);
  });

  test('T7 the pause after an outage over, the next caller discovers', async () => {
    const source = discovering().clientCredentials();
    await server.stop();
    expect(await failureOf(source.getToken())).toMatchObject({ code: 'server_unreachable', retryable: true });
    await server.start();
    clock.advance(1_000);
    expect(await source.getToken()).toMatchObject({ value: 'at-1' });
  });

  test('T7 a caller who gives up does not stop it for the others', async () => {
    const hold = server.openidConfiguration.hold();
    const tokens = discovering();
    const leaving = new AbortController();
    const first = tokens.clientCredentials().getToken({ signal: leaving.signal });
    const second = tokens.clientCredentials().getToken();
    await hold.arrived;
    leaving.abort(new Error('has left'));
    await expect(first).rejects.toThrow('has left');
    hold.release();
    expect(await second).toMatchObject({ value: 'at-1' });
    expect(server.discoveryRequests).toHaveLength(1);
  });
});

describe('T7 Entra-like tenants', () => {
  function entra(issuerInDocument: string): void {
    vi.stubGlobal('fetch', vi.fn<typeof fetch>(async (url) => {
      if ((url as string).endsWith('/oauth2/v2.0/token')) return Promise.resolve(Response.json({ access_token: 'at-entra', token_type: 'Bearer', expires_in: 3599, ext_expires_in: 3599 }));
      return Promise.resolve(Response.json({ issuer: issuerInDocument, token_endpoint: 'https://login.entra.example/contoso/oauth2/v2.0/token', token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'] }));
    }));
  }

  test('T7 a tenant whose document is its own', async () => {
    entra('https://login.entra.example/contoso/v2.0');
    const tokens = discovering('https://login.entra.example/contoso/v2.0');
    expect(await tokens.clientCredentials({ scope: 'api://x/.default' }).getToken()).toMatchObject({ value: 'at-entra', parameters: { ext_expires_in: 3599 } });
  });

  test('T7 `common` has a template for an issuer: refused, and the way out is named', async () => {
    entra('https://login.entra.example/{tenantid}/v2.0');
    const failure = await failureOf(discovering('https://login.entra.example/common/v2.0').clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'discovery_failed' });
    expect(failure.message).toContain('"https://login.entra.example/{tenantid}/v2.0" instead of "https://login.entra.example/common/v2.0"');
  });
});

test('T7 without allowInsecureRequests a token endpoint on http is refused on loopback too', async () => {
  vi.stubGlobal('fetch', async () => Promise.resolve(Response.json({ issuer: 'https://login.example.com', token_endpoint: 'http://127.0.0.1/token' })));
  const tokens = discovering('https://login.example.com', { allowInsecureRequests: false });
  expect(await failureOf(tokens.clientCredentials().getToken())).toMatchObject({ code: 'discovery_failed' });
});
