import { createTokenManager, discoverProtectedResource, type ProtectedResourceOptions } from 'grantkeeper';
import { Agent } from 'undici';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { drip, gzipBomb, hang, redirectTo, reset, type Answer } from './support/answers.js';
import { startApi, type Api } from './support/api-server.js';
import { startAuthorizationServer } from './support/authorization-server.js';
import { failureOf } from './support/failure.js';

const WELL_KNOWN = '/.well-known/oauth-protected-resource';
const ISSUER = 'https://login.example.com';

let api: Api;

beforeEach(async () => {
  api = await startApi();
  api.answersEvery({ json: { resource: api.origin, authorization_servers: [ISSUER] } });
});

afterEach(async () => {
  vi.unstubAllGlobals();
  await api.close();
});

const discover = async (resource: string | URL | Response, options: ProtectedResourceOptions = {}): ReturnType<typeof discoverProtectedResource> =>
  discoverProtectedResource(resource, { allowInsecureRequests: true, ...options });

/** What the API answers at a path, as a real fetch gives it. */
async function refusal(path: string, challenge?: string, origin = api.origin): Promise<Response> {
  api.answersNext({ status: 401, body: 'no', headers: challenge === undefined ? {} : { 'www-authenticate': challenge } });
  const response = await fetch(origin + path);
  api.requests.length = 0;
  return response;
}

/** A response of a server that isn't there. */
function refusalOf(url: string, challenge = 'Bearer'): Response {
  return Object.defineProperty(new Response(null, { status: 401, headers: { 'www-authenticate': challenge } }), 'url', { value: url });
}

/** Every request that leaves, by a fetch that answers with these metadata. */
function stubbedFetch(metadata: unknown): [string, RequestInit][] {
  const sent: [string, RequestInit][] = [];
  vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
    sent.push([url, init]);
    return Promise.resolve(Response.json(metadata));
  });
  return sent;
}

