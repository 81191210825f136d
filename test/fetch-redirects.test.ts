import { createFetch, type FetchOptions } from 'grantkeeper';
import { fetch as fetchOfUndici } from 'undici';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Answer } from './support/answers.js';
import { startApi, type Api } from './support/api-server.js';
import { expectParity, responseOf, type Fetch } from './support/parity.js';
import type { ReceivedRequest } from './support/received-request.js';
import { accessToken, NumberedTokens } from './support/token-source.js';

let api: Api;
let allowed: Api;
let foreign: Api;
let source: NumberedTokens;

beforeAll(async () => {
  [api, allowed, foreign] = await Promise.all([startApi(), startApi(), startApi()]);
});

beforeEach(() => {
  source = new NumberedTokens();
  for (const server of [api, allowed, foreign]) {
    server.requests.length = 0;
    server.answersEvery(({ method, url, body }) => ({ json: { method, url, body: body.length } }));
  }
});

afterEach(() => {
  vi.unstubAllGlobals();
});

afterAll(async () => {
  await Promise.all([api, allowed, foreign].map((server) => server.close()));
});

function apiFetch(options: FetchOptions = {}): Fetch {
  return createFetch(source, { baseUrl: api.origin, origins: [allowed.origin], allowInsecureRequests: true, retry: false, ...options });
}

/** Every path below /to answers with its own redirect; every other as usual. */
function redirectsFrom(path: string, redirect: (request: ReceivedRequest) => Answer): void {
  api.answersEvery((request) => request.path === path ? redirect(request) : { json: { method: request.method, url: request.url } });
}

async function expectSame(call: (fetch: Fetch, origin: string) => Promise<unknown>): Promise<{ outcome: unknown }> {
  return expectParity([api, allowed, foreign], { platform: () => call(fetch, api.origin), ours: () => call(apiFetch(), api.origin) });
}

/** The authorization that each server saw, request by request. */
function authorizations(server: Api): (string | undefined)[] {
  return server.requests.map(({ headers }) => headers.authorization);
}

const statuses = [301, 302, 303, 307, 308];

