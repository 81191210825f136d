import { inspect } from 'node:util';
import { clientSecretBasic, clientSecretPost, createFetch, none, type LoginOptions } from 'grantkeeper';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { inProcessLock } from '../src/cache/in-process-lock.js';
import { drip, gzipBomb, hang, oversize, redirectTo, type Answer } from './support/answers.js';
import { startApi } from './support/api-server.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { eventually } from './support/eventually.js';
import { failureOf } from './support/failure.js';
import { loginUnderWay } from './support/login-under-way.js';
import { CLIENT_SECRET, type MachineClient, type MachineClientOptions } from './support/machine-client.js';
import { signIn, webClient, type SignedIn } from './support/web-client.js';

const HOUR = 3_600_000;
const MEBIBYTE = 1024 * 1024;
const CANARY = 'canary-4d1f';

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
  server.revocations.length = 0;
});

afterEach(() => {
  server.answersAsUsual();
});

/** A login whose token answer has these members instead of its own. */
async function signInWith(members: Record<string, unknown>, options: Partial<LoginOptions> = { scope: 'read offline_access' }): Promise<SignedIn> {
  server.nextTokenAnswerWith(members);
  return signIn(client, options);
}

/** The tokens that the server issued last, as they're revoked. */
function expectRevoked(...hints: ('refresh_token' | 'access_token')[]): void {
  const { accessToken, refreshToken } = server.issued.at(-1) ?? {};
  const issued = { refresh_token: refreshToken, access_token: accessToken };
  expect(server.revocations).toHaveLength(hints.length);
  expect(server.revocations).toEqual(expect.arrayContaining(hints.map((hint) => ({ token: issued[hint], hint }))));
}

describe('the token of a login', () => {
  test.each(['Bearer', 'bearer', 'BEARER'])('L6 %s is accepted, and sent as Bearer', async (tokenType) => {
    await using api = await startApi();
    const { session } = await signInWith({ token_type: tokenType });
    const { value, type } = await session.getToken();
    expect(type).toBe('Bearer');
    await createFetch(session, { baseUrl: api.origin, allowInsecureRequests: true })('/');
    expect(api.lastRequest.headers.authorization).toBe(`Bearer ${value}`);
  });

  test.each([
    ['mac', 'mac'],
    ['dpop where no key is configured', 'dpop'],
    ['an empty one', ''],
    ['a list', ['Bearer']],
    ['none', undefined],
  ])('L6 of the type %s is refused, and what came is revoked', async (_case, tokenType) => {
    expect(await failureOf(signInWith({ token_type: tokenType }))).toMatchObject({ code: 'invalid_response', status: 200, retryable: false });
    expectRevoked('refresh_token', 'access_token');
    expect(server.grants.at(-1)?.alive).toBe(false);
  });

  test.each<[string, unknown]>([
    ['with CR and LF', `${CANARY}\r\nX-Evil: 1`],
    ['that is a number', 4711],
    ['that is an object', { value: CANARY }],
    ['that is empty', ''],
    ['that is missing', undefined],
  ])('L7 one %s is refused, its text nowhere in the error, and the refresh token is revoked', async (_case, accessToken) => {
    const failure = await failureOf(signInWith({ access_token: accessToken }));
    expect(failure).toMatchObject({ code: 'invalid_response', status: 200 });
    expect(inspect(failure, { depth: 20, showHidden: true })).not.toContain(CANARY);
    expect(server.revocations).toContainEqual({ token: server.issued.at(-1)?.refreshToken, hint: 'refresh_token' });
    expect(server.grants.at(-1)?.alive).toBe(false);
  });

  test('L7 a token of 16 kB works', async () => {
    const large = 'x'.repeat(16 * 1024);
    expect((await (await signInWith({ access_token: large })).session.getToken()).value).toBe(large);
  });

  test.each<[string, unknown, number | undefined]>([
    ['a text', '3600', 3_600_000],
    ['h:mm:ss', '1:00:00', 3_600_000],
    ['a fraction', 3599.9, 3_599_000],
    ['nonsense', '3600abc', undefined],
    ['none', undefined, undefined],
  ])('L1 a lifetime that is %s', async (_case, expiresIn, lifetime) => {
    const { session } = await signInWith({ expires_in: expiresIn });
    const token = await session.getToken();
    expect(token.expiresAt).toBe(lifetime === undefined ? undefined : client.clock.now() + lifetime);
    expect(token.value).toBe(server.issued.at(-1)?.accessToken);
  });

  test.each([0, -1])('L1 a lifetime of %i: the first call refreshes', async (expiresIn) => {
    const { session } = await signInWith({ expires_in: expiresIn });
    expect((await session.getToken()).value).toBe(server.issued.at(-1)?.accessToken);
    expect(server.tokenRequests.map(({ parameters }) => parameters.get('grant_type'))).toEqual(['authorization_code', 'refresh_token']);
  });

  test('L9 further members are in its parameters, at every refresh; tokens are not', async () => {
    const { session } = await signInWith({ instance_url: 'https://eu1.example.com', copy: 'at-copy', nested: { code: 'kept' } });
    expect((await session.getToken()).parameters).toEqual({ instance_url: 'https://eu1.example.com', copy: 'at-copy', nested: { code: 'kept' } });
    client.clock.advance(HOUR);
    expect((await session.getToken()).parameters).toMatchObject({ instance_url: 'https://eu1.example.com' });
  });

  test('L9 an answer that repeats its code, verifier or tokens elsewhere keeps none of them', async () => {
    server.answersNext(({ parameters }) => ({
      json: { access_token: CANARY, token_type: 'Bearer', refresh_token: 'rt-canary-1', echo: Object.fromEntries(parameters), list: ['rt-canary-1', CANARY, 'kept'] },
    }));
    const { session } = await signIn(client, { scope: 'read' });
    const { parameters } = await session.getToken();
    expect(parameters).toMatchObject({ list: ['kept'] });
    expect(Object.keys(parameters['echo'] as object)).not.toEqual(expect.arrayContaining(['code_verifier']));
    expect(JSON.stringify(parameters)).not.toContain(server.lastTokenRequest.parameters.get('code_verifier'));
  });

  test.each<[string, LoginOptions['scope'], unknown, string | undefined]>([
    ['omitted: the requested one', 'write read', undefined, 'write read'],
    ['narrowed: visible', 'write read', 'read', 'read'],
    ['a list', 'write read', ['read', 'write'], 'read write'],
    ['neither asked for nor named: there is none', undefined, undefined, undefined],
  ])('L11 scope %s', async (_case, scope, answered, granted) => {
    const { session } = await signInWith({ scope: answered }, { scope });
    expect([(await session.getToken()).scope, (await session.info())?.scope]).toEqual([granted, granted]);
  });
});

