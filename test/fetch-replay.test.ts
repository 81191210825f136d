import { createFetch, createTokenManager, challenges, type FetchOptions, type TokenEvents, type TokenManager, type TokenSource } from 'grantkeeper';
import { getGlobalDispatcher, MockAgent, setGlobalDispatcher } from 'undici';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Hold, type Answer } from './support/answers.js';
import { startApi, type Api } from './support/api-server.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { ManualClock } from './support/clock.js';
import { eventually } from './support/eventually.js';
import type { Fetch } from './support/parity.js';
import { accessToken, NumberedTokens } from './support/token-source.js';

let api: Api;
let server: AuthorizationServer;
let source: NumberedTokens;
const unhandled: unknown[] = [];
const noteUnhandled = (reason: unknown): void => { unhandled.push(reason); };

beforeEach(async () => {
  [api, server] = await Promise.all([startApi(), startAuthorizationServer()]);
  source = new NumberedTokens();
  unhandled.length = 0;
  process.on('unhandledRejection', noteUnhandled);
});

afterEach(async () => {
  vi.unstubAllGlobals();
  await Promise.all([api.close(), server.close()]);
  process.off('unhandledRejection', noteUnhandled);
  expect(unhandled).toEqual([]);
});

function apiFetch(options: FetchOptions = {}, from: TokenSource = source): Fetch {
  return createFetch(from, { baseUrl: api.origin, allowInsecureRequests: true, retry: false, ...options });
}

function manager(options: { clock?: ManualClock } = {}): TokenManager {
  return createTokenManager({ issuer: server.issuer, clientId: 'c', clientSecret: 's', allowInsecureRequests: true, retry: { limit: 0 }, ...options });
}

function sentTokens(): (string | undefined)[] {
  return api.requests.map(({ headers }) => headers.authorization?.replace('Bearer ', ''));
}

const refusal: Answer = { status: 401, body: 'the refusal', headers: { 'www-authenticate': 'Bearer error="invalid_token"' } };

