import { inspect } from 'node:util';
import { createFetch, OAuthError, type OAuthErrorCode } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { drip, gzipBomb, oversize, redirectTo, type Answer } from './support/answers.js';
import { startApi } from './support/api-server.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { CLIENT_SECRET, machineClient } from './support/machine-client.js';

const MEBIBYTE = 1024 * 1024;
const CANARY = 'canary-4d1f';

let server: AuthorizationServer;

beforeEach(async () => {
  server = await startAuthorizationServer();
});

afterEach(async () => {
  await server.close();
});

/** What a caller gets to see of a failure: the error, with everything that printing it would show. */
async function failure(request: Promise<unknown>): Promise<OAuthError> {
  const thrown: unknown = await request.then(() => undefined, (error: unknown) => error);
  if (!(thrown instanceof OAuthError)) throw new Error(`expected an OAuthError, got ${inspect(thrown)}`);
  return thrown;
}

function everythingIn(error: OAuthError): string {
  return `${inspect(error, { depth: 20, showHidden: true })}${JSON.stringify(error)}${error.stack ?? ''}`;
}

async function failureOn(answer: Answer): Promise<OAuthError> {
  server.answersEvery(answer);
  return failure(machineClient(server, { retry: { limit: 0 } }).tokens.clientCredentials({ scope: 'read' }).getToken());
}

function tokenOf(answer: Record<string, unknown>): Promise<{ value: string; type: string; scope?: string; parameters: Readonly<Record<string, unknown>> }> {
  server.answersNext({ json: { access_token: 'at', token_type: 'Bearer', expires_in: 60, ...answer } });
  return machineClient(server).tokens.clientCredentials({ scope: 'write read' }).getToken();
}

describe('L6 token_type', () => {
  test.each(['Bearer', 'bearer', 'BEARER', 'bEaReR'])('L6 %s is accepted and sent as Bearer', async (tokenType) => {
    await using api = await startApi();
    server.answersNext({ json: { access_token: 'at', token_type: tokenType, expires_in: 60 } });
    const source = machineClient(server).tokens.clientCredentials();
    expect(await source.getToken()).toMatchObject({ type: 'Bearer', value: 'at' });
    await createFetch(source, { baseUrl: api.origin, allowInsecureRequests: true })('/');
    expect(api.lastRequest.headers.authorization).toBe('Bearer at');
  });

  test.each([
    ['mac', 'mac'],
    ['example', 'example'],
    ['DPoP where no key is configured', 'DPoP'],
    ['dpop where no key is configured', 'dpop'],
    ['one that only begins like Bearer', 'BearerX'],
    ['N_A', 'N_A'],
    ['an empty one', ''],
    ['a number', 1],
    ['a list', ['Bearer']],
    ['null', null],
    ['none', undefined],
  ])('L6 %s is an error, without the token in it', async (_case, tokenType) => {
    const error = await failureOn({ json: { access_token: CANARY, token_type: tokenType, expires_in: 60 } });
    expect(error).toMatchObject({ code: 'invalid_response', retryable: false, status: 200 });
    expect(everythingIn(error)).not.toContain(CANARY);
    expect(server.tokenRequests).toHaveLength(1);
  });
});

