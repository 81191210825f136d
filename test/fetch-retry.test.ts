import { createFetch, type FetchOptions } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { lose, reset, type Answer } from './support/answers.js';
import { startApi, type Api } from './support/api-server.js';
import { deferred } from './support/deferred.js';
import { eventually } from './support/eventually.js';
import type { Fetch } from './support/parity.js';
import { NumberedTokens } from './support/token-source.js';

let api: Api;
let source: NumberedTokens;

beforeEach(async () => {
  api = await startApi();
  source = new NumberedTokens();
});

afterEach(async () => {
  vi.useRealTimers();
  await api.close();
});

function apiFetch(options: FetchOptions = {}): Fetch {
  return createFetch(source, { baseUrl: api.origin, allowInsecureRequests: true, retry: { minDelay: 0 }, ...options });
}

const passing = [429, 502, 503, 504];

describe('what is repeated', () => {
  test.each(passing)('F13 %d: until it is answered', async (status) => {
    api.answersNext({ status, body: 'x'.repeat(100_000) }, { status });
    expect(await (await apiFetch()('/x')).json()).toMatchObject({ ok: true });
    expect(api.requests).toHaveLength(3);
  });

  test.each(passing)('F13 %d for ever: the last one comes back, and can be read', async (status) => {
    let count = 0;
    api.answersEvery(() => ({ status, body: `answer ${count += 1}` }));
    const response = await apiFetch()('/x');
    expect([response.status, response.bodyUsed, await response.text()]).toEqual([status, false, 'answer 3']);
    expect(api.requests).toHaveLength(3);
  });

  test.each([400, 404, 408, 409, 418, 500, 501, 505])('F13 not %d', async (status) => {
    api.answersEvery({ status, body: 'once' });
    expect(await (await apiFetch()('/x')).text()).toBe('once');
    expect(api.requests).toHaveLength(1);
  });

  test.each<[string, () => Answer]>([['reset', reset], ['lost after the request was done', lose]])('F13 a connection that is %s', async (_name, broken) => {
    api.answersNext(broken(), broken());
    expect((await apiFetch()('/x')).status).toBe(200);
    expect(api.requests).toHaveLength(3);
  });

  test('F13 a connection that is always reset: the platform\'s error', async () => {
    api.answersEvery(reset());
    await expect(apiFetch()('/x')).rejects.toThrow(new TypeError('fetch failed'));
    expect(api.requests).toHaveLength(3);
  });

  test('F13 a network error after a 503, and the other way round: the last outcome counts', async () => {
    api.answersNext({ status: 503 }, reset(), { status: 503, body: 'last' });
    expect(await (await apiFetch()('/x')).text()).toBe('last');
    api.answersNext(reset(), { status: 503 }, reset());
    await expect(apiFetch()('/x')).rejects.toThrow(new TypeError('fetch failed'));
    expect(api.requests).toHaveLength(6);
  });

  test.each(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'get', 'put'])('F13 %s is repeated', async (method) => {
    api.answersNext({ status: 503 });
    expect((await apiFetch()('/x', { method })).status).toBe(200);
    expect(api.requests).toHaveLength(2);
  });

  test.each(['POST', 'PATCH', 'post'])('F13 %s is only repeated if asked for', async (method) => {
    const call = (f: Fetch): Promise<Response> => f('/x', { method: method === 'post' ? 'post' : method, body: 'twice' });
    api.answersNext({ status: 503 });
    expect((await call(apiFetch())).status).toBe(503);
    api.answersNext({ status: 503 });
    expect((await call(apiFetch({ retry: { minDelay: 0, methods: [method] } }))).status).toBe(200);
    expect(api.requests).toHaveLength(3);
    expect(api.lastRequest.body.toString()).toBe('twice');
    api.answersNext(reset());
    await expect(call(apiFetch())).rejects.toThrow(TypeError);
  });

  test('F13 `methods` says which, not which beside', async () => {
    api.answersNext({ status: 503 });
    expect((await apiFetch({ retry: { minDelay: 0, methods: ['POST'] } })('/x')).status).toBe(503);
    expect(api.requests).toHaveLength(1);
  });

  test('F13 a body that can be sent once is sent once', async () => {
    api.answersEvery({ status: 503, body: 'later' });
    for (const call of [() => apiFetch()('/x', { method: 'PUT', body: new Blob(['x']).stream(), duplex: 'half' }), () => apiFetch()(new Request(`${api.origin}/x`, { method: 'PUT', body: 'x' }))]) {
      api.requests.length = 0;
      expect(await (await call()).text()).toBe('later');
      expect(api.requests).toHaveLength(1);
    }
  });

  test.each<[string, Answer, number]>([['503', { status: 503 }, 503], ['429', { status: 429, headers: { 'retry-after': '1' } }, 429]])('F13 retry: false sends once: %s', async (_name, answer, status) => {
    api.answersEvery(answer);
    expect((await apiFetch({ retry: false })('/x')).status).toBe(status);
    expect(api.requests).toHaveLength(1);
  });

  test('F13 retry: false and a reset connection: one request', async () => {
    api.answersEvery(reset());
    await expect(apiFetch({ retry: false })('/x')).rejects.toThrow(new TypeError('fetch failed'));
    expect(api.requests).toHaveLength(1);
  });

  test('F13 retry: false, the replay after a 401 apart', async () => {
    api.answersNext({ status: 401 });
    expect((await apiFetch({ retry: false })('/x')).status).toBe(200);
    expect(api.requests).toHaveLength(2);
  });

  test.each([0, 1, 4])('F13 limit: %d further tries', async (limit) => {
    api.answersEvery({ status: 503 });
    expect((await apiFetch({ retry: { minDelay: 0, limit } })('/x')).status).toBe(503);
    expect(api.requests).toHaveLength(limit + 1);
  });

  test('F13 an error of the token source is none of the network\'s', async () => {
    const getToken = vi.fn(() => Promise.reject(Object.assign(new TypeError('x'), { cause: Object.assign(new Error('y'), { code: 'ECONNRESET' }) })));
    await expect(createFetch({ getToken }, { baseUrl: api.origin, allowInsecureRequests: true, retry: { minDelay: 0 } })('/x')).rejects.toThrow(TypeError);
    expect(getToken).toHaveBeenCalledTimes(1);
    expect(api.requests).toEqual([]);
  });

  test('F13 each hop of a redirect is repeated on its own', async () => {
    api.answersNext({ status: 503 }, { status: 302, headers: { location: '/to' } }, { status: 503 });
    expect(await apiFetch()('/from')).toMatchObject({ status: 200, redirected: true });
    expect(api.requests.map(({ url }) => url)).toEqual(['/from', '/from', '/to', '/to']);
  });

  test('F5 a 401 between failures: one replay in all', async () => {
    api.answersNext({ status: 503 }, { status: 401 }, { status: 503 }, { status: 401, body: 'again' });
    const response = await apiFetch()('/x');
    expect([response.status, await response.text()]).toEqual([401, 'again']);
    expect(api.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer token-1', 'Bearer token-1', 'Bearer token-2', 'Bearer token-2']);
    expect(source.refreshes).toBe(1);
  });
});