describe('from the identifier of an API', () => {
  test('one request, and what the API says of itself', async () => {
    const metadata = { resource: api.origin, authorization_servers: [ISSUER, 'http://127.0.0.1:1/tenant'], scopes_supported: ['read', 'write'], bearer_methods_supported: ['header'], dpop_bound_access_tokens_required: true, resource_name: 'Orders' };
    api.answersEvery({ json: metadata });
    const found = await discover(api.origin);
    expect(found).toEqual({ resource: api.origin, authorizationServers: [ISSUER, 'http://127.0.0.1:1/tenant'], scopes: ['read', 'write'], bearerMethods: ['header'], dpopBound: true, metadata });
    expect(api.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([`GET ${WELL_KNOWN}`]);
    expect(api.lastRequest.headers.accept).toBe('application/json');
    for (const part of [found, found.authorizationServers, found.scopes, found.bearerMethods, found.metadata]) expect(Object.isFrozen(part)).toBe(true);
  });

  test('what the API leaves out', async () => {
    api.answersEvery({ json: { resource: api.origin } });
    expect(await discover(api.origin)).toEqual({ resource: api.origin, authorizationServers: [], dpopBound: false, metadata: { resource: api.origin } });
  });

  test('members that only inform are left out where they are malformed', async () => {
    api.answersEvery({ json: { resource: api.origin, scopes_supported: 'read', bearer_methods_supported: [1], dpop_bound_access_tokens_required: 'true' } });
    expect(await discover(api.origin)).toMatchObject({ dpopBound: false });
    expect(Object.keys(await discover(api.origin))).toEqual(['resource', 'authorizationServers', 'dpopBound', 'metadata']);
  });

  test('its first issuer is what a token manager needs', async () => {
    await using server = await startAuthorizationServer();
    api.answersEvery({ json: { resource: api.origin, authorization_servers: [server.issuer] } });
    const { resource, authorizationServers: [issuer] } = await discover(api.origin);
    const tokens = createTokenManager({ issuer, clientId: 'billing', clientSecret: 'correct-horse', allowInsecureRequests: true });
    expect(await tokens.clientCredentials({ resource }).getToken()).toMatchObject({ value: 'at-1' });
  });

  test.each([
    ['https://api.example.com', WELL_KNOWN],
    ['https://api.example.com/', WELL_KNOWN],
    ['https://api.example.com/v1', `${WELL_KNOWN}/v1`],
    ['https://api.example.com/v1/', `${WELL_KNOWN}/v1/`],
    ['https://api.example.com/a%20b//c', `${WELL_KNOWN}/a%20b//c`],
    ['https://api.example.com/v1?tenant=7', `${WELL_KNOWN}/v1?tenant=7`],
    ['https://api.example.com?tenant=7', `${WELL_KNOWN}?tenant=7`],
  ])('%s: RFC 9728 section 3.1', async (resource, place) => {
    const sent = stubbedFetch({ resource });
    expect((await discoverProtectedResource(resource)).resource).toBe(resource);
    expect(sent.map(([url]) => url)).toEqual([`https://api.example.com${place}`]);
  });

  test.each([
    ['https://api.example.com', 'https://api.example.com/'],
    ['https://api.example.com/', 'https://api.example.com'],
    ['https://api.example.com/v1', 'https://api.example.com/v1/'],
    ['https://api.example.com/v1', 'https://api.example.com'],
    ['https://api.example.com/v1', 'https://api.example.com/V1'],
    ['https://api.example.com/v1', 'https://API.example.com/v1'],
    ['https://api.example.com', 'https://api.example.com:443'],
    ['https://api.example.com', 'https://evil.example.com'],
  ])('%s is not %s: RFC 9728 section 3.3, character by character', async (resource, other) => {
    stubbedFetch({ resource: other, authorization_servers: [ISSUER] });
    const failure = await failureOf(discoverProtectedResource(resource));
    expect(failure).toMatchObject({ code: 'discovery_failed', retryable: false });
    expect(failure.message).toContain(`${JSON.stringify(other)} instead of ${JSON.stringify(resource)}`);
  });

  test.each(['', '/'])('a URL object can\'t say whether it has a bare slash at its end: %j', async (slash) => {
    stubbedFetch({ resource: `https://api.example.com${slash}` });
    expect((await discoverProtectedResource(new URL('https://api.example.com'))).resource).toBe(`https://api.example.com${slash}`);
  });

  test.each<[string, unknown, RegExp]>([
    ['no resource', {}, /none instead of/],
    ['a resource that is a list', { resource: ['https://api.example.com'] }, /none instead of/],
    ['authorization servers that are a text', { authorization_servers: ISSUER }, /authorization_servers/],
    ['an authorization server that is a number', { authorization_servers: [ISSUER, 7] }, /authorization_servers/],
    ['an authorization server on http', { authorization_servers: [ISSUER, 'http://login.example.com'] }, /authorization_servers/],
    ['an authorization server on this machine', { authorization_servers: ['http://127.0.0.1'] }, /authorization_servers/],
    ['an authorization server with user and password', { authorization_servers: ['https://user:password@login.example.com'] }, /authorization_servers/],
    ['an authorization server with a query', { authorization_servers: [`${ISSUER}?a=b`] }, /authorization_servers/],
    ['an authorization server that is no URL', { authorization_servers: ['login.example.com'] }, /authorization_servers/],
  ])('%s: a failure that names it', async (_case, change, message) => {
    stubbedFetch({ ...(Object.keys(change as object).length === 0 ? {} : { resource: 'https://api.example.com' }), ...change as object });
    const failure = await failureOf(discoverProtectedResource('https://api.example.com'));
    expect(failure).toMatchObject({ code: 'discovery_failed', retryable: false });
    expect(failure.message).toContain(`https://api.example.com${WELL_KNOWN}`);
    expect(failure.message).toMatch(message);
  });

  test.each<[string, Answer, object]>([
    ['a page', { body: '<html>hello</html>' }, { status: 200, retryable: false }],
    ['a list', { json: [] }, { status: 200, retryable: false }],
    ['404', { status: 404 }, { status: 404, retryable: false }],
    ['503', { status: 503, headers: { 'retry-after': '7' } }, { status: 503, retryable: true, retryAfter: 7_000 }],
  ])('%s instead of metadata', async (_case, answer, expected) => {
    api.answersEvery(answer);
    const failure = await failureOf(discover(api.origin));
    expect(failure).toMatchObject({ code: 'discovery_failed', ...expected });
    expect(failure.message).toContain(api.origin + WELL_KNOWN);
    expect(failure.message).not.toContain('hello');
  });

  test.each([301, 302, 303, 307, 308])('a redirect (%i) is not followed: its target sees nothing', async (status) => {
    await using target = await startApi();
    api.answersEvery(redirectTo(target.origin + WELL_KNOWN, status));
    const failure = await failureOf(discover(api.origin));
    expect(failure).toMatchObject({ code: 'discovery_failed', status });
    expect(failure.message).toContain('redirect');
    expect(target.requests).toEqual([]);
  });

  test('an endless document is cut', async () => {
    api.answersEvery(gzipBomb(64 * 1024 * 1024));
    expect(await failureOf(discover(api.origin))).toMatchObject({ code: 'invalid_response', retryable: false });
    expect((await api.lastRequest.outcome).complete).toBe(false);
  });

  test.each([
    ['hangs', hang()],
    ['drips', drip(' ', 20)],
  ])('an API that %s costs one timeout', async (_case, behaviour) => {
    api.answersEvery(behaviour);
    const failure = await failureOf(discover(api.origin, { timeout: 100 }));
    expect(failure).toMatchObject({ code: 'timeout', retryable: true });
    expect(failure.message).toContain('100 ms');
  });

  test.each<[string, () => Promise<void>]>([
    ['resets the connection', async () => { api.answersEvery(reset()); return Promise.resolve(); }],
    ['is not there', async () => api.stop()],
  ])('an API that %s', async (_case, prepare) => {
    await prepare();
    expect(await failureOf(discover(api.origin))).toMatchObject({ code: 'server_unreachable', retryable: true });
  });

  test('by the dispatcher that is given', async () => {
    const dispatcher = new Agent();
    const dispatch = vi.spyOn(dispatcher, 'dispatch');
    await discover(api.origin, { dispatcher });
    expect(dispatch).toHaveBeenCalledOnce();
    await dispatcher.close();
  });
});

describe('from a response of an API', () => {
  test('its challenge says where (RFC 9728 section 5.1); the body stays unread', async () => {
    const response = await refusal('/v1/orders?page=2', `DPoP algs="ES256", Bearer error="invalid_token", resource_metadata="${api.origin}/elsewhere/metadata"`);
    api.answersEvery({ json: { resource: `${api.origin}/v1`, authorization_servers: [ISSUER] } });
    expect(await discover(response)).toMatchObject({ resource: `${api.origin}/v1`, authorizationServers: [ISSUER] });
    expect(api.requests.map(({ url }) => url)).toEqual(['/elsewhere/metadata']);
    expect(await response.text()).toBe('no');
  });

  test.each([
    ['the URL itself', '/v1/orders', '/v1/orders'],
    ['the URL itself, with its query', '/v1/orders?page=2', '/v1/orders?page=2'],
    ['what it is below', '/v1/orders?page=2', '/v1'],
    ['what it is below, with a slash', '/v1/orders', '/v1/'],
    ['all of the origin', '/v1/orders', ''],
    ['all of the origin, with a slash', '/v1/orders', '/'],
  ])('metadata of %s', async (_case, path, resource) => {
    const response = await refusal(path, `Bearer resource_metadata="${api.origin}${WELL_KNOWN}"`);
    api.answersEvery({ json: { resource: api.origin + resource } });
    expect((await discover(response)).resource).toBe(api.origin + resource);
  });

  test.each([
    ['another host', () => 'https://api.example.com'],
    ['another port', () => 'http://127.0.0.1:1'],
    ['another scheme', () => api.origin.replace('http:', 'https:')],
    ['a neighbour', () => `${api.origin}/v1/invoices`],
    ['a path that begins in the same way', () => `${api.origin}/v1/ord`],
    ['something below it', () => `${api.origin}/v1/orders/7`],
    ['another query', () => `${api.origin}/v1/orders?page=3`],
    ['a query on the way', () => `${api.origin}/v1?page=2`],
    ['a host hidden behind a user', () => `${api.origin}@evil.example.com/`],
    ['this host behind a user', () => api.origin.replace('//', '//evil@')],
    ['a fragment', () => `${api.origin}/v1/orders#`],
    ['a relative URL', () => '/v1/orders'],
    ['a list', () => [api.origin]],
    ['nothing', () => undefined],
  ])('metadata of %s are refused, and not repeated', async (_case, resource) => {
    const response = await refusal('/v1/orders?page=2', `Bearer resource_metadata="${api.origin}${WELL_KNOWN}"`);
    api.answersEvery({ json: { resource: resource(), authorization_servers: [ISSUER] } });
    const failure = await failureOf(discover(response));
    expect(failure).toMatchObject({ code: 'discovery_failed', retryable: false });
    expect(failure.message).toBe(`The \`resource_metadata\` of ${api.origin}, at ${api.origin}, is not that of the API that answered: its \`resource\` must be the URL that was called, or a part of its path on the same origin`);
  });

  test.each([
    ['no challenge', undefined],
    ['a challenge without the parameter', 'Bearer error="invalid_token"'],
  ])('%s: the well-known place of the origin, which must be that of the origin', async (_case, challenge) => {
    expect(await discover(await refusal('/v1/orders', challenge))).toMatchObject({ resource: api.origin });
    expect(api.requests.map(({ url }) => url)).toEqual([WELL_KNOWN]);

    api.answersEvery({ json: { resource: `${api.origin}/v1` } });
    expect(await failureOf(discover(await refusal('/v1/orders', challenge)))).toMatchObject({ code: 'discovery_failed' });
  });

  test.each([
    'http://evil.example.com/metadata',
    'http://169.254.169.254/latest/meta-data',
    'http://127.0.0.1.evil.example.com/metadata',
    'https://user:password@evil.example.com/metadata',
    'https://user@evil.example.com/metadata',
    'file:///etc/passwd',
    'data:application/json,{}',
    'javascript:alert(1)',
    '//evil.example.com/metadata',
    '/metadata',
    '',
    'https://',
  ])('a hostile challenge, %j: nothing is sent, nothing of it repeated', async (place) => {
    const sent = stubbedFetch({});
    for (const response of [refusalOf('https://api.example.com/v1', `Bearer resource_metadata="${place}"`), refusalOf(`${api.origin}/v1`, `Bearer resource_metadata="${place}"`)]) {
      const failure = await failureOf(discover(response));
      expect(failure).toMatchObject({ code: 'discovery_failed', retryable: false });
      expect(failure.message).toContain(new URL(response.url).origin);
      expect(failure.message).not.toMatch(/evil|password@|169\.254/);
    }
    expect(sent).toEqual([]);
  });

  test('an API elsewhere can\'t lead to services of this machine, whatever is allowed', async () => {
    const response = refusalOf('https://api.example.com/v1', `Bearer resource_metadata="${api.origin}/metadata"`);
    expect(await failureOf(discover(response))).toMatchObject({ code: 'discovery_failed' });
    expect(api.requests).toEqual([]);
  });

  test('another host is asked without credentials, and may not speak for its own', async () => {
    const sent = stubbedFetch({ resource: 'https://evil.example.com/', authorization_servers: [ISSUER] });
    const response = refusalOf('https://api.example.com/v1?access_token=canary', 'Bearer resource_metadata="https://evil.example.com/metadata?token=canary"');
    const failure = await failureOf(discoverProtectedResource(response));
    expect(failure.code).toBe('discovery_failed');
    expect(`${failure.message}${failure.stack ?? ''}`).not.toContain('canary');
    expect(sent.map(([url, { headers, redirect }]) => [url, headers, redirect])).toEqual([['https://evil.example.com/metadata?token=canary', { accept: 'application/json' }, 'manual']]);
  });
});

describe('bad input', () => {
  test.each<[string, unknown, RegExp]>([
    ['no URL', 'api.example.com', /must be the absolute URL of an API, or a response of it; received "api.example.com"/],
    ['nothing', undefined, /received nothing/],
    ['an object', { url: 'https://api.example.com' }, /received an object with url/],
    ['http', 'http://api.example.com', /`resource` must be https/],
    ['http to this machine', 'http://127.0.0.1', /`allowInsecureRequests: true`/],
    ['user and password', 'https://user:password@api.example.com', /must not hold user and password/],
    ['a fragment', 'https://api.example.com/#a', /must not have a fragment/],
    ['an empty fragment', 'https://api.example.com/#', /must not have a fragment/],
    ['a response that was made', new Response(null, { status: 401 }), /one that a fetch has brought/],
    ['a response by http', refusalOf('http://api.example.com/v1'), /must be https/],
  ])('%s', async (_case, resource, message) => {
    const sent = stubbedFetch({});
    const failure = await failureOf(discoverProtectedResource(resource as string));
    expect(failure.code).toBe('invalid_configuration');
    expect(failure.message).toMatch(/^discoverProtectedResource: /);
    expect(failure.message).toMatch(message);
    expect(failure.message).not.toContain('password@');
    expect(sent).toEqual([]);
  });

  test.each<[unknown, RegExp]>([
    [{ timeout: 0 }, /`timeout` must be/],
    [{ timeOut: 1 }, /did you mean `timeout`/],
    [{ dispatcher: {} }, /`dispatcher` must be/],
    [{ allowInsecureRequests: 1 }, /`allowInsecureRequests` must be/],
    [7, /must be an object/],
  ])('the options %j', async (options, message) => {
    const failure = await failureOf(discoverProtectedResource('https://api.example.com', options as object));
    expect(failure.code).toBe('invalid_configuration');
    expect(failure.message).toMatch(message);
  });
});
