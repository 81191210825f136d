import { createHmac } from 'node:crypto';
import type { Dialect, DialectContext, OAuthError } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Answer } from './support/answers.js';
import { textsOf } from './support/canary.js';
import { failureOf } from './support/failure.js';
import { begin, peculiarManager, startEndpoint, type ScriptedEndpoint } from './support/peculiar-session.js';

const HOUR = 3_600_000;
const CANARY = 'canary-93ab';

let server: ScriptedEndpoint;

beforeEach(async () => {
  server = await startEndpoint();
});

afterEach(async () => {
  await server.close();
});

type Prepare = NonNullable<Dialect['prepareTokenRequest']>;
type Parse = NonNullable<Dialect['parseTokenResponse']>;

describe('P9 prepareTokenRequest', () => {
  test('P9 has the last word: a signature over what goes out', async () => {
    const { tokens } = peculiarManager(server, {
      tokenRequest: { format: 'json', names: { client_id: 'app_id' }, headers: { 'x-version': '2' } },
      prepareTokenRequest: (request) => {
        expect(request.headers.get('x-version')).toBe('2');
        request.headers.set('x-signature', createHmac('sha256', 'key').update(`${request.method} ${request.url.pathname} ${request.body ?? ''}`).digest('hex'));
      },
    });
    await tokens.clientCredentials({ scope: 'a' }).getToken();
    const [asked] = server.asked;
    const { method, path, body, headers } = asked ?? expect.unreachable('nothing was asked');
    expect(JSON.parse(body)).toEqual({ grant_type: 'client_credentials', scope: 'a' });
    expect(headers['x-signature']).toBe(createHmac('sha256', 'key').update(`${method} ${path} ${body}`).digest('hex'));
  });

  test('P9 may change all of it, and take its time', async () => {
    const { tokens } = peculiarManager(server, {
      prepareTokenRequest: async (request) => {
        await Promise.resolve();
        request.url = new URL('/elsewhere?x=1', request.url);
        request.method = 'PUT';
        request.headers = new Headers({ 'content-type': 'text/plain' });
        request.body = 'all new';
      },
    });
    await tokens.clientCredentials().getToken();
    expect(server.asked[0]).toMatchObject({ method: 'PUT', url: '/elsewhere?x=1', body: 'all new', headers: { 'content-type': 'text/plain' } });
    expect(server.asked[0]?.headers).not.toHaveProperty('authorization');
  });

  test('P9 is told the grant, what was kept, the token before, and the time', async () => {
    const told: Omit<DialectContext, 'fetch' | 'clock'>[] = [];
    const { tokens, clock } = peculiarManager(server, {
      authorizationResponse: { keep: ['realm'] }, exchangeRequest: {},
      prepareTokenRequest: (_request, { fetch, clock: theirs, ...context }) => {
        expect([typeof fetch, theirs.now()]).toEqual(['function', clock.now()]);
        told.push(context);
      },
    });
    const session = await begin(tokens, { realm: 'eu' });
    clock.advance(HOUR);
    await session.getToken();
    await tokens.clientCredentials().getToken();
    expect(told).toEqual([
      { grant: 'authorization_code', kept: { realm: 'eu' } },
      { grant: 'exchange', kept: { realm: 'eu' }, previous: { accessToken: 'at-1' } },
      { grant: 'refresh_token', kept: { realm: 'eu' }, previous: { accessToken: 'at-2' } },
      { grant: 'client_credentials', kept: {} },
    ]);
  });

  test('P9 what it does to what it\'s told stays there', async () => {
    const { tokens, clock } = peculiarManager(server, {
      authorizationResponse: { keep: ['realm'] }, refreshRequest: { parameters: { realm: '{realm}' } },
      prepareTokenRequest: (_request, { kept }) => { Object.assign(kept, { realm: 'another' }); },
    });
    const session = await begin(tokens, { realm: 'eu' });
    clock.advance(HOUR);
    expect(await session.getToken()).toMatchObject({ parameters: { realm: 'eu' } });
    expect(server.asked.at(-1)?.parameters.get('realm')).toBe('eu');
  });

  test('P9 its fetch is the manager\'s: what it asks for is there before the request, redirects are not followed, and answers are capped', async () => {
    const statuses: (number | string)[] = [];
    server.answers = ({ path }) => ({ '/nonce': { body: 'nonce-1' }, '/away': { status: 302, headers: { location: '/nonce' } }, '/large': { body: 'x'.repeat(2 * 1024 * 1024) } })[path] ?? { json: { access_token: 'at-1', token_type: 'Bearer' } };
    const { tokens } = peculiarManager(server, {
      prepareTokenRequest: async ({ url, headers }, { fetch }) => {
        headers.set('x-nonce', await (await fetch(new URL('/nonce', url))).text());
        statuses.push((await fetch(new Request(new URL('/away', url)))).status, await fetch(new URL('/large', url)).then(({ status }) => status, (thrown: unknown) => (thrown as OAuthError).code));
      },
    });
    await tokens.clientCredentials().getToken();
    expect(server.asked.map(({ path }) => path)).toEqual(['/nonce', '/away', '/large', '/token']);
    expect(server.asked.at(-1)?.headers['x-nonce']).toBe('nonce-1');
    expect(statuses).toEqual([302, 'invalid_response']);
  });

  const bad: [string, Prepare, string, RegExp][] = [
    ['throws', () => { throw new TypeError(CANARY); }, 'invalid_response', /^dialect\.prepareTokenRequest threw TypeError$/],
    ['throws no error', () => { throw CANARY as unknown as Error; }, 'invalid_response', /threw a string$/],
    ['rejects', async () => Promise.reject(new Error(CANARY)), 'invalid_response', /threw Error$/],
    ['hangs', async () => new Promise(() => undefined), 'timeout', /timeout/],
    ['leaves no URL', (request) => { Object.assign(request, { url: `https://${CANARY}` }); }, 'invalid_response', /must leave `url`/],
    ['leaves http', (request) => { request.url = new URL('http://login.example.com/token'); }, 'invalid_response', /must leave `url` an https URL/],
    ['leaves another scheme', (request) => { request.url = new URL('ftp://127.0.0.1/token'); }, 'invalid_response', /must leave `url`/],
    ['leaves user and password', (request) => { request.url.username = CANARY; }, 'invalid_response', /must leave/],
    ['leaves a body with GET', (request) => { request.method = 'GET'; }, 'invalid_response', /none with GET/],
    ['leaves no method', (request) => { request.method = 'a b'; }, 'invalid_response', /`method`/],
    ['leaves no headers', (request) => { Object.assign(request, { headers: {} }); }, 'invalid_response', /`headers`/],
    ['leaves a body that is no text', (request) => { Object.assign(request, { body: 17 }); }, 'invalid_response', /`body`/],
  ];

  test.each(bad)('P9 one that %s: an error without a secret; the refresh token was not sent, and the session lives', async (_case, prepare, code, message) => {
    let isBad = false;
    const { tokens, clock } = peculiarManager(server, { prepareTokenRequest: async (request, context) => (isBad ? prepare(request, context) : undefined) }, { timeout: 150 });
    const session = await begin(tokens);
    clock.advance(HOUR);
    isBad = true;
    for (let call = 0; call < 3; call += 1) {
      const failure = await failureOf(session.getToken());
      expect(failure).toMatchObject({ code, message: expect.stringMatching(message) as string });
      for (const text of textsOf(failure)) expect(text).not.toContain(CANARY);
      // Past the pause after a failure that may pass.
      clock.advance(HOUR);
    }
    expect(await failureOf(tokens.clientCredentials().getToken())).toMatchObject({ code });
    expect(server.asked).toHaveLength(1);
    isBad = false;
    expect(await session.getToken()).toHaveProperty('value', 'at-2');
    expect(server.asked.at(-1)?.parameters.get('refresh_token')).toBe('rt-1');
  });
});

