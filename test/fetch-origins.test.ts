import { createFetch, createTokenManager, OAuthError, type FetchOptions } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startApi, type Api } from './support/api-server.js';
import { startAuthorizationServer } from './support/authorization-server.js';
import { accessToken, NumberedTokens } from './support/token-source.js';

let api: Api;
let other: Api;
let source: NumberedTokens;

beforeEach(async () => {
  [api, other] = await Promise.all([startApi(), startApi()]);
  source = new NumberedTokens();
});

afterEach(async () => {
  vi.unstubAllGlobals();
  await Promise.all([api.close(), other.close()]);
});

function apiFetch(options: FetchOptions = {}): typeof fetch {
  return createFetch(source, { baseUrl: api.origin, allowInsecureRequests: true, retry: false, ...options });
}

async function expectNothingHappens(work: Promise<unknown>): Promise<void> {
  await expect(work).rejects.toMatchObject({ name: 'OAuthError', code: 'origin_not_allowed', retryable: false });
  expect(source.calls).toEqual([]);
  expect([...api.requests, ...other.requests]).toEqual([]);
}

describe('the origin is checked before a token is asked for', () => {
  const inputs: [name: string, input: () => string | URL | Request][] = [
    ['a foreign origin', () => `${other.origin}/x`],
    ['a URL object', () => new URL('/x', other.origin)],
    ['a Request', () => new Request(`${other.origin}/x`)],
    ['a Request with a body', () => new Request(`${other.origin}/x`, { method: 'POST', body: 'x' })],
    ['another port', () => `${api.origin.slice(0, -1)}${(Number(api.origin.at(-1)) + 1) % 10}/x`],
    ['another scheme', () => `${api.origin.replace('http:', 'https:')}/x`],
    ['another name of the same host', () => `${api.origin.replace('127.0.0.1', 'localhost')}/x`],
    ['a trailing dot', () => 'https://api.example./x'],
    ['the allowed host as a subdomain', () => 'https://api.example.evil.com/x'],
    ['the allowed host as a user', () => `${api.origin.replace(/:\d+$/, '')}@evil.com/x`],
    ['the allowed origin as user and password', () => `${api.origin}@evil.com/x`],
    ['no scheme', () => '//evil.com/x'],
    ['backslashes', () => '\\\\evil.com\\x'],
    ['slash and backslash', () => '/\\evil.com/x'],
    ['a tab in between', () => '/\t/evil.com/x'],
    ['a path that normalises to another host', () => 'http:///evil.com/x'],
    ['one slash only', () => 'https:/evil.com/x'],
    ['no slash at all', () => 'https:evil.com/x'],
    ['data:', () => 'data:text/plain,x'],
    ['file:', () => 'file:///etc/hosts'],
    ['about:', () => 'about:blank'],
    ['javascript:', () => 'javascript:alert(1)'],
    ['ws:', () => `${api.origin.replace('http:', 'ws:')}/x`],
    ['blob: of a foreign origin', () => `blob:${other.origin}/00000000-0000-0000-0000-000000000000`],
    ['blob: of the allowed origin', () => `blob:${api.origin}/00000000-0000-0000-0000-000000000000`],
    ['an object URL', () => URL.createObjectURL(new Blob(['x']))],
  ];
  test.each(inputs)('F2 %s: nothing is asked for, nothing sent', async (_name, input) => {
    await expectNothingHappens(apiFetch()(input()));
  });

  test('F2 the message says where to, what is allowed, and what to do', async () => {
    const files = 'https://files.example.com';
    await expect(apiFetch({ origins: [files] })('https://cdn.example.com/a?token=secret')).rejects.toThrow(
      `https://cdn.example.com may not receive this token; allowed: ${api.origin}, ${files}. If it should, add it to the option \`origins\` of createFetch`,
    );
  });

  test('F2 a caller that brings its own authorization is held to the same origins', async () => {
    await expectNothingHappens(apiFetch()(`${other.origin}/x`, { headers: { authorization: 'Basic abc' } }));
  });

  test('F2 no token request is made by a token manager either', async () => {
    await using server = await startAuthorizationServer();
    const tokens = createTokenManager({ issuer: server.issuer, clientId: 'c', clientSecret: 's', allowInsecureRequests: true });
    const guarded = createFetch(tokens.clientCredentials(), { baseUrl: api.origin, allowInsecureRequests: true });
    await expect(guarded(`${other.origin}/x`)).rejects.toMatchObject({ code: 'origin_not_allowed' });
    expect(server.requests).toEqual([]);
    expect((await guarded('/x')).status).toBe(200);
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('F2 the origin is looked at first, then whether the call is valid; nothing is asked for by either', async () => {
    await expect(apiFetch()(`${other.origin}/x`, { body: 'x' })).rejects.toMatchObject({ code: 'origin_not_allowed' });
    await expect(apiFetch()('/x', { method: 'BAD METHOD' })).rejects.toBeInstanceOf(TypeError);
    expect(source.calls).toEqual([]);
  });
});

describe('the allowed origins', () => {
  test('F2 those of `origins` as well as that of `baseUrl`', async () => {
    const both = apiFetch({ baseUrl: `${api.origin}/v1/`, origins: [other.origin] });
    await both('x');
    await both(`${other.origin}/y`);
    expect(api.lastRequest).toMatchObject({ url: '/v1/x', headers: { authorization: 'Bearer token-1' } });
    expect(other.lastRequest).toMatchObject({ url: '/y', headers: { authorization: 'Bearer token-1' } });
  });

  test('F2 `origins` alone: absolute URLs only', async () => {
    const absolute = createFetch(source, { origins: [api.origin], allowInsecureRequests: true });
    expect((await absolute(`${api.origin}/x`)).status).toBe(200);
    await expect(absolute('/x')).rejects.toThrow(new TypeError('Failed to parse URL from /x'));
  });

  test('F2 origins are compared as URLs are: case, default port, trailing slash', async () => {
    const sent: string[] = [];
    vi.stubGlobal('fetch', (input: string) => {
      sent.push(input);
      return Promise.resolve(new Response('ok'));
    });
    const tolerant = createFetch(source, { origins: ['HTTPS://API.example:443/', 'https://bücher.example'] });
    await tolerant('https://api.EXAMPLE/x');
    await tolerant('https://xn--bcher-kva.example/y');
    expect(sent).toEqual(['https://api.example/x', 'https://xn--bcher-kva.example/y']);
    await expect(tolerant('http://api.example/x')).rejects.toMatchObject({ code: 'origin_not_allowed' });
    await expect(tolerant('https://api.example:444/x')).rejects.toMatchObject({ code: 'origin_not_allowed' });
  });

  const refused: [name: string, options: unknown, message: RegExp][] = [
    ['neither baseUrl nor origins', {}, /one of `baseUrl` and `origins` is required/],
    ['no origins in the list', { origins: [] }, /one of `baseUrl` and `origins` is required/],
    ['no options', undefined, /the options must be an object; received nothing/],
    ['a relative baseUrl', { baseUrl: '/v1' }, /`baseUrl` must be an absolute URL; received "\/v1"/],
    ['http elsewhere', { baseUrl: 'http://api.example', allowInsecureRequests: true }, /`baseUrl` must be https; received "http:\/\/api.example"/],
    ['http to loopback without permission', { baseUrl: 'http://127.0.0.1:1' }, /allowInsecureRequests: true/],
    ['http in origins', { origins: ['http://api.example'] }, /`origins` must be https/],
    ['a path in origins', { origins: ['https://api.example/v1'] }, /`origins` must hold origins/],
    ['a query in origins', { origins: ['https://api.example/?a'] }, /`origins` must hold origins/],
    ['credentials in origins', { origins: ['https://u:hunter2@api.example'] }, /must not hold user and password/],
    ['credentials in baseUrl', { baseUrl: 'https://u:hunter2@api.example' }, /must not hold user and password/],
    ['"null" in origins', { origins: ['null'] }, /`origins` must hold origins/],
    ['a pattern in origins', { origins: ['*'] }, /`origins` must hold origins/],
    ['ftp', { baseUrl: 'ftp://127.0.0.1', allowInsecureRequests: true }, /`baseUrl` must be https/],
    ['a misspelt option', { baseURL: 'https://api.example' }, /unknown option `baseURL`; did you mean `baseUrl`\?/],
    ['a status that is none', { baseUrl: 'https://a.example', rejectedStatus: [200] }, /`rejectedStatus` must be a list of HTTP statuses/],
    ['a header name with a space', { baseUrl: 'https://a.example', tokenHeader: 'x y' }, /`tokenHeader` must be the name of a header/],
    ['a scheme with a line break', { baseUrl: 'https://a.example', tokenScheme: 'x\r\ny' }, /`tokenScheme` must be/],
    ['a timeout of 0', { baseUrl: 'https://a.example', timeout: 0 }, /`timeout` must be a number of milliseconds above 0; received 0/],
    ['retry: true', { baseUrl: 'https://a.example', retry: true }, /`retry` must be an object, or false; received true/],
    ['a misspelt option of retry', { baseUrl: 'https://a.example', retry: { limits: 1 } }, /createFetch: retry: unknown option `limits`/],
    ['a dispatcher that is none', { baseUrl: 'https://a.example', dispatcher: {} }, /`dispatcher` must be/],
    ['a fetch that is none', { baseUrl: 'https://a.example', fetch: 'fetch' }, /`fetch` must be a function/],
  ];
  test.each(refused)('F2 refused at once: %s', (_name, options, message) => {
    const make = (): unknown => createFetch(source, options as FetchOptions);
    expect(make).toThrow(OAuthError);
    expect(make).toThrow(expect.objectContaining({ code: 'invalid_configuration' }));
    expect(make).toThrow(message);
    expect(make).not.toThrow(/hunter2/);
  });

  test.each([undefined, null, {}, 'token', { getToken: 'x' }])('F2 a source that is none is refused at once: %j', (none) => {
    expect(() => createFetch(none as unknown as NumberedTokens, { baseUrl: 'https://a.example' })).toThrow(/the source must be an object with getToken\(\)/);
  });

  test('F2 options are read once: what the caller changes later counts for nothing', async () => {
    const baseUrl = new URL(api.origin);
    const origins: string[] = [];
    const options: FetchOptions = { baseUrl, origins, allowInsecureRequests: true };
    const settled = createFetch(source, options);
    baseUrl.port = new URL(other.origin).port;
    origins.push(other.origin);
    options.baseUrl = other.origin;
    await settled('/x');
    expect(api.requests).toHaveLength(1);
    await expect(settled(`${other.origin}/x`)).rejects.toMatchObject({ code: 'origin_not_allowed' });
  });
});

describe('the caller\'s own authorization', () => {
  const inits: [name: string, init: () => RequestInit][] = [
    ['an object', () => ({ headers: { authorization: 'Basic own' } })],
    ['another case', () => ({ headers: { AUTHORIZATION: 'Basic own' } })],
    ['Headers', () => ({ headers: new Headers({ Authorization: 'Basic own' }) })],
    ['pairs', () => ({ headers: [['Authorization', 'Basic own']] })],
    ['with a body', () => ({ method: 'POST', body: 'x', headers: { Authorization: 'Basic own' } })],
    ['with a stream', () => ({ method: 'POST', body: new Blob(['x']).stream(), duplex: 'half', headers: { Authorization: 'Basic own' } })],
  ];
  test.each(inits)('F4 is passed on, and never two: %s', async (_name, init) => {
    api.acceptsOnly(() => false);
    const response = await apiFetch()('/x', init());
    expect(response.status).toBe(401);
    expect(await response.json()).toEqual({ error: 'invalid_token' });
    expect(api.requests).toHaveLength(1);
    expect(api.lastRequest.rawHeaders.filter((name) => name.toLowerCase() === 'authorization')).toHaveLength(1);
    expect(api.lastRequest.headers.authorization).toBe('Basic own');
    expect(source.calls).toEqual([]);
  });

  test('F4 in a Request, and replaced by that of the init', async () => {
    await apiFetch()(new Request(`${api.origin}/x`, { headers: { Authorization: 'Basic own' } }));
    expect(api.lastRequest.headers.authorization).toBe('Basic own');
    await apiFetch()(new Request(`${api.origin}/x`, { headers: { Authorization: 'Basic own' } }), { headers: { 'x-a': '1' } });
    expect(api.lastRequest.headers).toMatchObject({ 'authorization': 'Bearer token-1', 'x-a': '1' });
    expect(source.calls).toHaveLength(1);
  });

  test('F4 an empty one counts too', async () => {
    await apiFetch()('/x', { headers: { Authorization: '' } });
    expect(api.lastRequest.headers.authorization).toBe('');
    expect(source.calls).toEqual([]);
  });
});

describe('the header that carries the token', () => {
  test.each<[FetchOptions, string, string]>([
    [{}, 'authorization', 'Bearer token-1'],
    [{ tokenScheme: 'Zoho-oauthtoken' }, 'authorization', 'Zoho-oauthtoken token-1'],
    [{ tokenHeader: 'AUTHORIZATION' }, 'authorization', 'Bearer token-1'],
    [{ tokenHeader: 'X-Shopify-Access-Token' }, 'x-shopify-access-token', 'token-1'],
    [{ tokenHeader: 'X-Token', tokenScheme: 'Token' }, 'x-token', 'Token token-1'],
  ])('P10 %j', async (options, header, value) => {
    await apiFetch(options)('/x');
    expect(api.lastRequest.headers[header]).toBe(value);
    if (header !== 'authorization') expect(api.lastRequest.headers.authorization).toBeUndefined();
  });

  test('P10 a caller who fills that header is left alone, any case', async () => {
    api.answersEvery({ status: 401 });
    await apiFetch({ tokenHeader: 'X-Token' })('/x', { headers: { 'x-tOKEN': 'own' } });
    expect(api.requests.map(({ headers }) => headers['x-token'])).toEqual(['own']);
    expect(source.calls).toEqual([]);
  });

  test('P10 an Authorization of the caller goes beside it', async () => {
    await apiFetch({ tokenHeader: 'X-Token' })('/x', { headers: { authorization: 'Basic app' } });
    expect(api.lastRequest.headers).toMatchObject({ 'authorization': 'Basic app', 'x-token': 'token-1' });
  });

  test('P10 a 401 is answered as ever', async () => {
    api.answersEvery(({ headers }) => headers['x-token'] === 'token-2' ? { status: 200 } : { status: 401 });
    expect((await apiFetch({ tokenHeader: 'X-Token' })('/x')).status).toBe(200);
    expect(api.requests.map(({ headers }) => headers['x-token'])).toEqual(['token-1', 'token-2']);
  });
});

describe('a source of the user\'s own', () => {
  test.each([undefined, null, 'token', 5, {}, { value: 5 }, { value: undefined, type: 'Bearer' }, { value: '', type: 'Bearer' }, [], { type: 'Bearer' }])('F11 what it gives is no token: %j', async (junk) => {
    const fetching = createFetch({ getToken: () => Promise.resolve(junk as never) }, { baseUrl: api.origin, allowInsecureRequests: true });
    await expect(fetching('/x')).rejects.toMatchObject({ code: 'invalid_configuration' });
    expect(api.requests).toEqual([]);
  });

  test('F11 a token without a type is no token: it would go out without a scheme', async () => {
    const fetching = createFetch({ getToken: () => Promise.resolve({ value: 'abc' } as never) }, { baseUrl: api.origin, allowInsecureRequests: true });
    await expect(fetching('/x')).rejects.toMatchObject({ code: 'invalid_configuration' });
    expect(api.requests).toEqual([]);
  });

  test.each(['canary\r\nx-injected: 1', 'canary\0', 'canary€'])('F11 a token that no header can hold fails without being shown: %j', async (value) => {
    const fetching = createFetch({ getToken: () => Promise.resolve(accessToken(value)) }, { baseUrl: api.origin, allowInsecureRequests: true });
    const thrown: unknown = await fetching('/x').catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(Error);
    expect(String((thrown as Error).stack)).not.toContain('canary');
    expect(api.requests).toEqual([]);
  });

  test('F11 it may throw at once: the call rejects with that', async () => {
    const failure = new RangeError('no token today');
    const fetching = createFetch({ getToken: () => { throw failure; } }, { baseUrl: api.origin, allowInsecureRequests: true });
    let call: Promise<Response> | undefined;
    expect(() => { call = fetching('/x'); }).not.toThrow();
    await expect(call).rejects.toBe(failure);
    expect(api.requests).toEqual([]);
  });

  test('F11 it may give a token that is no promise', async () => {
    const fetching = createFetch({ getToken: () => accessToken('plain') as never }, { baseUrl: api.origin, allowInsecureRequests: true });
    expect((await fetching('/x')).status).toBe(200);
    expect(api.lastRequest.headers.authorization).toBe('Bearer plain');
  });

  test('F11 it may be a class: getToken is called on it', async () => {
    class Own {
      readonly #value = 'private';

      getToken(): Promise<ReturnType<typeof accessToken>> {
        return Promise.resolve(accessToken(this.#value));
      }
    }
    await createFetch(new Own(), { baseUrl: api.origin, allowInsecureRequests: true })('/x');
    expect(api.lastRequest.headers.authorization).toBe('Bearer private');
  });
});

describe('a Request whose `url` is not the one that it goes to', () => {
  test('F2 the one that it goes to counts', async () => {
    const disguised = new Request(`${other.origin}/`, { method: 'POST', body: 'x' });
    Object.defineProperty(disguised, 'url', { value: `${api.origin}/` });
    await expect(apiFetch()(disguised)).rejects.toMatchObject({ code: 'origin_not_allowed' });
    expect(source.calls).toEqual([]);
  });
});