describe('with a token manager', () => {
  test('F5 endless 401: two sends, one refresh', async () => {
    api.acceptsOnly(() => false);
    const response = await apiFetch({}, manager().clientCredentials())('/x');
    expect([response.status, await response.json()]).toEqual([401, { error: 'invalid_token' }]);
    expect(sentTokens()).toEqual(['at-1', 'at-2']);
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('F5 401 while a newer token is there: one replay, no refresh', async () => {
    const fetching = apiFetch({}, manager().clientCredentials());
    await fetching('/warm');
    api.acceptsOnly((token) => token !== 'at-1');
    const [late, early] = [api.hold(), api.hold()];
    const second = fetching('/second');
    await late.arrived;
    const first = fetching('/first');
    await early.arrived;
    early.release();
    expect((await first).status).toBe(200);
    expect(server.tokenRequests).toHaveLength(2);
    late.release();
    expect((await second).status).toBe(200);
    expect(server.tokenRequests).toHaveLength(2);
    expect(sentTokens()).toEqual(['at-1', 'at-1', 'at-1', 'at-2', 'at-2']);
  });

  test('F5 the same token again: the original 401 comes back', async () => {
    server.answersEvery({ json: { access_token: 'always', token_type: 'Bearer', expires_in: 3600 } });
    api.answersEvery(refusal);
    const response = await apiFetch({}, manager().clientCredentials())('/x');
    expect([response.status, await response.text()]).toEqual([401, 'the refusal']);
    expect(api.requests).toHaveLength(1);
  });

  test('F6 10 requests whose 401s come one after the other: one refresh', async () => {
    const fetching = apiFetch({}, manager().clientCredentials());
    await fetching('/warm');
    api.acceptsOnly((token) => token !== 'at-1');
    const holds = Array.from({ length: 10 }, () => api.hold());
    const calls: Promise<Response>[] = [];
    for (const [index, hold] of holds.entries()) {
      calls.push(fetching(`/${index}`));
      await hold.arrived;
    }
    for (const [index, hold] of holds.entries()) {
      hold.release();
      expect((await calls[index])?.status).toBe(200);
    }
    expect(server.tokenRequests).toHaveLength(2);
    expect(api.requests).toHaveLength(21);
  });

  test('F7 100 parallel 401s cost one refresh', async () => {
    const fetching = apiFetch({}, manager().clientCredentials());
    await fetching('/warm');
    api.acceptsOnly((token) => token !== 'at-1');
    const responses = await Promise.all(Array.from({ length: 100 }, (_, index) => fetching(`/${index}`, { method: 'POST', body: `body ${index}` })));
    expect(responses.map(({ status }) => status)).toEqual(Array(100).fill(200));
    expect(server.tokenRequests).toHaveLength(2);
    expect(sentTokens().filter((token) => token === 'at-2')).toHaveLength(100);
    await Promise.all(responses.map((response) => response.text()));
  });

  test('F11 the refresh after a 401 fails: the original 401 comes back, and the failure is an event', async () => {
    const tokens = manager();
    const events: [name: string, detail: unknown][] = [];
    tokens.on('refresh-failed', (detail: TokenEvents['refresh-failed']) => { events.push(['refresh-failed', detail]); });
    tokens.on('token-rejected', (detail) => { events.push(['token-rejected', detail]); });
    const fetching = apiFetch({}, tokens.clientCredentials());
    await fetching('/warm');
    server.answersEvery({ status: 500 });
    api.answersEvery(refusal);
    const response = await fetching('/x', { method: 'POST', body: 'x' });
    expect([response.status, response.bodyUsed, await response.text()]).toEqual([401, false, 'the refusal']);
    expect(api.requests).toHaveLength(2);
    expect(events).toEqual([
      ['token-rejected', { status: 401, origin: api.origin }],
      ['refresh-failed', { background: false, error: expect.objectContaining({ code: 'token_request_failed', status: 500 }) as unknown }],
    ]);
  });

  test('F11 the first token cannot be had: the error is thrown, nothing is sent', async () => {
    server.rejectsNextWith('invalid_client', 401);
    await expect(apiFetch({}, manager().clientCredentials())('/x')).rejects.toMatchObject({ code: 'token_request_failed', error: 'invalid_client' });
    await server.close();
    await expect(apiFetch({}, manager().clientCredentials())('/x')).rejects.toMatchObject({ code: 'server_unreachable' });
    expect(api.requests).toEqual([]);
  });

  test('F15 persistent 401s: token requests thin out, from 1 s doubling to 1 min', async () => {
    const clock = new ManualClock();
    const fetching = apiFetch({}, manager({ clock }).clientCredentials());
    api.acceptsOnly(() => false);
    const asked: number[] = [];
    for (let second = 0; second <= 250; second += 1) {
      const before = server.tokenRequests.length;
      const response = await fetching('/x');
      await response.body?.cancel();
      asked.push(...Array<number>(server.tokenRequests.length - before).fill(second));
      clock.advance(1_000);
    }
    expect(asked).toEqual([0, 0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
  });

  test('F15 a replacement that was accepted once is replaced at once again', async () => {
    const fetching = apiFetch({}, manager().clientCredentials());
    for (const round of [1, 2, 3, 4]) {
      api.acceptsOnly((token) => token === `at-${round + 1}`);
      expect((await fetching('/x')).status).toBe(200);
      expect(server.tokenRequests).toHaveLength(round + 1);
    }
  });

  test('F8 a refused one-shot: the 401 as it came, and the next caller gets another token', async () => {
    const fetching = apiFetch({}, manager().clientCredentials());
    await fetching('/warm');
    api.acceptsOnly((token) => token !== 'at-1');
    const response = await fetching('/x', { method: 'POST', body: new Blob(['x']).stream(), duplex: 'half' });
    expect([response.status, await response.json()]).toEqual([401, { error: 'invalid_token' }]);
    expect((await fetching('/y')).status).toBe(200);
    expect(sentTokens()).toEqual(['at-1', 'at-1', 'at-2']);
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('F8 a refused one-shot whose refresh fails harms nobody', async () => {
    const fetching = apiFetch({}, manager().clientCredentials());
    await fetching('/warm');
    server.answersEvery({ status: 500 });
    api.answersNext(refusal);
    const response = await fetching('/x', { method: 'POST', body: new Blob(['x']).stream(), duplex: 'half' });
    expect(await response.text()).toBe('the refusal');
    await server.tokenRequestArrives(2);
    expect((await fetching('/y')).status).toBe(200);
  });
});

describe('what is sent again', () => {
  const bytes = new Uint8Array([7, 0, 255, 9]);
  const form = (): FormData => {
    const data = new FormData();
    data.append('a', 'b');
    data.append('f', new Blob(['content'], { type: 'x/y' }), 'name');
    return data;
  };
  const bodies: [name: string, body: () => RequestInit['body'], text: string | RegExp, type?: RegExp][] = [
    ['none', () => null, ''],
    ['a string', () => 'text', 'text', /^text\/plain/],
    ['an empty string', () => '', ''],
    ['a Buffer', () => Buffer.from('buffer'), 'buffer'],
    ['a Uint8Array over part of a buffer', () => bytes.subarray(1, 3), '\0ÿ'],
    ['a Uint16Array', () => new Uint16Array([0x4241]), 'AB'],
    ['a DataView', () => new DataView(bytes.buffer, 3), '\t'],
    ['an ArrayBuffer', () => bytes.slice().buffer, '\x07\0ÿ\t'],
    ['URLSearchParams', () => new URLSearchParams({ a: 'b c' }), 'a=b+c', /^application\/x-www-form-urlencoded/],
    ['FormData', form, /name="a"\r\n\r\nb\r\n[^]*filename="name"\r\nContent-Type: x\/y\r\n\r\ncontent\r\n/, /^multipart\/form-data; boundary=/],
    ['a Blob', () => new Blob(['blob'], { type: 'x/y' }), 'blob', /^x\/y$/],
  ];

  test.each(bodies)('F8 replayed: %s', async (_name, body, text, type) => {
    api.acceptsOnly((token) => token === 'token-2');
    const response = await apiFetch()('/x', { method: 'PATCH', body: body() ?? null, headers: { 'x-own': '1' } });
    expect(response.status).toBe(200);
    expect(sentTokens()).toEqual(['token-1', 'token-2']);
    for (const request of api.requests) {
      if (typeof text === 'string') expect(request.body.toString('latin1')).toBe(text);
      else expect(request.body.toString('latin1')).toMatch(text);
      expect(request).toMatchObject({ method: 'PATCH', url: '/x', headers: { 'x-own': '1', 'content-length': String(request.body.length) } });
      if (type !== undefined) expect(request.headers['content-type']).toMatch(type);
    }
  });

  test('F8 bytes in the init are replayed, though the input is a Request with a body', async () => {
    api.acceptsOnly((token) => token === 'token-2');
    const input = new Request(`${api.origin}/x`, { method: 'POST', body: 'old', headers: { 'x-own': '1' } });
    expect((await apiFetch()(input, { body: 'new' })).status).toBe(200);
    expect(api.requests.map(({ body, headers }) => [body.toString(), headers['x-own']])).toEqual([['new', '1'], ['new', '1']]);
  });

  test('F8 a Request without a body is replayed', async () => {
    api.acceptsOnly((token) => token === 'token-2');
    expect((await apiFetch()(new Request(`${api.origin}/x`, { method: 'DELETE' }))).status).toBe(200);
    expect(api.requests.map(({ method }) => method)).toEqual(['DELETE', 'DELETE']);
  });

  const oneShots: [name: string, call: (f: Fetch) => Promise<Response>][] = [
    ['a ReadableStream', (f) => f('/x', { method: 'POST', body: new Blob(['x']).stream(), duplex: 'half' })],
    ['an async iterable', (f) => f('/x', { method: 'POST', body: (async function* () { yield await Promise.resolve(Buffer.from('x')); })() as unknown as ReadableStream, duplex: 'half' })],
    ['a Request with a body', (f) => f(new Request(`${api.origin}/x`, { method: 'POST', body: 'x' }))],
    ['a Request as the init', (f) => f('/x', new Request(`${api.origin}/y`, { method: 'POST', body: 'x' }))],
  ];
  test.each(oneShots)('F8 not replayed: %s', async (_name, call) => {
    api.answersEvery(refusal);
    const response = await call(apiFetch());
    expect([response.status, response.bodyUsed, await response.text()]).toEqual([401, false, 'the refusal']);
    expect(api.requests).toHaveLength(1);
    expect(api.lastRequest.body.toString()).toBe('x');
    expect(source.calls.at(-1)?.rejected?.value).toBe('token-1');
  });

  test('F8 a Request with a body keeps its Content-Length', async () => {
    await apiFetch()(new Request(`${api.origin}/x`, { method: 'POST', body: 'four' }));
    expect(api.lastRequest.headers).toMatchObject({ 'content-length': '4' });
    expect(api.lastRequest.headers).not.toHaveProperty('transfer-encoding');
  });

  test('F8 replay: false: the 401 comes back, and the token is marked refused', async () => {
    api.acceptsOnly((token) => token === 'token-2');
    const fetching = apiFetch({ replay: false });
    expect((await fetching('/x')).status).toBe(401);
    expect((await fetching('/x')).status).toBe(200);
    expect(sentTokens()).toEqual(['token-1', 'token-2']);
  });

  test('F8 by value: what the caller changes after the call is not sent', async () => {
    api.acceptsOnly((token) => token === 'token-2');
    const buffer = Buffer.from('original');
    const parameters = new URLSearchParams({ a: 'original' });
    const data = form();
    const headers = new Headers({ 'x-own': 'original' });
    const plainHeaders = { 'x-own': 'original' };
    const url = new URL('/original', api.origin);
    const init: RequestInit = { method: 'POST', body: buffer, headers };
    const fetching = apiFetch();
    const calls = [
      fetching(url, init),
      fetching(url, { method: 'POST', body: parameters, headers: plainHeaders }),
      fetching(url, { method: 'POST', body: data, headers: plainHeaders }),
      fetching(url, { method: 'POST', body: buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.length), headers: plainHeaders }),
      fetching(url, { headers: plainHeaders }),
    ];
    buffer.fill('!');
    parameters.set('a', 'changed');
    data.set('a', 'changed');
    headers.set('x-own', 'changed');
    plainHeaders['x-own'] = 'changed';
    url.pathname = '/changed';
    init.method = 'PUT';
    init.body = 'changed';
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual(Array(5).fill(200));
    for (const { url: path, headers: received, body, method } of api.requests) {
      expect([path, received['x-own']]).toEqual(['/original', 'original']);
      expect(body.toString()).not.toMatch(/changed|!/);
      expect(method).not.toBe('PUT');
    }
  });
});

describe('the refused response', () => {
  test('F9 its body is cancelled just before the replay, and not earlier', async () => {
    const order: string[] = [];
    const body = new ReadableStream({ cancel: () => { order.push('cancelled'); } });
    const stub: Fetch = (_input, init) => {
      order.push(`sent ${new Headers(init?.headers).get('authorization') ?? ''}`);
      return Promise.resolve(order.length === 1 ? new Response(body, { status: 401 }) : new Response('ok'));
    };
    const asking: TokenSource = { getToken: (options) => {
      if (options?.rejected !== undefined) order.push('asked');
      return source.getToken(options);
    } };
    await apiFetch({ fetch: stub }, asking)('/x');
    expect(order).toEqual(['sent Bearer token-1', 'asked', 'cancelled', 'sent Bearer token-2']);
  });

  test('F9 a body that never ends does not keep the replay waiting', async () => {
    api.answersNext({ perform: ({ response }) => { response.writeHead(401).write('x'.repeat(100_000)); } });
    expect((await apiFetch()('/x')).status).toBe(200);
    await eventually(() => api.openConnections <= 1);
  });

  test('F9 a huge one that comes back can be read to its end', async () => {
    const huge = 'x'.repeat(5_000_000);
    api.answersEvery({ status: 401, body: huge });
    const response = await apiFetch({ replay: false })('/x');
    expect((await response.text()).length).toBe(huge.length);
  });

  test('F5 of a source that never gives another token: it comes back untouched', async () => {
    api.answersEvery(refusal);
    const response = await apiFetch({}, { getToken: () => Promise.resolve(accessToken('same')) })('/x');
    expect([response.status, response.redirected, response.url, await response.text()]).toEqual([401, false, `${api.origin}/x`, 'the refusal']);
    expect(api.requests).toHaveLength(1);
  });

  const failing: [name: string, second: () => unknown][] = [
    ['rejects', () => Promise.reject(new RangeError('no'))],
    ['throws', () => { throw new RangeError('no'); }],
    ['gives nothing', () => undefined],
    ['gives null', () => null],
    ['gives a string', () => 'token-2'],
    ['gives an object without a value', () => ({ type: 'Bearer' })],
    ['gives a value that is no string', () => ({ value: 5, type: 'Bearer' })],
  ];
  test.each(failing)('F11 of a source whose second getToken %s: it comes back, and nothing else is sent', async (_name, second) => {
    api.answersEvery(refusal);
    const odd: TokenSource = { getToken: (options) => (options?.rejected === undefined ? Promise.resolve(accessToken('first')) : second() as never) };
    for (const options of [{}, { replay: false }]) {
      api.requests.length = 0;
      const response = await apiFetch(options, odd)('/x');
      expect([response.status, await response.text()]).toEqual([401, 'the refusal']);
      expect(api.requests).toHaveLength(1);
    }
  });

  test('F12 an abort while the next token is waited for rejects with the reason, and lets the body go', async () => {
    api.answersEvery({ status: 401, body: 'x'.repeat(200_000) });
    const controller = new AbortController();
    const slow: TokenSource = { getToken: (options) => {
      if (options?.rejected === undefined) return Promise.resolve(accessToken('first'));
      setImmediate(() => { controller.abort('enough'); });
      return new Promise(() => undefined);
    } };
    await expect(apiFetch({}, slow)('/x', { signal: controller.signal })).rejects.toBe('enough');
    expect(api.requests).toHaveLength(1);
    await eventually(() => api.openConnections === 0);
  });
});

describe('what counts as a refusal', () => {
  const answers: [name: string, answer: Answer, options: FetchOptions, replayed: boolean][] = [
    ['401 without a challenge', { status: 401 }, {}, true],
    ['401 with a Basic challenge', { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } }, {}, true],
    ['401 with garbage as its challenge', { status: 401, headers: { 'www-authenticate': '"",=,' } }, {}, true],
    ['401 invalid_token', refusal, {}, true],
    ['401 insufficient_scope', { status: 401, headers: { 'www-authenticate': 'Bearer error="insufficient_scope"' } }, {}, false],
    ['401 insufficient_scope in the second header', { status: 401, headers: { 'www-authenticate': ['Basic', 'Bearer error=insufficient_scope'] } }, {}, false],
    ['401 insufficient_user_authentication', { status: 401, headers: { 'www-authenticate': 'Bearer error="insufficient_user_authentication", acr_values="x"' } }, {}, false],
    ['403', { status: 403 }, {}, false],
    ['403 insufficient_scope', { status: 403, headers: { 'www-authenticate': 'Bearer error="insufficient_scope"' } }, {}, false],
    ['403 invalid_token', { status: 403, headers: { 'www-authenticate': 'Bearer error="invalid_token"' } }, {}, false],
    ['403, listed', { status: 403 }, { rejectedStatus: [401, 403] }, true],
    ['403 insufficient_scope, listed', { status: 403, headers: { 'www-authenticate': 'Bearer error="insufficient_scope"' } }, { rejectedStatus: [403] }, true],
    ['401, not listed', { status: 401 }, { rejectedStatus: [419] }, false],
    ['419, listed', { status: 419 }, { rejectedStatus: [419] }, true],
    ['503, listed', { status: 503 }, { rejectedStatus: [503] }, true],
    ['500', { status: 500 }, {}, false],
  ];
  test.each(answers)('F10 %s', async (_name, answer, options, replayed) => {
    api.answersNext(answer);
    const response = await apiFetch(options)('/x');
    expect(response.status).toBe(replayed ? 200 : 'status' in answer ? answer.status : undefined);
    expect(api.requests).toHaveLength(replayed ? 2 : 1);
    expect(source.refreshes).toBe(replayed ? 1 : 0);
    expect(response.bodyUsed).toBe(false);
  });

  test('F10 the challenge of what comes back can be read with one call', async () => {
    api.answersNext({ status: 403, body: 'details', headers: { 'www-authenticate': 'Bearer error="insufficient_scope", scope="invoices:write"' } });
    const response = await apiFetch()('/x');
    expect(challenges(response)).toEqual([{ scheme: 'Bearer', error: 'insufficient_scope', scope: 'invoices:write' }]);
    expect(await response.text()).toBe('details');
  });
});

describe('the fetch and the dispatcher', () => {
  test('F1 the global fetch is looked up at each call', async () => {
    const fetching = apiFetch();
    const stub = vi.fn<Fetch>(() => Promise.resolve(new Response('stub')));
    vi.stubGlobal('fetch', stub);
    expect(await (await fetching('/x')).text()).toBe('stub');
    const [input, init] = stub.mock.calls[0] ?? [];
    expect(input).toBe(`${api.origin}/x`);
    expect(new Headers(init?.headers).get('authorization')).toBe('Bearer token-1');
    vi.unstubAllGlobals();
    expect(await (await fetching('/x')).json()).toMatchObject({ ok: true });
  });

  test('F1 the option `fetch` goes before it, and gets no dispatcher of ours', async () => {
    const own = vi.fn<Fetch>(() => Promise.resolve(new Response('own')));
    vi.stubGlobal('fetch', () => { throw new Error('not this one'); });
    expect(await (await apiFetch({ fetch: own })('/x')).text()).toBe('own');
    expect(own.mock.calls[0]?.[1]).not.toHaveProperty('dispatcher');
  });

  test('F1 a Response-like answer of a stub is handed out as it is', async () => {
    const like = { status: 200, ok: true, headers: new Headers(), json: () => Promise.resolve({ a: 1 }) } as unknown as Response;
    const stub: Fetch = () => Promise.resolve(like);
    expect(await apiFetch({ fetch: stub })('/x')).toBe(like);
    expect(await apiFetch({ fetch: stub, timeout: 60_000 })('/x')).toBe(like);
  });

  test('F1 a Response-like refusal is replayed, though its body knows no cancel', async () => {
    const answers = [{ status: 401, headers: new Headers(), body: {} }, { status: 200, headers: new Headers() }] as unknown as Response[];
    expect(await apiFetch({ fetch: () => Promise.resolve(answers.shift() ?? Response.error()) })('/x')).toMatchObject({ status: 200 });
  });

  test('F1 what a stub throws at once rejects', async () => {
    const failure = new RangeError('stub');
    await expect(apiFetch({ fetch: () => { throw failure; } })('/x')).rejects.toBe(failure);
  });

  test('F1 dispatchers: the init\'s, then the option\'s, then a global one of the user\'s, then ours', async () => {
    const agents: MockAgent[] = [];
    const answering = (text: string): MockAgent => {
      const agent = new MockAgent();
      agent.disableNetConnect();
      agent.get(api.origin).intercept({ path: '/x' }).reply(200, text).persist();
      agents.push(agent);
      return agent;
    };
    const before = getGlobalDispatcher();
    const withInit = async (f: Fetch, dispatcher?: MockAgent): Promise<string> =>
      (await f('/x', (dispatcher === undefined ? {} : { dispatcher }) as unknown as RequestInit)).text();
    const [init, option, global] = [answering('init'), answering('option'), answering('global')] as const;
    try {
      expect(JSON.parse(await withInit(apiFetch()))).toMatchObject({ ok: true });
      setGlobalDispatcher(global);
      expect(await withInit(apiFetch({ dispatcher: option }), init)).toBe('init');
      expect(await withInit(apiFetch({ dispatcher: option }))).toBe('option');
      expect(await withInit(apiFetch())).toBe('global');
      expect(await withInit(apiFetch(), init)).toBe('init');
    } finally {
      setGlobalDispatcher(before);
      await Promise.all(agents.map((agent) => agent.close()));
    }
    expect(JSON.parse(await withInit(apiFetch()))).toMatchObject({ ok: true });
  });

  test('F1 a replay goes by the dispatcher of the init as well', async () => {
    const agent = new MockAgent();
    agent.disableNetConnect();
    const pool = agent.get(api.origin);
    pool.intercept({ path: '/x', headers: { authorization: 'Bearer token-1' } }).reply(401, '');
    pool.intercept({ path: '/x', headers: { authorization: 'Bearer token-2' } }).reply(200, 'mocked');
    const response = await apiFetch()('/x', { dispatcher: agent } as unknown as RequestInit);
    expect(await response.text()).toBe('mocked');
    expect(api.requests).toEqual([]);
    await agent.close();
  });

  test('F1 members that only an extended fetch knows are passed on', async () => {
    const own = vi.fn<Fetch>(() => Promise.resolve(new Response('own')));
    await apiFetch({ fetch: own })('/x', { next: { revalidate: 60 } } as RequestInit);
    expect(own.mock.calls[0]?.[1]).toMatchObject({ next: { revalidate: 60 } });
  });
});

test('F8 a hold that is never released leaves nothing behind when the caller aborts', async () => {
  const hold = new Hold();
  api.answersNext(hold);
  const controller = new AbortController();
  const call = apiFetch()('/x', { signal: controller.signal });
  await hold.arrived;
  controller.abort();
  await expect(call).rejects.toBe(controller.signal.reason);
  await eventually(() => api.openConnections === 0);
});
