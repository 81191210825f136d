import { Readable } from 'node:stream';
import { createFetch } from 'grantkeeper';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { reset } from './support/answers.js';
import { startApi, type Api } from './support/api-server.js';
import { eventually } from './support/eventually.js';
import { expectParity, type Fetch } from './support/parity.js';
import { accessToken } from './support/token-source.js';

let api: Api;
let ours: Fetch;

beforeAll(async () => {
  api = await startApi();
  ours = createFetch({ getToken: () => Promise.resolve(accessToken('t')) }, { baseUrl: api.origin, allowInsecureRequests: true, retry: false });
});

beforeEach(() => {
  api.answersEvery(({ method, url }) => ({ json: { method, url }, headers: { 'x-answer': 'yes' } }));
});

afterAll(async () => {
  await api.close();
});

type Case = [name: string, call: (fetch: Fetch, origin: string) => Promise<unknown>];

async function expectSame([, call]: Case, arrange: () => void = () => undefined): Promise<void> {
  const { seen, outcome } = await expectParity([api], { platform: () => call(fetch, api.origin), ours: () => call(ours, api.origin), arrange });
  // Two empty journals and two equal accidents would be equal too.
  expect(outcome).not.toMatchObject({ thrown: 'ReferenceError' });
  if ((seen[0] as unknown[]).length > 0) expect(api.lastRequest.headers.authorization).toBe('Bearer t');
}

class InheritedInit {
  readonly #body: string = 'inherited';
  readonly #method: string = 'PUT';

  get method(): string {
    return this.#method;
  }

  get headers(): Record<string, string> {
    return { 'x-inherited': 'yes' };
  }

  get body(): string {
    return this.#body;
  }
}

function form(): FormData {
  const data = new FormData();
  data.append('field', 'é\r\nvalue');
  data.append('file', new Blob(['content'], { type: 'text/x-test' }), 'a "b".txt');
  data.append('file', new File(['more'], 'named.bin'));
  return data;
}

function streamOf(...chunks: string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(Buffer.from(chunk));
      controller.close();
    },
  });
}