describe('as the platform follows them', () => {
  const bodies: [name: string, init: () => RequestInit][] = [
    ['GET', () => ({})],
    ['HEAD', () => ({ method: 'HEAD' })],
    ['DELETE', () => ({ method: 'DELETE' })],
    ['OPTIONS', () => ({ method: 'OPTIONS' })],
    ['POST without a body', () => ({ method: 'POST' })],
    ['POST of text', () => ({ method: 'POST', body: 'text', headers: { 'content-type': 'x/y', 'content-language': 'de', 'x-own': '1' } })],
    ['POST of a form', () => {
      const form = new FormData();
      form.append('a', new Blob(['b'], { type: 'x/y' }), 'c');
      return { method: 'POST', body: form };
    }],
    ['POST of parameters', () => ({ method: 'POST', body: new URLSearchParams('a=b') })],
    ['POST of a Blob', () => ({ method: 'POST', body: new Blob(['b'], { type: 'x/y' }) })],
    ['PUT of text', () => ({ method: 'PUT', body: 'text' })],
    ['PATCH of text', () => ({ method: 'PATCH', body: 'text' })],
    ['lower-case post', () => ({ method: 'post', body: 'text' })],
  ];

  test.each(statuses.flatMap((status) => bodies.map(([name, init]) => [status, name, init] as const)))('F3 %d, %s', async (status, _name, init) => {
    redirectsFrom('/from', () => ({ status, headers: { location: '/to?x=1' }, body: 'moved' }));
    const { outcome } = await expectSame((f, o) => f(`${o}/from`, init()));
    expect(outcome).toMatchObject({ status: 200, redirected: true, url: `${api.origin}/to?x=1` });
    expect(authorizations(api)).toEqual(['Bearer token-1', 'Bearer token-1']);
  });

  test.each(statuses)('F3 %d to another origin, with all kinds of headers', async (status) => {
    redirectsFrom('/from', () => ({ status, headers: { location: `${foreign.origin}/to` } }));
    await expectSame((f, o) => f(`${o}/from`, { method: 'POST', body: 'text', headers: { 'cookie': 'a=1', 'proxy-authorization': 'x', 'x-own': '1', 'content-type': 'x/y' } }));
    expect(foreign.lastRequest.headers).toMatchObject({ 'x-own': '1' });
    expect(foreign.lastRequest.headers).not.toHaveProperty('cookie');
  });

  const locations: [name: string, location: () => string | undefined, input?: string][] = [
    ['missing', () => undefined],
    ['empty', () => ''],
    ['relative', () => 'sibling', '/deep/from'],
    ['relative, upwards', () => '../x', '/deep/from'],
    ['a query only', () => '?x'],
    ['without a scheme', () => `//${new URL(foreign.origin).host}/x`],
    ['absolute', () => `${foreign.origin}/x`],
    ['with a fragment', () => '/to#there'],
    ['with a fragment, over the one of the request', () => '/to#there', '/from#here'],
    ['without a fragment, the request has one', () => '/to', '/from#here'],
    ['invalid', () => 'http://['],
    ['an invalid port', () => 'http://127.0.0.1:99999/'],
    ['another scheme', () => 'ftp://127.0.0.1/x'],
    ['data:', () => 'data:text/plain,x'],
    ['blob:', () => `blob:${api.origin}/x`],
    ['about:', () => 'about:blank'],
    ['mailto:', () => 'mailto:a@b.example'],
    ['with user and password, same origin', () => `${api.origin.replace('://', '://u:p@')}/x`],
    ['with user and password, other origin', () => `${foreign.origin.replace('://', '://u:p@')}/x`],
    ['with a user', () => `${foreign.origin.replace('://', '://u@')}/x`],
    ['in UTF-8', () => Buffer.from('/tö?é').toString('latin1')],
    ['percent-encoded', () => '/t%C3%B6'],
  ];
  test.each(locations)('F3 Location: %s', async (_name, location, input = '/from') => {
    const value = location();
    redirectsFrom(input.replace(/#.*/, ''), () => ({ status: 302, headers: { location: value }, body: 'moved' }));
    await expectSame((f, o) => f(`${o}${input}`));
  });

  // Node 20 itself fails in these two: a detached buffer, and `url.hash` of a string.
  test.each([307, 308])('F3 %d, POST of bytes', async (status) => {
    redirectsFrom('/from', () => ({ status, headers: { location: '/to' } }));
    expect((await apiFetch()('/from', { method: 'POST', body: new Uint8Array([1, 2, 3]) })).url).toBe(`${api.origin}/to`);
    expect([...api.lastRequest.body]).toEqual([1, 2, 3]);
  });

  test('F3 Location: with spaces', async () => {
    redirectsFrom('/from', () => ({ status: 302, headers: { location: ' /to x ' } }));
    expect((await apiFetch()('/from')).url).toBe(`${api.origin}/to%20x`);
  });

  test('F3 two Locations', async () => {
    redirectsFrom('/from', () => ({ perform: ({ response }) => { response.writeHead(302, ['location', '/a', 'location', '/b']).end(); } }));
    await expectSame((f, o) => f(`${o}/from`));
  });

  test.each([0, 1, 19, 20, 21])('F3 %d hops', async (hops) => {
    const answer = ({ url }: ReceivedRequest): Answer => {
      const left = Number(/\d+$/.exec(url)?.[0]);
      return left === 0 ? { body: 'arrived' } : { status: 302, headers: { location: `/hop/${left - 1}` } };
    };
    api.answersEvery(answer);
    const { outcome } = await expectSame((f, o) => f(`${o}/hop/${hops}`));
    expect(outcome).toMatchObject(hops <= 20 ? { status: 200, redirected: hops > 0 } : { thrown: 'TypeError', message: 'fetch failed' });
    expect(api.requests).toHaveLength(Math.min(hops, 20) + 1);
  });

  test.each<Request['redirect']>(['manual', 'error', 'follow'])('F3 redirect: %s', async (redirect) => {
    for (const status of statuses) {
      redirectsFrom('/from', () => ({ status, headers: { location: '/to' }, body: 'moved' }));
      await expectSame((f, o) => f(`${o}/from`, { redirect }));
      await expectSame((f, o) => f(new Request(`${o}/from`, { redirect })));
      await expectSame((f, o) => f(`${o}/from`, { redirect, method: 'POST', body: 'x' }));
    }
  });

  test('F3 a clone of what came after a redirect says so too, and so does its clone', async () => {
    redirectsFrom('/from', () => ({ status: 302, headers: { location: '/to' } }));
    const { outcome } = await expectSame(async (f, o) => {
      const response = await f(`${o}/from`);
      const clone = response.clone();
      const second = clone.clone();
      return [await responseOf(second), await responseOf(clone), await responseOf(response)];
    });
    expect(outcome).toEqual(Array(3).fill(expect.objectContaining({ redirected: true, url: `${api.origin}/to` })));
  });

  test.each<Record<string, unknown>>([
    { referrer: 'http://from.example/path?q', referrerPolicy: 'unsafe-url' },
    { referrer: 'http://from.example/path?q' },
    { cache: 'no-store' },
    { keepalive: true },
    { mode: 'no-cors' },
  ])('F3 the rest of the init holds for every hop: %j', async (init) => {
    api.answersEvery(({ path }) => path === '/from' ? { status: 307, headers: { location: '/to' }, body: 'moved' } : { body: 'test' });
    const { outcome } = await expectSame((f, o) => f(`${o}/from`, init));
    expect(outcome).toMatchObject({ status: 200, body: 'test' });
    await expectSame((f, o) => f(new Request(`${o}/from`, init)));
  });

  test('F3 with `integrity` no redirect is followed: each hop is a response of its own, and its body is not the one that was meant', async () => {
    api.answersEvery(({ path }) => path === '/from' ? { status: 307, headers: { location: '/to' }, body: 'moved' } : { body: 'test' });
    await expect(apiFetch()('/from', { integrity: 'sha256-n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=' })).rejects.toMatchObject({ name: 'TypeError', message: 'fetch failed' });
  });

  test('F3 the Referrer-Policy of a redirect holds from there on', async () => {
    api.answersEvery(({ path }) => path === '/from' ? { status: 307, headers: { 'location': '/to', 'referrer-policy': 'no-referrer' } } : { body: 'x' });
    await expectSame((f, o) => f(`${o}/from`, { referrer: `${o}/page` }));
  });

  test('F12 an abort after a redirect rejects with the caller\'s reason', async () => {
    await expectSame(async (f, o) => {
      redirectsFrom('/from', () => ({ status: 302, headers: { location: `${allowed.origin}/to` } }));
      const hold = allowed.hold();
      const controller = new AbortController();
      const call = f(`${o}/from`, { signal: controller.signal });
      await hold.arrived;
      controller.abort('enough');
      return call;
    });
  });
});

describe('where the token goes', () => {
  test('F3 to an allowed origin: anew', async () => {
    api.redirectTo(`${allowed.origin}/to`);
    await apiFetch()('/from');
    expect(authorizations(api)).toEqual(['Bearer token-1']);
    expect(authorizations(allowed)).toEqual(['Bearer token-1']);
  });

  test('F3 to another origin: not, nor DPoP, cookie or secret headers', async () => {
    api.redirectTo(`${foreign.origin}/to`);
    const response = await apiFetch({ secretHeaders: ['X-Api-Key'] })('/from', { headers: { 'dpop': 'proof', 'DPoP-Nonce': 'n', 'cookie': 'c=1', 'x-API-key': 'key', 'x-plain': 'stays' } });
    expect(response).toMatchObject({ status: 200, redirected: true, url: `${foreign.origin}/to` });
    expect(api.lastRequest.headers).toMatchObject({ 'dpop': 'proof', 'cookie': 'c=1', 'x-api-key': 'key' });
    const { headers } = foreign.lastRequest;
    expect(headers).toMatchObject({ 'x-plain': 'stays' });
    for (const name of ['authorization', 'dpop', 'cookie', 'x-api-key']) expect(headers).not.toHaveProperty(name);
    expect(source.calls).toHaveLength(1);
  });

  test('F3 secret headers stay between allowed origins, cookies do not', async () => {
    api.redirectTo(`${allowed.origin}/to`);
    await apiFetch({ secretHeaders: ['x-api-key'] })('/from', { headers: { 'x-api-key': 'key', 'dpop': 'proof', 'cookie': 'c=1' } });
    expect(allowed.lastRequest.headers).toMatchObject({ 'x-api-key': 'key', 'dpop': 'proof' });
    expect(allowed.lastRequest.headers).not.toHaveProperty('cookie');
  });

  test('F3 and back again: the token, but nothing that was taken off', async () => {
    api.redirectTo(`${foreign.origin}/between`);
    foreign.redirectTo(`${api.origin}/back`);
    const response = await apiFetch({ secretHeaders: ['x-api-key'] })('/from', { headers: { 'x-api-key': 'key', 'cookie': 'c=1' } });
    expect(response.url).toBe(`${api.origin}/back`);
    expect(authorizations(api)).toEqual(['Bearer token-1', 'Bearer token-1']);
    expect(authorizations(foreign)).toEqual([undefined]);
    expect(api.lastRequest.headers).not.toHaveProperty('x-api-key');
    expect(api.lastRequest.headers).not.toHaveProperty('cookie');
  });

  test('F4 the caller\'s own authorization stays on its origin, and no token takes its place', async () => {
    api.answersNext({ status: 302, headers: { location: '/same' } }, { status: 302, headers: { location: `${allowed.origin}/to` } });
    allowed.redirectTo(`${api.origin}/back`);
    await apiFetch()('/from', { headers: { authorization: 'Basic own' } });
    expect(authorizations(api)).toEqual(['Basic own', 'Basic own', undefined]);
    expect(authorizations(allowed)).toEqual([undefined]);
    expect(source.calls).toEqual([]);
  });

  test('P10 a token in a header of the API\'s own is as safe', async () => {
    api.redirectTo(`${foreign.origin}/to`);
    await apiFetch({ tokenHeader: 'X-Token' })('/from');
    expect(api.lastRequest.headers['x-token']).toBe('token-1');
    expect(foreign.lastRequest.headers).not.toHaveProperty('x-token');
    api.redirectTo(`${allowed.origin}/to`);
    await apiFetch({ tokenHeader: 'X-Token' })('/from');
    expect(allowed.lastRequest.headers['x-token']).toBe('token-1');
  });

  test('P10 a caller\'s own value of that header does not leave either', async () => {
    api.redirectTo(`${foreign.origin}/to`);
    await apiFetch({ tokenHeader: 'X-Token' })('/from', { headers: { 'x-token': 'own' } });
    expect(foreign.lastRequest.headers).not.toHaveProperty('x-token');
  });

  test('F3 a 401 of another origin is its own affair', async () => {
    api.redirectTo(`${foreign.origin}/to`);
    foreign.answersNext({ status: 401, body: 'who are you' });
    const response = await apiFetch()('/from');
    expect([response.status, await response.text()]).toEqual([401, 'who are you']);
    expect(foreign.requests).toHaveLength(1);
    expect(source.refreshes).toBe(0);
  });

  test('F5 a 401 after a redirect: the hop is sent again, not the whole way', async () => {
    api.redirectTo(`${allowed.origin}/to`);
    allowed.acceptsOnly((token) => token !== 'token-1');
    try {
      const response = await apiFetch()('/from', { method: 'PUT', body: 'x' });
      expect(response).toMatchObject({ status: 200, redirected: true, url: `${allowed.origin}/to` });
      expect(api.requests).toHaveLength(1);
      expect(authorizations(allowed)).toEqual(['Bearer token-1', 'Bearer token-2']);
    } finally {
      allowed.acceptsOnly(() => true);
    }
  });

  test('F5 one replay for each call, however many hops', async () => {
    api.answersNext({ status: 401 }, { status: 302, headers: { location: '/next' } }, { status: 401, body: 'still not' });
    const response = await apiFetch()('/from');
    expect([response.status, await response.text()]).toEqual([401, 'still not']);
    expect(api.requests).toHaveLength(3);
    expect(source.refreshes).toBe(1);
  });

  test('F3 https to http is never followed', async () => {
    const sent: unknown[] = [];
    vi.stubGlobal('fetch', (input: string, init: RequestInit) => {
      sent.push([input, new Headers(init.headers).get('authorization')]);
      return Promise.resolve(new Response(null, { status: 302, headers: { location: 'http://api.example/x' } }));
    });
    const secure = createFetch(source, { baseUrl: 'https://api.example', origins: ['http://127.0.0.1'], allowInsecureRequests: true });
    await expect(secure('/from')).rejects.toThrow(new TypeError('fetch failed'));
    expect(sent).toEqual([['https://api.example/from', 'Bearer token-1']]);
  });

  test('F3 http to https is', async () => {
    const sent: string[] = [];
    vi.stubGlobal('fetch', (input: string) => {
      sent.push(input);
      return Promise.resolve(input.startsWith('https') ? new Response('ok') : new Response(null, { status: 302, headers: { location: 'https://api.example/x' } }));
    });
    const mixed = createFetch(source, { baseUrl: 'http://127.0.0.1', origins: ['https://api.example'], allowInsecureRequests: true });
    expect(await (await mixed('/from')).text()).toBe('ok');
    expect(sent).toEqual(['http://127.0.0.1/from', 'https://api.example/x']);
  });
});

describe('bodies that can be sent once', () => {
  const oneShots: [name: string, call: (f: Fetch, redirect?: Request['redirect']) => Promise<Response>][] = [
    ['a stream', (f, redirect = 'follow') => f('/from', { method: 'POST', body: new Blob(['x']).stream(), duplex: 'half', redirect })],
    ['a Request with a body', (f, redirect = 'follow') => f(new Request(`${api.origin}/from`, { method: 'POST', body: 'x', redirect }))],
  ];

  test.each(oneShots.flatMap(([name, call]) => statuses.map((status) => [name, status, call] as const)))('F3 %s: %d rejects', async (_name, status, call) => {
    redirectsFrom('/from', () => ({ status, headers: { location: '/to' } }));
    await expect(call(apiFetch())).rejects.toThrow(new TypeError('fetch failed'));
    expect(api.requests.map(({ url }) => url)).toEqual(['/from']);
  });

  test.each(oneShots)('F3 %s with redirect: manual gets the redirect itself', async (_name, call) => {
    redirectsFrom('/from', () => ({ status: 307, headers: { location: '/to' }, body: 'moved' }));
    const response = await call(apiFetch(), 'manual');
    expect([response.status, response.headers.get('location'), await response.text()]).toEqual([307, '/to', 'moved']);
    expect(api.lastRequest.body.toString()).toBe('x');
  });

  test.each(oneShots)('F3 %s: a fetch that hands out the redirect in spite of redirect: error changes nothing', async (_name, call) => {
    const stub = vi.fn<Fetch>(() => Promise.resolve(new Response(null, { status: 302, headers: { location: `${allowed.origin}/to` } })));
    await expect(call(apiFetch({ fetch: stub }))).rejects.toThrow(new TypeError('fetch failed'));
    expect(stub).toHaveBeenCalledTimes(1);
  });
});

describe('a fetch that is not the platform\'s', () => {
  test('F3 the response of undici\'s own fetch is marked, and its clones are', async () => {
    redirectsFrom('/from', () => ({ status: 302, headers: { location: '/to' } }));
    const response = await apiFetch({ fetch: fetchOfUndici as unknown as Fetch })('/from');
    expect(response.redirected).toBe(true);
    const clone = response.clone();
    expect(clone.redirected).toBe(true);
    expect(await clone.json()).toEqual(await response.json());
  });

  test('F3 a frozen one, and one without a body, are no obstacle', async () => {
    const answers = [{ status: 302, headers: new Headers({ location: '/to' }) }, Object.freeze({ status: 200, headers: new Headers(), redirected: false })];
    const stub = vi.fn<Fetch>(() => Promise.resolve(answers.shift() as Response));
    expect(await apiFetch({ fetch: stub })('/from')).toMatchObject({ status: 200 });
  });
});

test('F3 redirects are followed with one connection: each redirect\'s body is let go', async () => {
  const { Agent } = await import('undici');
  const agent = new Agent({ connections: 1 });
  try {
    api.answersEvery(({ url }) => {
      const left = Number(/\d+$/.exec(url)?.[0]);
      return left === 0 ? { body: 'arrived' } : { status: 302, headers: { location: `/hop/${left - 1}` }, body: 'x'.repeat(200_000) };
    });
    const single = createFetch({ getToken: () => Promise.resolve(accessToken('t')) }, { baseUrl: api.origin, allowInsecureRequests: true, dispatcher: agent });
    for (let call = 0; call < 5; call += 1) expect(await (await single('/hop/20')).text()).toBe('arrived');
  } finally {
    await agent.destroy();
  }
});