describe('answers to a code that are no tokens', () => {
  test.each<[string, Answer, Record<string, unknown>]>([
    ['200 with an error', { json: { error: 'invalid_scope', error_description: 'no such scope', access_token: CANARY } }, { code: 'token_request_failed', status: 200, error: 'invalid_scope', errorDescription: 'no such scope' }],
    ['200 with HTML', { body: `<html>${CANARY}</html>`, headers: { 'content-type': 'text/html' } }, { code: 'invalid_response', status: 200 }],
    ['200 with a list', { json: [CANARY] }, { code: 'invalid_response', status: 200 }],
    ['200 with nothing', {}, { code: 'invalid_response', status: 200 }],
    ['400 without a body', { status: 400 }, { code: 'token_request_failed', status: 400 }],
    ['403 with HTML', { status: 403, body: `<h1>${CANARY}</h1>` }, { code: 'token_request_failed', status: 403 }],
    ['400 with an error that is an object', { status: 400, json: { error: { code: CANARY } } }, { code: 'token_request_failed', status: 400 }],
    ['500', { status: 500, body: CANARY }, { code: 'token_request_failed', status: 500 }],
    ['a redirect', redirectTo('/elsewhere', 307), { code: 'token_request_failed', status: 307 }],
    ['1 MiB and a byte', oversize(MEBIBYTE + 1), { code: 'invalid_response', status: 200 }],
    ['a gzip bomb', gzipBomb(10 * MEBIBYTE), { code: 'invalid_response', status: 200 }],
  ])('L8 %s is a clear error, no text of the body in it, and nothing is sent again', async (_case, answer, error) => {
    server.answersNext(answer);
    const failure = await failureOf(signIn(client));
    expect(failure).toMatchObject({ ...error, retryable: false });
    expect(inspect(failure, { depth: 20, showHidden: true })).not.toContain(CANARY);
    expect(server.tokenRequests).toHaveLength(1);
    expect(server.revocations).toHaveLength(0);
  });

  test('L10 one that drips is ended by the deadline', async () => {
    client = webClient(server, { timeout: 1_000 });
    server.answersNext(drip(' ', 20));
    expect(await failureOf(signIn(client))).toMatchObject({ code: 'timeout' });
    expect(server.tokenRequests).toHaveLength(1);
  });

  test.each(['Basic realm="x"', 'Bearer error="invalid_client"', 'error="invalid_client"'])('T5 a challenge (%s) still gives the OAuth error', async (challenge) => {
    server.answersNext({ status: 401, json: { error: 'invalid_client' }, headers: { 'www-authenticate': challenge } });
    const failure = await failureOf(signIn(client));
    expect(failure).toMatchObject({ code: 'token_request_failed', status: 401, error: 'invalid_client' });
    expect(failure.message).toContain('clientSecretPost');
  });

  test('T4 Retry-After is reported, not waited for: a code is sent once', async () => {
    server.answersNext({ status: 429, headers: { 'retry-after': '120' } });
    expect(await failureOf(signIn(client))).toMatchObject({ status: 429, retryAfter: 120_000 });
    expect(server.tokenRequests).toHaveLength(1);
  });
});