async function* chunksOf(...chunks: string[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield await Promise.resolve(Buffer.from(chunk));
}

/** What TypeScript keeps callers from, JavaScript doesn't. */
function unchecked(value: unknown): RequestInit {
  return value as RequestInit;
}

describe('inputs', () => {
  const cases: Case[] = [
    ['a string', (f, o) => f(`${o}/a?b=c&d=%20é`)],
    ['a string with a fragment', (f, o) => f(`${o}/a#part`)],
    ['a string with spaces around it', (f, o) => f(`  ${o}/a\n`)],
    ['a string with an upper-case scheme and dots', (f, o) => f(`${o.replace('http', 'HTTP')}/x/../a/./b`)],
    ['a URL', (f, o) => f(new URL('/a?b=c#d', o))],
    ['an object with toString', (f, o) => f({ toString: () => `${o}/text` } as unknown as string)],
    ['a Request', (f, o) => f(new Request(`${o}/r`, { headers: { 'x-own': '1' } }))],
    ['a Request with a string as its body', (f, o) => f(new Request(`${o}/r`, { method: 'POST', body: 'text' }))],
    ['a Request with a form as its body', (f, o) => f(new Request(`${o}/r`, { method: 'POST', body: form() }))],
    ['a Request with a stream as its body', (f, o) => f(new Request(`${o}/r`, { method: 'POST', body: streamOf('a', 'b'), duplex: 'half' }))],
    ['a clone of a Request with a body', (f, o) => f(new Request(`${o}/r`, { method: 'POST', body: 'text' }).clone())],
    ['a Request with an empty body', (f, o) => f(new Request(`${o}/r`, { method: 'POST', body: '' }))],
    ['a Request with a referrer', (f, o) => f(new Request(`${o}/r`, { referrer: `${o}/from`, referrerPolicy: 'unsafe-url' }))],
    ['a Request with a referrer policy', (f, o) => f(new Request(`${o}/r`, { referrer: `${o}/from`, referrerPolicy: 'origin' }))],
    ['a Request with cache, credentials, mode and keepalive', (f, o) => f(new Request(`${o}/r`, unchecked({ cache: 'no-store', credentials: 'omit', mode: 'no-cors', keepalive: true })))],
    ['init: method over a Request', (f, o) => f(new Request(`${o}/r`), { method: 'DELETE' })],
    ['init: headers over a Request', (f, o) => f(new Request(`${o}/r`, { headers: { 'x-a': '1', 'x-b': '2' } }), { headers: { 'x-a': '3' } })],
    ['init: headers over a Request with a body', (f, o) => f(new Request(`${o}/r`, { method: 'POST', body: 'text', headers: { 'x-a': '1' } }), { headers: { 'x-b': '2' } })],
    ['init: no headers over a Request', (f, o) => f(new Request(`${o}/r`, { headers: { 'x-a': '1' } }), { headers: {} })],
    ['init: a body over a Request without', (f, o) => f(new Request(`${o}/r`, { headers: { 'x-a': '1' } }), { method: 'POST', body: 'new' })],
    ['init: a body over a Request with one', (f, o) => f(new Request(`${o}/r`, { method: 'POST', body: form() }), { body: 'new' })],
    ['init: null as body over a Request with one', (f, o) => f(new Request(`${o}/r`, { method: 'POST', body: 'old' }), { body: null })],
    ['init: an empty one over a Request', (f, o) => f(new Request(`${o}/r`, { method: 'POST', body: 'old', referrer: `${o}/from`, referrerPolicy: 'unsafe-url' }), {})],
    ['init: a referrer over a Request', (f, o) => f(new Request(`${o}/r`, { referrer: `${o}/from` }), { referrer: `${o}/other`, referrerPolicy: 'unsafe-url' })],
  ];
  test.each(cases)('F1 %s', async (...each) => expectSame(each));

  test.each(['x', '/x', '../x', './x?q', '', '?q=1', '#f', '/x/../y', 'x y/é', '//HOST/x'])('F1 relative: %j resolves as the URL standard does', async (relative) => {
    const base = `${api.origin}/v1/items?old#old`;
    const input = relative.replace('HOST', new URL(api.origin).host);
    const based = createFetch({ getToken: () => Promise.resolve(accessToken('t')) }, { baseUrl: base, allowInsecureRequests: true });
    await expectParity([api], { platform: () => fetch(new URL(input, base)), ours: () => based(input) });
  });
});

describe('inits', () => {
  const cases: Case[] = [
    ['null', (f, o) => f(`${o}/a`, unchecked(null))],
    ['members that are undefined', (f, o) => f(`${o}/a`, unchecked({ method: undefined, headers: undefined, body: undefined, signal: undefined, redirect: undefined, dispatcher: undefined }))],
    ['members that are unknown', (f, o) => f(`${o}/a`, unchecked({ unknown: 1, method: 'PUT' }))],
    ['no prototype', (f, o) => f(`${o}/a`, unchecked(Object.assign(Object.create(null), { method: 'POST', body: 'x' })))],
    ['inherited members', (f, o) => f(`${o}/a`, unchecked(Object.create({ method: 'POST', body: 'x', headers: { 'x-a': '1' } })))],
    ['a class with getters', (f, o) => f(`${o}/a`, new InheritedInit())],
    ['a Request', (f, o) => f(`${o}/a`, new Request('http://elsewhere.example/b', { method: 'POST', headers: { 'x-a': '1' }, body: 'of the request' }))],
    ['a Request without a body', (f, o) => f(`${o}/a`, new Request('http://elsewhere.example/b', { method: 'DELETE', headers: { 'x-a': '1' } }))],
    ['a function', (f, o) => f(`${o}/a`, unchecked(Object.assign(() => undefined, { method: 'PUT', body: 'x' })))],
    ['headers as an object', (f, o) => f(`${o}/a`, { headers: { 'X-One': '1', 'x-two': ' padded ' } })],
    ['headers as pairs, one twice', (f, o) => f(`${o}/a`, { headers: [['X-One', '1'], ['x-one', '2'], ['cookie', 'a=1'], ['cookie', 'b=2']] })],
    ['headers as Headers', (f, o) => f(`${o}/a`, { headers: new Headers({ 'x-one': 'é' }) })],
    ['headers as a Map', (f, o) => f(`${o}/a`, unchecked({ headers: new Map([['x-one', '1']]) }))],
    ['headers that the platform would set', (f, o) => f(`${o}/a`, { headers: { 'user-agent': 'mine', 'accept': 'text/csv', 'accept-language': 'de', 'accept-encoding': 'identity' } })],
    ['referrer', (f, o) => f(`${o}/a`, { referrer: `${o}/from?q`, referrerPolicy: 'unsafe-url' })],
    ['referrer without a policy', (f, o) => f(`${o}/a`, { referrer: `${o}/from?q` })],
    ['referrer from elsewhere', (f, o) => f(`${o}/a`, { referrer: 'http://elsewhere.example/from?q' })],
    ['no referrer', (f, o) => f(`${o}/a`, { referrer: '' })],
    ['cache: no-store', (f, o) => f(`${o}/a`, unchecked({ cache: 'no-store' }))],
    ['cache: no-cache', (f, o) => f(`${o}/a`, unchecked({ cache: 'no-cache' }))],
    ['cache: reload', (f, o) => f(`${o}/a`, unchecked({ cache: 'reload' }))],
    ['cache: only-if-cached', (f, o) => f(`${o}/a`, unchecked({ cache: 'only-if-cached' }))],
    ['mode: no-cors', (f, o) => f(`${o}/a`, { mode: 'no-cors' })],
    ['mode: same-origin', (f, o) => f(`${o}/a`, { mode: 'same-origin' })],
    ['credentials', (f, o) => f(`${o}/a`, { credentials: 'include' })],
    ['keepalive', (f, o) => f(`${o}/a`, { method: 'POST', body: 'x', keepalive: true })],
    ['window: null', (f, o) => f(`${o}/a`, { window: null })],
    ['integrity that matches', (f, o) => f(`${o}/integrity`, { integrity: 'sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=' })],
    ['integrity that does not match', (f, o) => f(`${o}/integrity`, { integrity: 'sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=' })],
    ['integrity in a Request', (f, o) => f(new Request(`${o}/integrity`, { integrity: 'sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=' }))],
  ];
  test.each(cases)('F1 init: %s', async (...each) => {
    await expectSame(each, () => { api.answersEvery(({ path, url }) => path === '/integrity' ? { body: 'abc' } : { json: { url } }); });
  });

  test.each(['get', 'post', 'put', 'delete', 'head', 'options', 'patch', 'PATCH', 'Post', 'QUERY', 'PROPFIND', 'custom'])('F1 method %s', async (method) => {
    await expectSame(['', (f, o) => f(`${o}/a`, { method })]);
  });
});

describe('bodies', () => {
  const bytes = new Uint8Array([0, 1, 2, 253, 254, 255, 10, 13]);
  const cases: [name: string, body: () => unknown, extra?: RequestInit][] = [
    ['none', () => undefined],
    ['null', () => null],
    ['a string', () => 'text é €'],
    ['an empty string', () => ''],
    ['a Buffer', () => Buffer.from('buffer')],
    ['a Uint8Array over part of a buffer', () => bytes.subarray(2, 6)],
    ['an empty Uint8Array', () => new Uint8Array()],
    ['a Float64Array', () => new Float64Array([1.5, -2])],
    ['a DataView', () => new DataView(bytes.buffer, 1, 3)],
    ['an ArrayBuffer', () => bytes.slice().buffer],
    ['URLSearchParams', () => new URLSearchParams([['a', '1 2'], ['a', 'é']])],
    ['FormData', () => form()],
    ['an empty FormData', () => new FormData()],
    ['a Blob with a type', () => new Blob(['a', bytes], { type: 'image/x-test' })],
    ['a Blob without a type', () => new Blob(['a'])],
    ['a File', () => new File(['a'], 'a.txt', { type: 'text/plain' })],
    ['a number', () => 5],
    ['false', () => false],
    ['an object', () => ({ a: 1 })],
    ['an object with toString', () => ({ toString: () => 'from toString' })],
    ['a megabyte', () => 'x'.repeat(1024 * 1024)],
    ['a string with its own content type', () => '{}', { headers: { 'content-type': 'application/json' } }],
    ['FormData with a content type that does not fit', () => form(), { headers: { 'content-type': 'text/plain' } }],
    ['a string with its content length', () => 'four', { headers: { 'content-length': '4' } }],
    ['a ReadableStream', () => streamOf('a', 'b'), { duplex: 'half' }],
    ['an empty ReadableStream', () => streamOf(), { duplex: 'half' }],
    ['an async iterable', () => chunksOf('a', 'b'), { duplex: 'half' }],
    ['a Readable of Node', () => Readable.from([Buffer.from('a'), Buffer.from('b')]), { duplex: 'half' }],
    ['a stream of something else than bytes', () => new ReadableStream({ start(c) { c.enqueue('text'); c.close(); } }), { duplex: 'half' }],
    ['a stream that fails', () => new ReadableStream({ start(c) { c.error(new RangeError('broken source')); } }), { duplex: 'half' }],
    ['a locked stream', () => { const stream = streamOf('a'); stream.getReader(); return stream; }, { duplex: 'half' }],
  ];
  test.each(cases)('F1 body: %s', async (_name, body, extra) => {
    await expectSame(['', (f, o) => f(`${o}/a`, unchecked({ method: 'POST', body: body(), ...extra }))]);
  });

  test('F1 a DELETE with a body', async () => {
    await expectSame(['', (f, o) => f(`${o}/a`, { method: 'DELETE', body: 'which' })]);
  });

  test('F1 the body of a Request is used up, as the platform does', async () => {
    await expectSame(['', async (f, o) => {
      const request = new Request(`${o}/a`, { method: 'POST', body: 'x' });
      await f(request);
      return request.bodyUsed;
    }]);
    await expectSame(['', async (f, o) => {
      const request = new Request(`${o}/a`, { method: 'POST', body: 'x' });
      await f(request, { body: 'other' });
      return [request.bodyUsed, await request.text()];
    }]);
  });
});

describe('invalid calls', () => {
  const cases: Case[] = [
    ['a symbol as input', (f) => f(Symbol('x') as unknown as string)],
    ['a URL that cannot be parsed', (f) => f('http://[')],
    ['a port that is none', (f) => f('http://127.0.0.1:99999/')],
    ['credentials in the URL', (f, o) => f(`${o.replace('://', '://user:secret@')}/`)],
    ['credentials in the URL, with a body', (f, o) => f(`${o.replace('://', '://user@')}/`, { method: 'POST', body: 'x' })],
    ['GET with a body', (f, o) => f(`${o}/a`, { body: 'x' })],
    ['GET with an empty body', (f, o) => f(`${o}/a`, { body: '' })],
    ['HEAD with a body', (f, o) => f(`${o}/a`, { method: 'HEAD', body: 'x' })],
    ['GET over a Request with a body', (f, o) => f(new Request(`${o}/a`, { method: 'POST', body: 'x' }), { method: 'GET' })],
    ['a method with a space', (f, o) => f(`${o}/a`, { method: 'BAD METHOD' })],
    ['an empty method', (f, o) => f(`${o}/a`, { method: '' })],
    ['method CONNECT', (f, o) => f(`${o}/a`, { method: 'CONNECT' })],
    ['method TRACE', (f, o) => f(`${o}/a`, { method: 'trace' })],
    ['method null', (f, o) => f(`${o}/a`, unchecked({ method: null }))],
    ['method as a symbol', (f, o) => f(`${o}/a`, unchecked({ method: Symbol('x') }))],
    ['a header name with a space', (f, o) => f(`${o}/a`, { headers: { 'bad name': 'x' } })],
    ['a header value with a line break', (f, o) => f(`${o}/a`, { headers: { 'x-a': 'a\r\nb: c' } })],
    ['a header value out of range', (f, o) => f(`${o}/a`, { headers: { 'x-a': '€' } })],
    ['a header value with a NUL, and a body', (f, o) => f(`${o}/a`, { method: 'POST', body: 'x', headers: { 'x-a': '\0' } })],
    ['headers: null', (f, o) => f(`${o}/a`, unchecked({ headers: null }))],
    ['headers: a number', (f, o) => f(`${o}/a`, unchecked({ headers: 5 }))],
    ['headers: a string', (f, o) => f(`${o}/a`, unchecked({ headers: 'x-a: b' }))],
    ['headers: a pair of three', (f, o) => f(`${o}/a`, unchecked({ headers: [['a', 'b', 'c']] }))],
    ['headers: a number, with a body', (f, o) => f(`${o}/a`, unchecked({ method: 'POST', body: 'x', headers: 5 }))],
    ['init: a number', (f, o) => f(`${o}/a`, unchecked(5))],
    ['init: a string', (f, o) => f(`${o}/a`, unchecked('POST'))],
    ['init: a number, with a Request', (f, o) => f(new Request(`${o}/a`), unchecked(5))],
    ['signal: an object', (f, o) => f(`${o}/a`, unchecked({ signal: {} }))],
    ['signal: a string', (f, o) => f(`${o}/a`, unchecked({ signal: 'abort' }))],
    ['redirect unknown', (f, o) => f(`${o}/a`, unchecked({ redirect: 'maybe' }))],
    ['mode: navigate', (f, o) => f(`${o}/a`, { mode: 'navigate' })],
    ['mode unknown', (f, o) => f(`${o}/a`, unchecked({ mode: 'x' }))],
    ['cache unknown', (f, o) => f(`${o}/a`, unchecked({ cache: 'x' }))],
    ['credentials unknown', (f, o) => f(`${o}/a`, unchecked({ credentials: 'x' }))],
    ['referrer that is no URL', (f, o) => f(`${o}/a`, { referrer: 'http://[' })],
    ['referrer policy unknown', (f, o) => f(`${o}/a`, unchecked({ referrerPolicy: 'x' }))],
    ['window', (f, o) => f(`${o}/a`, unchecked({ window: 'x' }))],
    ['a stream without duplex', (f, o) => f(`${o}/a`, { method: 'POST', body: streamOf('a') })],
    ['duplex: full', (f, o) => f(`${o}/a`, unchecked({ method: 'POST', body: streamOf('a'), duplex: 'full' }))],
    ['keepalive with a stream', (f, o) => f(`${o}/a`, { method: 'POST', body: streamOf('a'), duplex: 'half', keepalive: true })],
    ['a symbol as body', (f, o) => f(`${o}/a`, unchecked({ method: 'POST', body: Symbol('x') }))],
    ['a Request that is used up', async (f, o) => {
      const request = new Request(`${o}/a`, { method: 'POST', body: 'x' });
      await request.text();
      return f(request);
    }],
    ['a stream that was read from', async (f, o) => {
      const stream = streamOf('a', 'b');
      const reader = stream.getReader();
      await reader.read();
      reader.releaseLock();
      return f(`${o}/a`, { method: 'POST', body: stream, duplex: 'half' });
    }],
    ['a member whose getter throws', (f, o) => f(`${o}/a`, { get method(): string { throw new RangeError('the getter'); } })],
  ];
  test.each(cases)('F1 invalid: %s', async (...each) => {
    await expectSame(each);
  });

  test('F1 a relative URL without a base fails as the platform does', async () => {
    const baseless = createFetch({ getToken: () => Promise.resolve(accessToken('t')) }, { origins: [api.origin], allowInsecureRequests: true });
    for (const input of ['/x', '', 'x', undefined as unknown as string]) {
      await expectParity([api], { platform: () => fetch(input), ours: () => baseless(input) });
    }
  });
});

describe('answers', () => {
  const cases: [name: string, answer: Parameters<Api['answersEvery']>[0], init?: RequestInit][] = [
    ['204', { status: 204 }],
    ['205', { status: 205 }],
    ['304', { status: 304, headers: { etag: '"x"' } }],
    ['300 with a Location', { status: 300, headers: { location: '/elsewhere' }, body: 'choose' }],
    ['304 with a Location', { status: 304, headers: { location: '/elsewhere' } }],
    ['201 with a Location', { status: 201, headers: { location: '/created' }, body: 'x' }],
    ['HEAD', { headers: { 'content-length': '1000' } }, { method: 'HEAD' }],
    ['404', { status: 404, body: 'no' }],
    ['403', { status: 403, body: 'no' }],
    ['500', { status: 500, body: 'broken' }],
    ['503', { status: 503, body: 'later', headers: { 'retry-after': '1' } }],
    ['an unknown status', { status: 799, body: '?' }],
    ['several cookies', { headers: { 'set-cookie': ['a=1', 'b=2'] }, body: 'x' }],
    ['an unknown content encoding', { headers: { 'content-encoding': 'x-unknown' }, body: 'x' }],
    ['a broken gzip body', { headers: { 'content-encoding': 'gzip' }, body: 'not gzip' }],
    ['a lost connection', reset()],
  ];
  test.each(cases)('F1 answer: %s', async (_name, answer, init) => {
    await expectSame(['', (f, o) => f(`${o}/a`, init)], () => { api.answersEvery(answer); });
  });

  test('F1 a server that is not there', async () => {
    const gone = await startApi();
    await gone.close();
    const to = createFetch({ getToken: () => Promise.resolve(accessToken('t')) }, { baseUrl: gone.origin, allowInsecureRequests: true, retry: false });
    const code = (f: Fetch) => f(gone.origin).catch((error: unknown) => {
      const { name, message, cause } = error as TypeError & { cause: { code: string } };
      return { name, message, code: cause.code };
    });
    expect(await code(to)).toEqual(await code(fetch));
  });
});

describe('aborts', () => {
  const reasons: [name: string, reason: unknown][] = [
    ['an error', new RangeError('enough')],
    ['a string', 'enough'],
    ['null', null],
    ['the default', undefined],
  ];

  /** What the caller gets, and whether it's the very reason. */
  const rejection = async (signal: AbortSignal, work: Promise<unknown>): Promise<unknown> =>
    work.then(() => 'nothing was thrown', (thrown: unknown) => ({ isReason: thrown === signal.reason, text: String(thrown) }));

  test.each(reasons)('F12 aborted before the call: %s', async (_name, reason) => {
    await expectSame(['', (f, o) => rejection(AbortSignal.abort(reason), f(`${o}/a`, { signal: AbortSignal.abort(reason) }))]);
    await expectSame(['', (f, o) => {
      const signal = AbortSignal.abort(reason);
      return rejection(signal, f(`${o}/a`, { signal }));
    }]);
    await expectSame(['', (f, o) => {
      const signal = AbortSignal.abort(reason);
      return rejection(signal, f(new Request(`${o}/a`, { signal })));
    }]);
  });

  test.each(reasons)('F12 aborted while the headers are awaited: %s', async (_name, reason) => {
    for (const inRequest of [false, true]) {
      await expectSame(['', async (f, o) => {
        const hold = api.hold();
        const controller = new AbortController();
        const { signal } = controller;
        const call = inRequest ? f(new Request(`${o}/a`, { signal })) : f(`${o}/a`, { signal });
        await hold.arrived;
        if (reason === undefined) controller.abort();
        else controller.abort(reason);
        return rejection(signal, call);
      }]);
    }
  });

  test.each(reasons)('F12 aborted while the body is read: %s', async (_name, reason) => {
    for (const inRequest of [false, true]) {
      await expectSame(['', async (f, o) => {
        api.answersNext({ perform: ({ response }) => { response.writeHead(200).write('beginning'); } });
        const controller = new AbortController();
        const { signal } = controller;
        const response = await (inRequest ? f(new Request(`${o}/a`, { signal })) : f(`${o}/a`, { signal }));
        const reading = response.text();
        if (reason === undefined) controller.abort();
        else controller.abort(reason);
        return [response.status, await rejection(signal, reading)];
      }]);
    }
  });

  test('F12 aborted after everything was read: nothing happens', async () => {
    await expectSame(['', async (f, o) => {
      const controller = new AbortController();
      const response = await f(`${o}/a`, { signal: controller.signal });
      const text = await response.text();
      controller.abort();
      return text;
    }]);
  });

  test('F12 a signal of the init goes before that of a Request; null takes it away', async () => {
    await expectSame(['', (f, o) => f(new Request(`${o}/a`, { signal: AbortSignal.abort() }), { signal: new AbortController().signal })]);
    await expectSame(['', (f, o) => f(new Request(`${o}/a`, { signal: AbortSignal.abort() }), { signal: null })]);
    await expectSame(['', (f, o) => f(new Request(`${o}/a`), { signal: AbortSignal.abort('init') })]);
  });

  test.each(['before', 'during'])('F12 the stream that is being sent is cancelled with the reason: aborted %s the call', async (when) => {
    await expectSame(['', async (f, o) => {
      const cancelled: unknown[] = [];
      const body = new ReadableStream({ start: (c) => { c.enqueue(Buffer.from('beginning')); }, cancel: (reason) => { cancelled.push(reason); } });
      const controller = new AbortController();
      if (when === 'before') controller.abort('enough');
      const call = f(`${o}/a`, { method: 'POST', body, duplex: 'half', signal: controller.signal });
      call.catch(() => undefined);
      if (when === 'during') {
        await eventually(() => api.requests.length === 1);
        controller.abort('enough');
      }
      const outcome = await rejection(controller.signal, call);
      await new Promise((resolve) => { setImmediate(resolve); });
      return [outcome, cancelled];
    }]);
  });
});