describe('how long it waits', () => {
  const sends: number[] = [];
  const begin = Date.UTC(2026, 0, 1);

  /** No network: only the pauses take time, and that is a made-up one. */
  function waiting(answers: [status: number, retryAfter?: string][], options: FetchOptions = {}): Fetch {
    vi.useFakeTimers({ now: begin, toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'] });
    sends.length = 0;
    const fetchStub: Fetch = () => {
      sends.push(Date.now() - begin);
      const [status, retryAfter] = answers.shift() ?? [200];
      return Promise.resolve(new Response(null, { status, ...(retryAfter !== undefined && { headers: { 'retry-after': retryAfter } }) }));
    };
    return apiFetch({ fetch: fetchStub, ...options });
  }

  async function settled(call: Promise<Response>): Promise<number> {
    const [{ status }] = await Promise.all([call, vi.runAllTimersAsync()]);
    return status;
  }

  test.each<[string, string, number]>([
    ['seconds', '2', 2_000],
    ['a date', new Date(begin + 7_000).toUTCString(), 7_000],
    ['a date that is past', new Date(begin - 7_000).toUTCString(), 0],
    ['zero', '0', 0],
    ['more than is accepted: capped', '999999', 60_000],
    ['more digits than a number holds', '9'.repeat(400), 60_000],
    ['garbage', 'soon', 0],
    ['a negative number', '-5', 0],
  ])('F13 Retry-After: %s', async (_name, retryAfter, pause) => {
    for (const status of [429, 503]) {
      expect(await settled(waiting([[status, retryAfter]])('/x'))).toBe(200);
      expect(sends).toEqual([0, pause]);
      vi.useRealTimers();
    }
  });

  test('F13 maxRetryAfter caps it elsewhere', async () => {
    expect(await settled(waiting([[429, '50']], { retry: { minDelay: 0, maxRetryAfter: 3_000 } })('/x'))).toBe(200);
    expect(sends).toEqual([0, 3_000]);
  });

  test('F13 without a word of the server: a random part of 200 ms, then of 400 ms', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    expect(await settled(waiting([[503], [503]], { retry: {} })('/x'))).toBe(200);
    expect(sends).toEqual([0, 100, 300]);
    vi.restoreAllMocks();
  });

  test('F13 maxDelay bounds the pauses', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(1);
    expect(await settled(waiting([[503], [503], [503]], { retry: { limit: 3, minDelay: 1_000, maxDelay: 1_500 } })('/x'))).toBe(200);
    expect(sends).toEqual([0, 1_000, 2_500, 4_000]);
    vi.restoreAllMocks();
  });

  test('F13 a wait beyond the timeout is not begun: the answer comes back at once', async () => {
    const call = waiting([[429, '30']], { timeout: 10_000 })('/x');
    expect((await call).status).toBe(429);
    expect(sends).toEqual([0]);
  });

  test('F12 an abort ends the wait with the caller\'s reason', async () => {
    const controller = new AbortController();
    const call = waiting([[429, '30']])('/x', { signal: controller.signal });
    const outcome = call.catch((thrown: unknown) => thrown);
    await vi.advanceTimersByTimeAsync(10_000);
    controller.abort('enough');
    expect(await outcome).toBe('enough');
    await vi.runAllTimersAsync();
    expect(sends).toEqual([0]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

test('F12 an abort while a failed answer is held back lets its connection go', async () => {
  const controller = new AbortController();
  api.answersNext({ status: 503, body: 'x'.repeat(500_000), headers: { 'retry-after': '30' } });
  const answered = deferred();
  const noticing: Fetch = (input, init) => fetch(input, init).finally(answered.resolve);
  const call = apiFetch({ fetch: noticing })('/x', { signal: controller.signal });
  call.catch(() => undefined);
  await answered.promise;
  await new Promise((resolve) => { setImmediate(resolve); });
  controller.abort('enough');
  await expect(call).rejects.toBe('enough');
  await eventually(() => api.openConnections === 0);
});