describe('P9 parseTokenResponse', () => {
  test('P9 what it gives is kept as what a server could have sent: numbers of any size as text, and no functions', async () => {
    const { tokens } = peculiarManager(server, { parseTokenResponse: ({ body }) => ({ ...body as object, count: 10n, at: new Date(0), call: () => 1 }) });
    expect((await (await begin(tokens)).getToken()).parameters).toEqual({ count: '10', at: '1970-01-01T00:00:00.000Z' });
  });

  const cyclic: Record<string, unknown> = { access_token: CANARY };
  cyclic['itself'] = cyclic;

  test.each<[string, unknown]>([
    ['cyclic', cyclic],
    ['of another kind', Object.create({ access_token: CANARY })],
    ['one whose members throw', { get access_token() { throw new TypeError(CANARY); } }],
    ['one that says it\'s a text', { toJSON: () => CANARY }],
  ])('P9 an object that is %s is nonsense', async (_case, given) => {
    const failure = await failureOf(peculiarManager(server, { parseTokenResponse: () => given }).tokens.clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'invalid_response', message: expect.stringMatching(/^dialect\.parseTokenResponse must return an object/) as string });
    for (const text of textsOf(failure)) expect(text).not.toContain(CANARY);
  });

  test.each<[string, Answer, unknown]>([
    ['JSON', { json: { result: 'ok' } }, { result: 'ok' }],
    ['a list', { json: [1, 2] }, [1, 2]],
    ['text', { body: 'TOKEN at-1' }, 'TOKEN at-1'],
    ['an error', { status: 400, json: { fault: 'gone' } }, { fault: 'gone' }],
  ])('P9 is given the answer as it came: %s', async (_case, answer, body) => {
    const given: unknown[] = [];
    const { tokens } = peculiarManager(server, { parseTokenResponse: (response, { grant }) => { given.push(response.body, response.status, grant, response.headers.get('x-own')); return { access_token: 'at-1', token_type: 'Bearer' }; } });
    server.answers = () => ({ ...answer, headers: { 'x-own': '1' } });
    await tokens.clientCredentials().getToken().catch(() => undefined);
    expect(given).toEqual([body, (answer as { status?: number }).status ?? 200, 'client_credentials', '1']);
  });

  test('P9 what it gives is read by tokenResponse, and errors are understood', async () => {
    const { tokens, clock } = peculiarManager(server, {
      tokenResponse: { at: 'data', lifetimeUnit: 'milliseconds', errors: { gone: 'invalid_grant' } },
      parseTokenResponse: async ({ body }) => Promise.resolve({ ...(String(body).startsWith('ERR') ? { error: String(body).slice(4) } : { data: { access_token: String(body), token_type: 'Bearer', expires_in: 60_000, refresh_token: 'rt-1' } }) }),
    });
    server.answers = () => ({ body: 'at-1' });
    const session = await begin(tokens);
    expect(await session.getToken()).toMatchObject({ value: 'at-1', expiresAt: clock.now() + 60_000 });
    clock.advance(HOUR);
    server.answers = () => ({ body: 'ERR gone' });
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required' });
  });

  const bad: [string, Parse, string, RegExp][] = [
    ['throws', () => { throw new RangeError(CANARY); }, 'invalid_response', /^dialect\.parseTokenResponse threw RangeError$/],
    ['rejects', async () => Promise.reject(new Error(CANARY)), 'invalid_response', /threw Error$/],
    ['hangs', async () => new Promise(() => undefined), 'timeout', /timeout/],
    ['gives nothing', () => undefined, 'invalid_response', /must return an object/],
    ['gives a text', () => CANARY, 'invalid_response', /must return an object/],
    ['gives a list', () => [CANARY], 'invalid_response', /must return an object/],
    ['gives a map', () => new Map([['access_token', CANARY]]), 'invalid_response', /must return an object/],
    ['gives an object without a token', () => ({ message: CANARY }), 'invalid_response', /no access_token/],
    ['gives a token that is none', () => ({ access_token: 17, token_type: 'Bearer' }), 'invalid_response', /no access_token/],
  ];

  test.each(bad)('P9 one that %s: an error without a secret, and the session lives, however often', async (_case, parse, code, message) => {
    let isBad = false;
    const { tokens, clock } = peculiarManager(server, { parseTokenResponse: (response, context) => (isBad ? parse(response, context) : response.body) }, { timeout: 150 });
    const session = await begin(tokens);
    clock.advance(HOUR);
    isBad = true;
    for (let call = 0; call < 4; call += 1) {
      const failure = await failureOf(session.getToken());
      expect(failure).toMatchObject({ code, message: expect.stringMatching(message) as string });
      for (const text of textsOf(failure)) expect(text).not.toContain(CANARY);
      // Past the pause after a failure that may pass.
      clock.advance(HOUR);
    }
    isBad = false;
    expect(await session.getToken()).toMatchObject({ value: expect.stringMatching(/^at-\d$/) as string });
  });

  test('P9 an outage stays one, though the hook can\'t read its page', async () => {
    server.answers = () => ({ status: 503, body: '<html>' });
    const { tokens } = peculiarManager(server, { parseTokenResponse: ({ body }) => (body as { data: object }).data.valueOf() });
    expect(await failureOf(tokens.clientCredentials().getToken())).toMatchObject({ code: 'token_request_failed', status: 503, retryable: true });
  });
});
