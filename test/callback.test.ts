import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { failureOf } from './support/failure.js';
import { loginUnderWay, type LoginUnderWay } from './support/login-under-way.js';
import type { MachineClient } from './support/machine-client.js';
import { MapStore } from './support/map-store.js';
import { submitLogin } from './support/user-agent.js';
import { REDIRECT_URI, webClient } from './support/web-client.js';

let server: AuthorizationServer;
let client: MachineClient;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(async () => {
  await server.close();
});

beforeEach(() => {
  client = webClient(server);
  server.tokenRequests.length = 0;
});

/** Refused, and nothing sent: the right callback completes the login afterwards. */
async function expectRefused(login: LoginUnderWay, callback: unknown): Promise<void> {
  const before = server.tokenRequests.length;
  const failure = await failureOf(client.tokens.completeLogin(callback as string, login.transaction));
  expect(failure).toMatchObject({ code: 'invalid_callback', retryable: false });
  expect(server.tokenRequests).toHaveLength(before);
  expect(await client.tokens.completeLogin(login.callback, login.transaction)).toHaveProperty('session');
}

const post = (callback: string, init: RequestInit = {}): Request => {
  const { origin, pathname, searchParams } = new URL(callback);
  return new Request(origin + pathname, { method: 'POST', body: searchParams, ...init });
};

describe('a callback comes', () => {
  test.each<[string, (callback: string) => string | URL | Request]>([
    ['as an absolute address', (callback) => callback],
    ['as a relative one, as `req.url` is', (callback) => callback.slice(new URL(callback).origin.length)],
    ['as a query alone', (callback) => new URL(callback).search],
    ['as a URL', (callback) => new URL(callback)],
    ['as a Request', (callback) => new Request(callback)],
    ['as a Request with HEAD, as some link checkers send first', (callback) => new Request(callback, { method: 'HEAD' })],
    ['with a fragment, as some servers append', (callback) => `${callback}#_=_`],
    ['with parameters of others in it', (callback) => `${callback}&session_state=a&utm_source=b&utm_source=c&error=&error_description=`],
    ['at an inner address behind a proxy', (callback) => callback.replace(new URL(callback).origin, 'http://10.0.0.7:8080')],
    ['at a path that begins with two slashes', (callback) => `//callback${new URL(callback).search}`],
    ['as a form that was posted', post],
    ['as a form with a charset', (callback) => post(callback, { body: new URL(callback).search.slice(1), headers: { 'content-type': 'Application/X-WWW-Form-Urlencoded; charset=UTF-8' } })],
    ['as a form that was posted to an address with a query of its own', (callback) => new Request(`${REDIRECT_URI}?state=other&code=other`, { method: 'POST', body: new URL(callback).searchParams })],
    ['as a POST without a form: then the address counts', (callback) => new Request(callback, { method: 'POST', body: '{"code":"other"}', headers: { 'content-type': 'application/json' } })],
  ])('A10 %s: the session is the user\'s, and the redirect_uri the one that was registered', async (_case, shape) => {
    const { callback, transaction } = await loginUnderWay(client);
    const { session } = await client.tokens.completeLogin(shape(callback), transaction);
    expect(await session.info()).toMatchObject({ id: session.id, claims: { sub: 'user-1' }, scope: 'openid offline_access', createdAt: client.clock.now() });
    expect(server.lastTokenRequest.parameters.get('redirect_uri')).toBe(REDIRECT_URI);
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('as a form, if the authorization server was asked for one', async () => {
    const { url, transaction } = await client.tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'openid', parameters: { response_mode: 'form_post' } });
    const { session } = await client.tokens.completeLogin(await submitLogin(url), transaction);
    expect((await session.getToken()).value).toBe(server.issuedTokens.at(-1));
  });

  test('A4 again as a Request whose body was read before: nothing is spent', async () => {
    const login = await loginUnderWay(client);
    const read = post(login.callback);
    await read.text();
    await expectRefused(login, read);
  });

  test('A4 as a form larger than 1 MiB, the right members in it: nothing is spent', async () => {
    const login = await loginUnderWay(client);
    const { searchParams } = new URL(login.callback);
    searchParams.append('padding', 'x'.repeat(1024 * 1024));
    await expectRefused(login, new Request(REDIRECT_URI, { method: 'POST', body: searchParams }));
  });

  test('as a form that never ends: the deadline does, and nothing is spent', async () => {
    const shared = { clock: client.clock, store: new MapStore(), encryptionKeys: [randomBytes(32).toString('hex')] };
    const hasty = webClient(server, { ...shared, timeout: 100 });
    const login = await loginUnderWay(hasty);
    const endless = post(login.callback, { body: new ReadableStream(), duplex: 'half', headers: { 'content-type': 'application/x-www-form-urlencoded' } });
    expect(await failureOf(hasty.tokens.completeLogin(endless, login.transaction))).toMatchObject({ code: 'timeout', retryable: true });
    expect(await webClient(server, shared).tokens.completeLogin(login.callback, login.transaction)).toHaveProperty('session');
  });
});