describe('L7 access_token', () => {
  test.each([
    ['with CR and LF', `${CANARY}\r\nX-Evil: 1`],
    ['with LF', `${CANARY}\n`],
    ['with NUL', `${CANARY}\0`],
    ['with a tab', `${CANARY}\t`],
    ['with a letter that is not ASCII', `${CANARY}é`],
    ['that is a number', 4711],
    ['that is an object', { value: CANARY }],
    ['that is a list', [CANARY]],
    ['that is empty', ''],
    ['that is null', null],
    ['that is missing', undefined],
  ])('L7 one %s is rejected, its text nowhere in the error', async (_case, accessToken) => {
    const error = await failureOn({ json: { access_token: accessToken, token_type: 'Bearer', refresh_token: CANARY, other: CANARY } });
    expect(error).toMatchObject({ code: 'invalid_response', retryable: false, status: 200 });
    expect(everythingIn(error)).not.toContain(CANARY);
    expect(everythingIn(error)).not.toContain(CLIENT_SECRET);
  });

  test('L7 a token of 16 kB works, up to the API', async () => {
    await using api = await startApi();
    const large = 'x'.repeat(16 * 1024);
    server.answersNext({ json: { access_token: large, token_type: 'Bearer', expires_in: 60 } });
    const source = machineClient(server).tokens.clientCredentials();
    const response = await createFetch(source, { baseUrl: api.origin, allowInsecureRequests: true })('/');
    expect(await response.json()).toMatchObject({ authorization: `Bearer ${large}` });
  });

  test('L7 every character that a token may have arrives as it is', async () => {
    const characters = Array.from({ length: 0x7e - 0x20 }, (_, index) => String.fromCharCode(0x21 + index)).join('');
    expect(await tokenOf({ access_token: characters })).toMatchObject({ value: characters });
  });
});

describe('L8 answers that are no tokens', () => {
  test.each<[string, Answer, OAuthErrorCode, object]>([
    ['200 with an error', { json: { error: 'invalid_scope', error_description: 'no such scope', access_token: CANARY } }, 'token_request_failed', { status: 200, error: 'invalid_scope', errorDescription: 'no such scope' }],
    ['200 with an error that is an object', { json: { error: { code: 7, message: CANARY } } }, 'token_request_failed', { status: 200 }],
    ['200 with HTML', { body: `<html>${CANARY}</html>`, headers: { 'content-type': 'text/html' } }, 'invalid_response', { status: 200 }],
    ['200 with HTML that says it is JSON', { body: `<html>${CANARY}</html>`, headers: { 'content-type': 'application/json' } }, 'invalid_response', { status: 200 }],
    ['200 with nothing', { body: '' }, 'invalid_response', { status: 200 }],
    ['204', { status: 204 }, 'invalid_response', { status: 204 }],
    ['200 with a JSON text', { json: CANARY }, 'invalid_response', { status: 200 }],
    ['200 with a JSON list', { json: [CANARY] }, 'invalid_response', { status: 200 }],
    ['200 with null', { json: null }, 'invalid_response', { status: 200 }],
    ['200 with half an object', { body: `{"access_token":"${CANARY}"` }, 'invalid_response', { status: 200 }],
    ['200 with an empty object', { json: {} }, 'invalid_response', { status: 200 }],
    ['400 without a body', { status: 400 }, 'token_request_failed', { status: 400 }],
    ['403 without a body', { status: 403 }, 'token_request_failed', { status: 403 }],
    ['403 with HTML', { status: 403, body: `<h1>${CANARY}</h1>` }, 'token_request_failed', { status: 403 }],
    ['400 with an error that is an object', { status: 400, json: { error: { code: CANARY } } }, 'token_request_failed', { status: 400 }],
    ['400 with an error that is a number', { status: 400, json: { error: 7 } }, 'token_request_failed', { status: 400, error: '7' }],
    ['400 with a token in it', { status: 400, json: { access_token: CANARY, token_type: 'Bearer', expires_in: 60 } }, 'token_request_failed', { status: 400 }],
    ['404 with HTML', { status: 404, body: `<h1>${CANARY}</h1>` }, 'token_request_failed', { status: 404 }],
  ])('L8 %s is a clear error, with the status and no text of the body', async (_case, answer, code, details) => {
    const error = await failureOn(answer);
    expect(error).toMatchObject({ code, retryable: false, ...details });
    expect(error.message).toContain(String(error.status));
    expect(everythingIn(error)).not.toContain(CANARY);
    if (!('error' in details)) expect(error).not.toHaveProperty('error');
  });

  test('L8 an answer whose error is null, empty or false is a token', async () => {
    for (const none of [null, '', false]) expect(await tokenOf({ error: none })).toMatchObject({ value: 'at' });
  });

  test('L8 after such an answer the next caller starts afresh', async () => {
    const source = machineClient(server).tokens.clientCredentials();
    server.answersNext({ body: '<html>' });
    await expect(source.getToken()).rejects.toMatchObject({ code: 'invalid_response' });
    expect((await source.getToken()).value).toBe('at-1');
  });

  test('L8 any 2xx is an answer, and a form is one too', async () => {
    const { tokens } = machineClient(server);
    server.answersNext({ status: 201, body: 'access_token=at-form&token_type=bearer&expires_in=60&scope=a+b&x=y', headers: { 'content-type': 'application/x-www-form-urlencoded' } });
    expect(await tokens.clientCredentials().getToken()).toMatchObject({ value: 'at-form', type: 'Bearer', scope: 'a b', parameters: { x: 'y' }, expiresAt: expect.any(Number) as number });
  });
});

