import { createFetch, createTokenManager, OAuthError, type FetchOptions, type TokenSource } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { hang } from './support/answers.js';
import { startApi, type Api } from './support/api-server.js';
import { startAuthorizationServer } from './support/authorization-server.js';
import { runProgram } from './support/child-process.js';
import { deferred } from './support/deferred.js';
import { eventually } from './support/eventually.js';
import type { Fetch } from './support/parity.js';
import { accessToken, NumberedTokens } from './support/token-source.js';

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

function apiFetch(options: FetchOptions = {}, from: TokenSource = source): Fetch {
  return createFetch(from, { baseUrl: api.origin, allowInsecureRequests: true, retry: false, ...options });
}

/** A source that hears of nothing: not of signals either. */
const deaf: TokenSource = { getToken: () => new Promise(() => undefined) };

const timedOut = { name: 'OAuthError', code: 'timeout', retryable: true, message: 'No response within 30 ms (option `timeout` of createFetch)' };

describe('abort', () => {
  test.each([undefined, 60_000])('F12 during the token wait, with a source that is deaf: the caller\'s own reason (timeout %j)', async (timeout) => {
    for (const reason of [new RangeError('enough'), 'enough', 0, null]) {
      const controller = new AbortController();
      const call = apiFetch(timeout === undefined ? {} : { timeout }, deaf)('/x', { signal: controller.signal });
      controller.abort(reason);
      await expect(call).rejects.toBe(reason);
    }
    expect(api.requests).toEqual([]);
  });

  test('F12 during the token wait, with a token manager: this caller only', async () => {
    await using server = await startAuthorizationServer();
    const tokens = createTokenManager({ issuer: server.issuer, clientId: 'c', clientSecret: 's', allowInsecureRequests: true });
    const fetching = apiFetch({}, tokens.clientCredentials());
    const hold = server.hold();
    const controller = new AbortController();
    const [aborted, patient] = [fetching('/a', { signal: controller.signal }), fetching('/b')];
    await hold.arrived;
    controller.abort('enough');
    await expect(aborted).rejects.toBe('enough');
    hold.release();
    expect((await patient).status).toBe(200);
    expect(api.requests.map(({ url }) => url)).toEqual(['/b']);
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('F12 before the call: no token is asked for', async () => {
    await expect(apiFetch()('/x', { signal: AbortSignal.abort('early') })).rejects.toBe('early');
    await expect(apiFetch({ timeout: 60_000 })('/x', { signal: AbortSignal.abort('early') })).rejects.toBe('early');
    expect(source.calls).toEqual([]);
    expect(api.requests).toEqual([]);
  });

  test('F12 the source hears of it: the signal is passed on', async () => {
    const { signal } = new AbortController();
    await apiFetch()('/x', { signal });
    expect(source.calls[0]?.signal).toBe(signal);
  });

  test('F12 a source that rejects with something of its own when aborted: still the caller\'s reason', async () => {
    const controller = new AbortController();
    const chatty: TokenSource = { getToken: (options) => new Promise((_, reject) => {
      options?.signal?.addEventListener('abort', () => { reject(new Error('of its own')); });
    }) };
    const call = apiFetch({}, chatty)('/x', { signal: controller.signal });
    controller.abort('enough');
    await expect(call).rejects.toBe('enough');
  });

  test.each([undefined, 60_000])('F12 during the request, and while the body is read (timeout %j)', async (timeout) => {
    const fetching = apiFetch(timeout === undefined ? {} : { timeout });
    const hold = api.hold();
    const first = new AbortController();
    const call = fetching('/x', { signal: first.signal });
    await hold.arrived;
    first.abort('enough');
    await expect(call).rejects.toBe('enough');

    api.answersNext({ perform: ({ response }) => { response.writeHead(200).write('beginning'); } });
    const second = new AbortController();
    const response = await fetching('/x', { signal: second.signal });
    const reading = response.text();
    second.abort('no more');
    await expect(reading).rejects.toBe('no more');
    await eventually(() => api.openConnections === 0);
  });

  test('F12 the signal of one call is left without listeners', async () => {
    const { signal } = new AbortController();
    const added = vi.spyOn(signal, 'addEventListener');
    const removed = vi.spyOn(signal, 'removeEventListener');
    for (let call = 0; call < 5; call += 1) await (await apiFetch({ timeout: 60_000 })('/x', { method: 'HEAD', signal })).text();
    expect(added.mock.calls.length).toBeGreaterThan(0);
    expect(removed.mock.calls.length).toBeGreaterThanOrEqual(added.mock.calls.length);
  });

  test('F12 no listener of a call warns of a leak: one signal for 100 calls', async () => {
    const warnings: Error[] = [];
    const note = (warning: Error): void => { warnings.push(warning); };
    process.on('warning', note);
    try {
      const { signal } = new AbortController();
      const fetching = apiFetch();
      for (let call = 0; call < 100; call += 1) await (await fetching('/x', { signal })).text();
      await new Promise((resolve) => { setImmediate(resolve); });
      expect(warnings).toEqual([]);
    } finally {
      process.off('warning', note);
    }
  });
});

describe('timeout', () => {
  test('F12 while the token is waited for', async () => {
    await expect(apiFetch({ timeout: 30 }, deaf)('/x')).rejects.toMatchObject(timedOut);
    expect(api.requests).toEqual([]);
  });

  test('F12 while the headers are waited for', async () => {
    api.answersEvery(hang());
    await expect(apiFetch({ timeout: 30 })('/x')).rejects.toMatchObject(timedOut);
    await eventually(() => api.openConnections === 0);
  });

  test('F12 while the next token is waited for: then it is over, too', async () => {
    api.answersEvery({ status: 401, body: 'x'.repeat(200_000) });
    const stuck: TokenSource = { getToken: (options) => (options?.rejected === undefined ? Promise.resolve(accessToken('a')) : new Promise(() => undefined)) };
    await expect(apiFetch({ timeout: 30 }, stuck)('/x')).rejects.toMatchObject(timedOut);
    await eventually(() => api.openConnections === 0);
  });

  test('F12 replay and redirects included', async () => {
    api.answersNext({ status: 302, headers: { location: '/to' } }, { status: 401 }, hang());
    await expect(apiFetch({ timeout: 200 })('/from')).rejects.toBeInstanceOf(OAuthError);
    expect(api.requests).toHaveLength(3);
  });

  test('F12 retries included: those that fit', async () => {
    api.answersNext({ status: 503 }, hang());
    await expect(apiFetch({ timeout: 200, retry: { minDelay: 0 } })('/x')).rejects.toMatchObject({ code: 'timeout' });
    expect(api.requests).toHaveLength(2);
  });

  test('F12 of a body that can be sent once', async () => {
    api.answersEvery(hang());
    await expect(apiFetch({ timeout: 100 })(new Request(`${api.origin}/x`, { method: 'POST', body: 'x' }))).rejects.toMatchObject({ code: 'timeout' });
    await expect(apiFetch({ timeout: 100 })('/x', { method: 'POST', body: new Blob(['x']).stream(), duplex: 'half' })).rejects.toMatchObject({ code: 'timeout' });
  });

  test('F12 until the headers are there: a body may take as long as it likes', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const rest = deferred();
    api.answersNext({ async perform({ response }) {
      response.writeHead(200).write('beginning ');
      await rest.promise;
      response.end('end');
    } });
    const response = await apiFetch({ timeout: 1_000 })('/x');
    await vi.advanceTimersByTimeAsync(10_000);
    vi.useRealTimers();
    rest.resolve();
    expect(await response.text()).toBe('beginning end');
  });

  test('F12 the caller\'s abort and the timeout: whichever is first', async () => {
    api.answersEvery(hang());
    const controller = new AbortController();
    const call = apiFetch({ timeout: 60_000 })('/x', { signal: controller.signal });
    await eventually(() => api.requests.length === 1);
    controller.abort('first');
    await expect(call).rejects.toBe('first');
    await expect(apiFetch({ timeout: 30 })('/x', { signal: new AbortController().signal })).rejects.toMatchObject(timedOut);
  });

  test('F12 none by default', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const answer = deferred<Response>();
    const call = apiFetch({ fetch: () => answer.promise })('/x');
    await vi.advanceTimersByTimeAsync(24 * 3_600_000);
    answer.resolve(new Response('late'));
    expect(await (await call).text()).toBe('late');
    expect(vi.getTimerCount()).toBe(0);
  });

  test('F12 a timeout longer than timers take does not fire at once', async () => {
    expect((await apiFetch({ timeout: 2 ** 40 })('/x')).status).toBe(200);
  });

  test('F12 no timer is left behind, however the call ends', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
    const ended = apiFetch({ timeout: 1_000, fetch: () => Promise.resolve(new Response('ok')) });
    await ended('/x');
    await expect(apiFetch({ timeout: 1_000, fetch: () => Promise.reject(new RangeError()) })('/x')).rejects.toThrow(RangeError);
    await expect(ended('https://elsewhere.example')).rejects.toMatchObject({ code: 'origin_not_allowed' });
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('the process', () => {
  const preamble = `
    import { createFetch } from 'grantkeeper';
    const source = { getToken: () => Promise.resolve({ value: 't', type: 'Bearer' as const, parameters: {} }) };
    const fetching = createFetch(source, { baseUrl: process.argv[2] ?? '', allowInsecureRequests: true, timeout: 60_000 });
  `;

  test('F12 ends when its work is done: no timer, no agent keeps it', async () => {
    const result = await runProgram(`${preamble}
      await (await fetching('/x')).text();
      process.stdout.write('done');
    `, { args: [api.origin] });
    expect(result).toMatchObject({ code: 0, stdout: 'done', stderr: '', timedOut: false });
  });

  test('F12 a signal inside the init survives garbage collection', async () => {
    api.answersEvery(hang());
    const result = await runProgram(`${preamble}
      const controller = new AbortController();
      const bare = createFetch(source, { baseUrl: process.argv[2] ?? '', allowInsecureRequests: true });
      const calls = [fetching, bare].map((f) => f('/x', { signal: controller.signal }).catch((reason: unknown) => String(reason)));
      setTimeout(() => { (globalThis as { gc?: () => void }).gc?.(); }, 100);
      setTimeout(() => { controller.abort('enough'); }, 200);
      process.stdout.write((await Promise.all(calls)).join());
      process.exit();
    `, { args: [api.origin], nodeArgs: ['--expose-gc'] });
    expect(result).toMatchObject({ code: 0, stdout: 'enough,enough', stderr: '' });
  });

  test('F12 is never ended by a rejection that nobody was meant to see', async () => {
    api.answersEvery({ status: 401 });
    const result = await runProgram(`
      import { createFetch } from 'grantkeeper';
      const origin = process.argv[2] ?? '';
      const token = { value: 't', type: 'Bearer' as const, parameters: {} };
      const failing = { getToken: (options?: { rejected?: unknown }) => options?.rejected === undefined ? Promise.resolve(token) : Promise.reject(new Error('late')) };
      const options = { baseUrl: origin, allowInsecureRequests: true, retry: false as const };
      const oneShot = () => ({ method: 'POST', body: new Blob(['x']).stream(), duplex: 'half' as const });
      await createFetch(failing, { ...options, replay: false })('/x');
      await createFetch(failing, options)('/x', oneShot());
      await createFetch(failing, options)('/x');
      const controller = new AbortController();
      const slow = { getToken: () => new Promise<never>((_, reject) => { setTimeout(() => { reject(new Error('later')); }, 50); }) };
      const call = createFetch(slow, { ...options, timeout: 60_000 })('/x', { signal: controller.signal });
      controller.abort(new Error('mine'));
      await call.catch(() => undefined);
      await createFetch(slow, { ...options, timeout: 10 })('/x', oneShot()).catch(() => undefined);
      await new Promise((resolve) => { setTimeout(resolve, 200); });
      process.stdout.write('alive');
      process.exit();
    `, { args: [api.origin] });
    expect(result).toMatchObject({ code: 0, stdout: 'alive', stderr: '' });
  });
});