describe('A2 a callback of no login, another one, or somebody\'s making', () => {
  test.each<[string, Parameters<LoginUnderWay['callbackWith']>[0]]>([
    ['no state', { state: undefined }],
    ['an empty state', { state: '' }],
    ['a wrong state of the same length', { state: 'A'.repeat(43) }],
    ['two codes', { code: ['code-1', 'code-2'] }],
    ['one code twice', { code: ['code-1', 'code-1'] }],
    ['no code', { code: undefined }],
    ['an empty code', { code: '' }],
    ['a code and two errors', { error: ['access_denied', 'server_error'] }],
    ['an issuer twice', { iss: ['https://login.example.com', 'https://login.example.com'] }],
    ['PHP\'s way to write a list', { 'state': undefined, 'state[]': 'A'.repeat(43), 'code[]': 'code-1' }],
    ['a name in capitals', { state: undefined, STATE: 'A'.repeat(43) }],
    ['a megabyte of state', { state: 'A'.repeat(1_000_000) }],
  ])('A2 %s', async (_case, change) => {
    const login = await loginUnderWay(client);
    await expectRefused(login, login.callbackWith(change));
  });

  test.each<[string, (state: string) => string | string[]]>([
    ['cut off', (state) => state.slice(0, -1)],
    ['longer', (state) => `${state}A`],
    ['with a space after it', (state) => `${state} `],
    ['in other letters', (state) => state.toUpperCase()],
    ['with one other letter at its end', (state) => state.slice(0, -1) + (state.endsWith('A') ? 'Q' : 'A')],
    ['twice, right both times', (state) => [state, state]],
    ['twice, wrong the second time', (state) => [state, 'A'.repeat(43)]],
  ])('A2 a state %s', async (_case, change) => {
    const login = await loginUnderWay(client);
    await expectRefused(login, login.callbackWith({ state: change(login.state) }));
  });

  test('A2 the state of another browser, whose code an attacker has put into this one', async () => {
    const attacker = await loginUnderWay(client);
    const victim = await loginUnderWay(client);
    await expectRefused(victim, attacker.callback);
    await expectRefused(attacker, victim.callback);
  });

  test('A2 the same in a form', async () => {
    const [one, other] = [await loginUnderWay(client), await loginUnderWay(client)];
    await expectRefused(one, post(other.callback));
    await expectRefused(other, post(other.callbackWith({ state: [other.state, other.state] })));
  });

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a number', 5],
    ['NaN', Number.NaN],
    ['a symbol', Symbol('callback')],
    ['a function', () => 'code'],
    ['an object', {}],
    ['an object without a prototype', Object.create(null)],
    ['an object that throws when it\'s looked at', new Proxy({}, { get: () => { throw new Error('no'); } })],
    ['parameters without an address', new URLSearchParams({ code: 'code-1', state: 'A'.repeat(43) })],
    ['a list', [REDIRECT_URI]],
    ['what Node\'s server gives as its request', { url: '/callback?code=code-1', method: 'GET', headers: {} }],
    ['a request with headers that aren\'t any', { url: '/callback', method: 'POST', headers: { get: () => 5 }, text: () => 5 }],
    ['a request with a body that isn\'t any', { url: '/callback', method: 'POST', headers: { get: () => 'application/x-www-form-urlencoded' }, text: () => Symbol('body') }],
    ['a request with a broken body', { url: '/callback', method: 'POST', headers: { get: () => 'application/x-www-form-urlencoded' }, text: () => Promise.reject(new Error('no')) }],
    ['a request with an address that isn\'t any', { url: 'http://[', method: 'GET', headers: { get: () => null }, text: () => '' }],
    ['an empty string', ''],
    ['an address that can\'t be read', 'http://['],
    ['an address without a query', REDIRECT_URI],
    ['an address that is all query', '???'],
    ['encoded nonsense', `${REDIRECT_URI}?%E0%A4%A=%&%00=%ff&=&&==&state=%80&code=%c0%af`],
    ['a megabyte', `${REDIRECT_URI}?${'a'.repeat(1_000_000)}`],
    ['a megabyte of parameters', `?${'a&'.repeat(500_000)}`],
    ['a script', 'javascript:alert(1)'],
    ['a lone surrogate', '/callback?state=\ud800'],
  ])('A2 %s', async (_case, callback) => {
    await expectRefused(await loginUnderWay(client), callback);
  });
});