describe('L9 members of the answer', () => {
  test('L9 unknown members appear in parameters, deeply frozen', async () => {
    const { parameters } = await tokenOf({ instance_url: 'https://eu1.example.com', nested: { list: [1, { deep: true }] } });
    expect(parameters).toEqual({ instance_url: 'https://eu1.example.com', nested: { list: [1, { deep: true }] } });
    expect(Object.isFrozen(parameters)).toBe(true);
    expect(Object.isFrozen((parameters['nested'] as { list: unknown[] }).list[1])).toBe(true);
  });

  test('L9 __proto__ and constructor pollute nothing', async () => {
    server.answersNext({
      body: '{"access_token":"at","token_type":"Bearer","expires_in":60,"__proto__":{"polluted":1,"scope":"admin"},"constructor":{"prototype":{"polluted":1}},"nested":{"__proto__":{"polluted":1},"kept":2}}',
    });
    const token = await machineClient(server).tokens.clientCredentials().getToken();
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(token.scope).toBeUndefined();
    const { parameters } = token;
    expect(Object.getPrototypeOf(parameters)).toBe(Object.prototype);
    expect(parameters['polluted']).toBeUndefined();
    // What a careless caller makes of it has no __proto__ to follow either.
    const merged = Object.assign({}, parameters, parameters['nested']) as Record<string, unknown>;
    expect(merged['polluted']).toBeUndefined();
    expect(merged['kept']).toBe(2);
  });

  test.each(['access_token', 'token_type'])('L9 an %s that is only inherited is missing', async (name) => {
    const answer: Record<string, unknown> = { access_token: CANARY, token_type: 'Bearer' };
    const { [name]: hidden, ...visible } = answer;
    const error = await failureOn({ body: `{"__proto__":${JSON.stringify({ [name]: hidden })},${JSON.stringify(visible).slice(1)}` });
    expect(error.code).toBe('invalid_response');
  });

  test('L9 no member of parameters is a token, at any depth', async () => {
    const { parameters } = await tokenOf({ access_token: CANARY, refresh_token: 'rt-canary', id_token: 'id-canary', copy: CANARY, nested: { again: CANARY, list: ['kept', 'rt-canary'], id: 'id-canary' } });
    expect(parameters).toEqual({ nested: { list: ['kept'] } });
  });

  test('L9 a token is frozen, and printing it shows no value', async () => {
    const token = await tokenOf({ access_token: CANARY });
    expect(Object.isFrozen(token)).toBe(true);
    expect(Object.keys(token)).not.toContain('value');
    for (const printed of [inspect(token, { depth: 20, showHidden: true }), inspect({ deep: [{ token }] }, { depth: 20 }), JSON.stringify({ token })]) {
      expect(printed).not.toContain(CANARY);
    }
  });
});