describe('a login that fails after its tokens came', () => {
  test('ends though the revocation fails, and says why it failed itself', async () => {
    for (const answer of [{ status: 503 }, { status: 400 }]) {
      server.at('/revoke').answersNext(answer, answer);
      expect(await failureOf(signInWith({ token_type: 'mac' }))).toMatchObject({ code: 'invalid_response' });
    }
    expect(server.revocations).toHaveLength(4);
  });

  test('ends though the revocation hangs, or there is none', async () => {
    server.at('/revoke').answersNext(hang(), hang());
    client = webClient(server, { timeout: 1_000 });
    expect(await failureOf(signInWith({ token_type: 'mac' }))).toMatchObject({ code: 'invalid_response' });
    expect(server.revocations).toHaveLength(2);
    client = webClient(server, { server: { ...server.metadata, revocation_endpoint: undefined } });
    expect(await failureOf(signInWith({ token_type: 'mac' }))).toMatchObject({ code: 'invalid_response' });
    expect(server.revocations).toHaveLength(2);
  });

  test('proves to the revocation endpoint who it is', async () => {
    await using strict = await startAuthorizationServer({ clients: { app: CLIENT_SECRET } });
    for (const options of [{}, { clientAuthentication: clientSecretPost(CLIENT_SECRET) }]) {
      strict.nextTokenAnswerWith({ token_type: 'mac' });
      expect(await failureOf(signIn(webClient(strict, options)))).toMatchObject({ code: 'invalid_response' });
    }
    expect(strict.grants.map(({ alive }) => alive)).toEqual([false, false]);
  });

  test('revokes the access token alone where there is no other', async () => {
    expect(await failureOf(signInWith({ token_type: 'mac' }, { scope: 'read' }))).toMatchObject({ code: 'invalid_response' });
    expectRevoked('access_token');
  });
});