describe('A2 whatever comes', () => {
  const parameter = fc.tuple(
    fc.oneof(fc.constantFrom('state', 'code', 'iss', 'error', 'error_description', 'State', 'state[]'), fc.string()),
    fc.oneof(fc.constantFrom('RIGHT STATE', 'RIGHT ISSUER', 'code-1', ''), fc.string(), fc.string({ unit: 'binary' })),
  );

  test('A2 of parameters: only one right state, the right issuer and one code make a token request; all else is an error of ours', async () => {
    const login = await loginUnderWay(client);
    const meant = new Map([['RIGHT STATE', login.state], ['RIGHT ISSUER', server.issuer]]);
    await fc.assert(fc.asyncProperty(fc.array(parameter, { maxLength: 8 }), fc.boolean(), async (list, posted) => {
      const parameters = new URLSearchParams(list.map(([name, value]): [string, string] => [name, meant.get(value) ?? value]));
      const one = (name: string): string | undefined => (parameters.getAll(name).length === 1 ? parameters.get(name) ?? undefined : undefined);
      const isRight = one('state') === login.state && one('iss') === server.issuer && parameters.getAll('code').length < 2 && parameters.getAll('error').length < 2;
      fc.pre(!(isRight && (parameters.get('error') ?? '') === '' && (parameters.get('code') ?? '') !== ''));
      const callback = posted ? new Request(REDIRECT_URI, { method: 'POST', body: parameters }) : `/callback?${parameters.toString()}`;
      const failure = await failureOf(client.tokens.completeLogin(callback, login.transaction));
      expect(failure.code).toBe(isRight && (parameters.get('error') ?? '') !== '' ? 'authorization_failed' : 'invalid_callback');
    }), { numRuns: 300 });
    expect(server.tokenRequests).toHaveLength(0);
    expect(await client.tokens.completeLogin(login.callback, login.transaction)).toHaveProperty('session');
  });

  test('A2 of texts', async () => {
    const login = await loginUnderWay(client);
    const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.webUrl({ withQueryParameters: true, withFragments: true }), fc.webPath(), fc.json());
    await fc.assert(fc.asyncProperty(text, async (callback) => {
      expect((await failureOf(client.tokens.completeLogin(callback, login.transaction))).code).toBe('invalid_callback');
    }), { numRuns: 300 });
    await expectRefused(login, '/callback');
  });

  test('A2 of values', async () => {
    const login = await loginUnderWay(client);
    await fc.assert(fc.asyncProperty(fc.anything(), async (callback) => {
      expect((await failureOf(client.tokens.completeLogin(callback as string, login.transaction))).code).toBe('invalid_callback');
    }), { numRuns: 200 });
    await expectRefused(login, '/callback');
  });
});

test('A2 a form that never ends is not read to its end', async () => {
  const { transaction } = await client.tokens.startLogin({ redirectUri: REDIRECT_URI });
  let sent = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 1;
      controller.enqueue(new Uint8Array(64 * 1024).fill(0x61));
    },
  });
  const form = new Request(REDIRECT_URI, { method: 'POST', body: endless, duplex: 'half', headers: { 'content-type': 'application/x-www-form-urlencoded' } });
  expect(await failureOf(client.tokens.completeLogin(form, transaction))).toMatchObject({ code: 'invalid_callback' });
  expect(sent).toBeLessThan(40);
  expect(server.tokenRequests).toEqual([]);
});