describe('L10 answers that do not end, and redirects', () => {
  test.each([
    ['300 MB', oversize(300 * MEBIBYTE), 40 * MEBIBYTE],
    ['a gzip bomb of 300 MB', gzipBomb(300 * MEBIBYTE), MEBIBYTE],
    ['1 MiB and a byte', oversize(MEBIBYTE + 1), 3 * MEBIBYTE],
  ])('L10 %s is cut off', async (_case, answer, sentAtMost) => {
    const error = await failureOn(answer);
    expect(error).toMatchObject({ code: 'invalid_response', retryable: false, status: 200 });
    expect((await server.lastTokenRequest.outcome).bytesWritten).toBeLessThan(sentAtMost);
  });

  test('L10 1 MiB is still an answer, also one that was small on its way', async () => {
    for (const answer of [oversize(MEBIBYTE), gzipBomb(MEBIBYTE)]) {
      server.answersNext(answer);
      expect((await machineClient(server).tokens.clientCredentials().getToken()).value).toBe('at-oversize');
    }
  });

  test('L10 an error answer that is too large stays the error that its status says', async () => {
    const error = await failureOn({ status: 503, body: 'x'.repeat(2 * MEBIBYTE) });
    expect(error).toMatchObject({ code: 'token_request_failed', status: 503, retryable: true });
  });

  test('L10 an answer that drips is ended by the total deadline', async () => {
    server.answersEvery(drip(' ', 20));
    const error = await failure(machineClient(server, { timeout: 150 }).tokens.clientCredentials().getToken());
    expect(error).toMatchObject({ code: 'timeout', retryable: true });
    expect(await server.lastTokenRequest.outcome).toMatchObject({ complete: false });
    expect(server.tokenRequests).toHaveLength(1);
  });

  test.each([301, 302, 303, 307, 308])('L10 a redirect with %d is an error, and its target sees nothing', async (status) => {
    await using target = await startApi();
    const error = await failureOn(redirectTo(`${target.origin}/token?secret=${CANARY}`, status));
    expect(error).toMatchObject({ code: 'token_request_failed', status, retryable: false });
    expect(target.totalConnections).toBe(0);
    expect(everythingIn(error)).not.toContain(CANARY);
  });

  test('L10 a redirect to the token endpoint itself is not followed either', async () => {
    await failureOn(redirectTo(server.tokenEndpoint, 307));
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('L10 no connection stays behind: error bodies, redirects and cut answers give theirs back', async () => {
    const { tokens } = machineClient(server, { retry: { limit: 0 } });
    const answers: Answer[] = [{ status: 400, json: { error: 'x' } }, redirectTo('/elsewhere'), { status: 403, body: 'y'.repeat(100_000) }, { body: '<html>' }];
    for (let round = 0; round < 10; round += 1) {
      for (const answer of answers) {
        server.answersNext(answer);
        await failure(tokens.clientCredentials().getToken());
      }
    }
    expect(server.openConnections).toBeLessThanOrEqual(2);
  });
});

describe('L11 scope', () => {
  test.each<[string, Record<string, unknown>, string]>([
    ['omitted: the requested one', {}, 'write read'],
    ['null: the requested one', { scope: null }, 'write read'],
    ['narrowed: visible', { scope: 'read' }, 'read'],
    ['widened: visible', { scope: 'read write admin' }, 'read write admin'],
    ['a list: joined by spaces', { scope: ['read', 'write'] }, 'read write'],
  ])('L11 %s', async (_case, answer, scope) => {
    expect(await tokenOf(answer)).toMatchObject({ value: 'at', scope });
    expect(server.lastTokenRequest.parameters.get('scope')).toBe('write read');
  });

  test('L11 neither requested nor named: there is none', async () => {
    expect(await machineClient(server).tokens.clientCredentials().getToken()).not.toHaveProperty('scope');
    expect(server.lastTokenRequest.parameters.has('scope')).toBe(false);
  });
});