describe('the client proves who it is', () => {
  const odd = `a:b+c%é &=?'"`;

  test.each<[string, string, MachineClientOptions]>([
    ['Basic', odd, { clientSecret: odd }],
    ['Basic, named', odd, { clientAuthentication: clientSecretBasic(odd) }],
    ['post', odd, { clientAuthentication: clientSecretPost(odd) }],
    ['an ordinary secret', 'ordinary-secret.1_2', { clientSecret: 'ordinary-secret.1_2' }],
  ])('T1 with credentials of any characters: %s', async (_case, secret, options) => {
    await using strict = await startAuthorizationServer({ clients: { 'app: 100%': secret } });
    const { session } = await signIn(webClient(strict, { clientId: 'app: 100%', ...options }));
    expect(await session.getToken()).toMatchObject({ value: strict.issuedTokens[0] });
  });

  test.each<[string, string[] | undefined, 'basic' | 'post']>([
    ['the one that is listed', ['client_secret_post'], 'post'],
    ['Basic where both are', ['client_secret_post', 'client_secret_basic'], 'basic'],
    ['Basic where none is', undefined, 'basic'],
  ])('T2 by one method: %s', async (_case, methods, expected) => {
    client = webClient(server, { server: { ...server.metadata, token_endpoint_auth_methods_supported: methods } });
    await signIn(client);
    const { basic, parameters } = server.lastTokenRequest;
    expect([basic?.password, parameters.get('client_secret')]).toEqual(expected === 'basic' ? [CLIENT_SECRET, null] : [undefined, CLIENT_SECRET]);
  });

  test('T2 a code is no probe: after invalid_client nothing else is tried', async () => {
    server.rejectsNextWith('invalid_client', 401);
    expect(await failureOf(signIn(client))).toMatchObject({ code: 'token_request_failed', error: 'invalid_client' });
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('C7 a secret that is a function is asked again after invalid_client, once: the code was not looked at', async () => {
    await using strict = await startAuthorizationServer({ clients: { app: 'new' } });
    const secrets = ['out-of-date', 'new'];
    const { session } = await signIn(webClient(strict, { clientSecret: () => secrets.shift() ?? 'none left' }));
    expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
    expect(strict.tokenRequests.map(({ parameters }) => parameters.get('code'))).toEqual(['code-1', 'code-1']);
  });

  test.each<[string, MachineClientOptions]>([
    ['without a secret', { clientSecret: undefined }],
    ['that says so', { clientAuthentication: none() }],
  ])('A11 or names itself only, as a public client %s', async (_case, options) => {
    client = webClient(server, options);
    const { session } = await signIn(client);
    const { basic, parameters } = server.lastTokenRequest;
    expect([basic, parameters.get('client_id'), parameters.has('client_secret'), parameters.get('code_verifier')?.length]).toEqual([undefined, 'app', false, 43]);
    client.clock.advance(HOUR);
    expect((await session.getToken()).value).toBe(server.issuedTokens.at(-1));
    expect(server.lastTokenRequest.parameters.get('client_id')).toBe('app');
  });
});

describe('without a refresh token', () => {
  test('A11 the session lasts as long as its access token, to its last moment: there is nothing to be locked or sent', async () => {
    const lock = inProcessLock(client.clock);
    const acquired: string[] = [];
    client = webClient(server, { clock: client.clock, lock: { ...lock, acquire: async (name, ...rest) => { acquired.push(name); return lock.acquire(name, ...rest); } } });
    const { session } = await signIn(client, { scope: 'openid' });
    client.clock.advance(HOUR - 1);
    for (let calls = 0; calls < 3; calls += 1) expect((await session.getToken()).value).toBe(server.issuedTokens.at(-1));
    expect(acquired).toEqual([expect.stringContaining(':login:')]);
    client.clock.advance(1);
    const failure = await failureOf(session.getToken());
    expect(failure).toMatchObject({ code: 'reauthorization_required', retryable: false });
    expect(failure.message).toContain('the authorization server gave no refresh token; ask for `offline_access`');
    expect(await session.info()).toBeUndefined();
    await eventually(() => client.events['session-ended'].length > 0);
    expect(client.events['session-ended']).toEqual([{ sessionId: session.id, reason: 'no_refresh_token' }]);
    expect(server.tokenRequests).toHaveLength(1);
  });

  test.each([['null', null], ['empty', '']])('A11 one that is %s is none', async (_case, refreshToken) => {
    const { session } = await signInWith({ refresh_token: refreshToken });
    client.clock.advance(HOUR);
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required' });
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('A11 one that comes though nobody asked for it is used', async () => {
    server.alwaysRefreshToken = true;
    const { session } = await signIn(client, { scope: 'read' });
    server.alwaysRefreshToken = false;
    client.clock.advance(HOUR);
    expect((await session.getToken()).value).toBe(server.issuedTokens.at(-1));
    expect(server.lastTokenRequest.parameters.get('grant_type')).toBe('refresh_token');
  });

  test('A11 a token that an API has refused ends it', async () => {
    const { session } = await signIn(client, { scope: 'openid' });
    const rejected = await session.getToken();
    expect(await failureOf(session.getToken({ rejected }))).toMatchObject({ code: 'reauthorization_required' });
  });
});

test('a login is an event, with how long its token lives and nothing secret', async () => {
  const { callback, transaction } = await loginUnderWay(client);
  await client.tokens.completeLogin(callback, transaction);
  expect(client.events.acquired).toEqual([{ grant: 'authorization_code', expiresAt: client.clock.now() + HOUR, durationMs: 0 }]);
});
