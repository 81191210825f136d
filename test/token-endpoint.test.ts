import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { challenges, createTokenManager } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { drip, hang, lose, reset, type Behaviour } from './support/answers.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { ManualClock } from './support/clock.js';
import { failureOf } from './support/failure.js';
import { CLIENT_SECRET, machineClient } from './support/machine-client.js';

let server: AuthorizationServer;

beforeEach(async () => {
  server = await startAuthorizationServer();
});

afterEach(async () => {
  await server.close();
});

test('a token request is a POST of a form that asks for JSON', async () => {
  const { tokens } = machineClient(server);
  const request = { scope: ['invoices:read', 'invoices:write'], resource: ['https://a.example/', 'https://b.example/x'], audience: 'urn:billing', parameters: { organization: 'ACME & co' } };
  await tokens.clientCredentials(request).getToken();
  const { method, url, headers, parameters } = server.lastTokenRequest;
  expect({ method, url, accept: headers.accept, type: headers['content-type']?.replace(/;.*/, '') }).toEqual({ method: 'POST', url: '/token', accept: 'application/json', type: 'application/x-www-form-urlencoded' });
  expect([...parameters].sort()).toEqual([
    ['audience', 'urn:billing'],
    ['grant_type', 'client_credentials'],
    ['organization', 'ACME & co'],
    ['resource', 'https://a.example/'],
    ['resource', 'https://b.example/x'],
    ['scope', 'invoices:read invoices:write'],
  ]);
});

test('a query in the token endpoint is sent, and left out of errors', async () => {
  server.metadata.token_endpoint += '?api_key=k-3141592653';
  const { tokens } = machineClient(server);
  await tokens.clientCredentials().getToken();
  expect(server.lastTokenRequest.url).toBe('/token?api_key=k-3141592653');
  await server.stop();
  const { message } = await failureOf(tokens.clientCredentials({ scope: 'other' }).getToken());
  expect(message).toContain(`${server.origin}/token`);
  expect(message).not.toContain('k-3141592653');
});

test('a refusal names its status, its code and its text', async () => {
  const { tokens } = machineClient(server);
  server.rejectsNextWith('invalid_scope', 400, 'there is no scope "invoices"');
  expect(await failureOf(tokens.clientCredentials({ scope: 'invoices' }).getToken())).toMatchObject({
    code: 'token_request_failed',
    status: 400,
    error: 'invalid_scope',
    errorDescription: 'there is no scope "invoices"',
    retryable: false,
    message: 'The token endpoint refused the request with HTTP 400 (invalid_scope: there is no scope "invoices")',
  });
});

describe('T3 failures that may pass are retried', () => {
  test.each([500, 502, 503, 504, 408, 429])('T3 %i is retried', async (status) => {
    const { tokens } = machineClient(server);
    server.answersNext({ status }, { status, json: { error: 'temporarily_unavailable' } });
    expect(await tokens.clientCredentials().getToken()).toMatchObject({ value: 'at-1' });
    expect(server.tokenRequests).toHaveLength(3);
  });

  const cutOff: Behaviour = {
    perform({ response }) {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
      response.write('{"access_token":', () => response.socket?.resetAndDestroy());
    },
  };

  test.each([
    ['reset', reset()],
    ['lost after the server had issued a token', lose()],
    ['cut off in the middle of the answer', cutOff],
  ])('T3 a connection that is %s is retried', async (_case, behaviour) => {
    const { tokens } = machineClient(server);
    server.answersNext(behaviour, behaviour);
    expect(await tokens.clientCredentials().getToken()).toMatchObject({ type: 'Bearer' });
    expect(server.tokenRequests).toHaveLength(3);
  });

  test.each([
    ['503', { status: 503 }, { code: 'token_request_failed', status: 503 }],
    ['a reset', reset(), { code: 'server_unreachable' }],
  ])('T3 after three tries of %s the last failure is the answer', async (_case, answer, expected) => {
    const { tokens } = machineClient(server);
    server.answersEvery(answer);
    expect(await failureOf(tokens.clientCredentials().getToken())).toMatchObject({ ...expected, retryable: true });
    expect(server.tokenRequests).toHaveLength(3);
  });

  test('T3 a server that is not there is named, with the reason', async () => {
    const { tokens } = machineClient(server);
    await server.stop();
    const failure = await failureOf(tokens.clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'server_unreachable', retryable: true, message: `The token endpoint ${server.tokenEndpoint} could not be reached: connect ECONNREFUSED ${new URL(server.tokenEndpoint).host}` });
    expect(failure.cause).toMatchObject({ cause: { code: 'ECONNREFUSED' } });
    expect(failure).not.toHaveProperty('status');
  });

  test.each([400, 401, 403, 404, 405, 409, 410, 415, 422, 451, 501, 505])('T3 %i is not retried', async (status) => {
    const { tokens } = machineClient(server);
    server.answersEvery({ status });
    expect(await failureOf(tokens.clientCredentials().getToken())).toMatchObject({ code: 'token_request_failed', status, retryable: false });
    expect(server.tokenRequests).toHaveLength(1);
  });

  test.each([0, 1, 4])('T3 retry.limit %i: so many further tries', async (limit) => {
    const { tokens } = machineClient(server, { retry: { limit, minDelay: 0 } });
    server.answersEvery({ status: 503 });
    await failureOf(tokens.clientCredentials().getToken());
    expect(server.tokenRequests).toHaveLength(limit + 1);
  });

  test.each([
    ['never answers', hang()],
    ['answers one byte at a time', drip(' ', 20)],
  ])('T3 the deadline ends a request to a server that %s, and what it ends is not retried', async (_case, behaviour) => {
    const { tokens } = machineClient(server, { timeout: 100 });
    server.answersEvery(behaviour);
    const failure = await failureOf(tokens.clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'timeout', retryable: true });
    expect(failure.message).toMatch(/100 ms.*`timeout`/);
    expect(server.tokenRequests).toHaveLength(1);
  });
});

describe('T4 Retry-After', () => {
  const START = Date.UTC(2026, 0, 1);

  beforeEach(() => {
    vi.useFakeTimers({ now: START, toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'] });
  });

  afterEach(() => {
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });

  function daemon(retryAfter: string, options: { timeout?: number; retry?: { maxRetryAfter?: number } } = {}): { sends: () => number; token: Promise<unknown> } {
    const send = vi.fn<typeof fetch>()
      .mockResolvedValueOnce(new Response(null, { status: 503, headers: { 'retry-after': retryAfter } }))
      .mockResolvedValue(Response.json({ access_token: 'at', token_type: 'Bearer' }));
    vi.stubGlobal('fetch', send);
    const { timeout = 600_000, retry } = options;
    const tokens = createTokenManager({ server: { token_endpoint: 'https://login.example.com/token' }, clientId: 'billing', timeout, retry: { minDelay: 0, ...retry } });
    const token = tokens.clientCredentials().getToken();
    token.catch(() => undefined);
    return { sends: () => send.mock.calls.length, token };
  }

  test.each([
    ['T4 Retry-After: 2 waits two seconds', '2', 2_000, {}],
    ['T4 a date is waited for', new Date(START + 7_000).toUTCString(), 7_000, {}],
    ['T4 Retry-After of 999999 is capped at a minute', '999999', 60_000, {}],
    ['T4 Retry-After is capped at maxRetryAfter', '999999', 3_000, { retry: { maxRetryAfter: 3_000 } }],
    ['T4 a number that is no number of this world is capped too', '9'.repeat(400), 60_000, {}],
    ['T4 a date far in the future is capped', new Date(START + 999_999_000).toUTCString(), 60_000, {}],
  ])('%s', async (_title, retryAfter, pause, options) => {
    const { sends, token } = daemon(retryAfter, options);
    await vi.advanceTimersByTimeAsync(pause - 1);
    expect(sends()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(sends()).toBe(2);
    await expect(token).resolves.toMatchObject({ value: 'at' });
  });

  test.each([
    ['0', '0'],
    ['a date in the past', new Date(START - 60_000).toUTCString()],
    ['nonsense', 'soon'],
  ])('T4 %s: no wait', async (_case, retryAfter) => {
    const { sends } = daemon(retryAfter);
    await vi.advanceTimersByTimeAsync(1);
    expect(sends()).toBe(2);
  });

  test('T4 a wait beyond the deadline fails at once', async () => {
    const { sends, token } = daemon('11', { timeout: 10_000 });
    await vi.advanceTimersByTimeAsync(1);
    await expect(token).rejects.toMatchObject({ code: 'token_request_failed', status: 503, retryAfter: 11_000 });
    expect(sends()).toBe(1);
  });

  test('T4 a wait that ends before the deadline is waited', async () => {
    const { sends, token } = daemon('9', { timeout: 10_000 });
    await vi.advanceTimersByTimeAsync(9_000);
    await expect(token).resolves.toMatchObject({ value: 'at' });
    expect(sends()).toBe(2);
  });
});

test.each([
  ['2', 2_000],
  ['999999', 999_999_000],
  [new Date(new ManualClock().now() + 90_000).toUTCString(), 90_000],
])('T4 Retry-After of %s is reported in retryAfter as the server said it', async (retryAfter, reported) => {
  const { tokens } = machineClient(server, { retry: { limit: 0 } });
  server.answersEvery({ status: 429, headers: { 'retry-after': retryAfter } });
  expect(await failureOf(tokens.clientCredentials().getToken())).toMatchObject({ status: 429, retryAfter: reported });
});

test.each(['soon', '', '-1', '2.5'])('T4 Retry-After: %j says nothing that can be reported', async (retryAfter) => {
  const { tokens } = machineClient(server, { retry: { limit: 0 } });
  server.answersEvery({ status: 429, headers: { 'retry-after': retryAfter } });
  expect(await failureOf(tokens.clientCredentials().getToken())).not.toHaveProperty('retryAfter');
});

const challengesOfRealServers: [string, string | string[]][] = [
  ['Basic', 'Basic realm="token endpoint"'],
  ['Bearer with an error of its own', 'Bearer error="invalid_token", error_description="no"'],
  ['without a scheme', 'error="invalid_token",error_description="The access token expired"'],
  ['two headers', ['Bearer realm="a"', 'Basic realm="b"']],
  ['the same header twice', ['Basic realm="a"', 'Basic realm="a"']],
  ['Negotiate', 'Negotiate oRQwEqADCgEAoQsGCSqGSIb3EgECAg=='],
  ['an open quote', 'Basic realm="never ends'],
  ['empty', ''],
  ['nothing but separators', ' , ,, '],
  ['no grammar at all', '<<<{"error":"x"}>>>'],
];

describe.each([400, 401])('T5 a challenge with %i at the token endpoint', (status) => {
  test.each(challengesOfRealServers)('T5 still gives the OAuth error: %s', async (_case, challenge) => {
    const { tokens } = machineClient(server);
    server.answersNext({ status, json: { error: 'invalid_grant', error_description: 'told twice' }, headers: { 'www-authenticate': challenge } });
    expect(await failureOf(tokens.clientCredentials().getToken())).toMatchObject({ code: 'token_request_failed', status, error: 'invalid_grant', errorDescription: 'told twice' });
  });

  test.each(challengesOfRealServers)('T5 is a refusal with a status where there is no body: %s', async (_case, challenge) => {
    const { tokens } = machineClient(server);
    server.answersNext({ status, headers: { 'www-authenticate': challenge } });
    const failure = await failureOf(tokens.clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'token_request_failed', status });
    expect(failure).not.toHaveProperty('error');
  });
});

describe('T8 challenges', () => {
  const read = (...headers: string[]): ReturnType<typeof challenges> =>
    challenges(new Response(null, { status: 401, headers: headers.map((value): [string, string] => ['www-authenticate', value]) }));

  test.each<[string, string[], Record<string, string>[]]>([
    ['no header', [], []],
    ['an empty header', [''], []],
    ['a scheme alone', ['Bearer'], [{ scheme: 'Bearer' }]],
    ['parameters', ['Bearer realm="api", error="invalid_token"'], [{ scheme: 'Bearer', realm: 'api', error: 'invalid_token' }]],
    ['no scheme', ['error="invalid_token",error_description="The access token expired"'], [{ scheme: '', error: 'invalid_token', error_description: 'The access token expired' }]],
    ['two in one header', ['Basic realm="a", Bearer error="invalid_token"'], [{ scheme: 'Basic', realm: 'a' }, { scheme: 'Bearer', error: 'invalid_token' }]],
    ['two headers', ['Bearer realm="a"', 'DPoP algs="ES256"'], [{ scheme: 'Bearer', realm: 'a' }, { scheme: 'DPoP', algs: 'ES256' }]],
    ['the same twice', ['Bearer error="invalid_token"', 'Bearer error="invalid_token"'], [{ scheme: 'Bearer', error: 'invalid_token' }, { scheme: 'Bearer', error: 'invalid_token' }]],
    ['escapes and commas in quotes', ['Bearer realm="a \\"b\\", c=\\\\d"'], [{ scheme: 'Bearer', realm: 'a "b", c=\\d' }]],
    ['no quotes', ['Bearer error=invalid_token,max_age=5'], [{ scheme: 'Bearer', error: 'invalid_token', max_age: '5' }]],
    ['spaces around the equals sign', ['Bearer error = "invalid_token" , scope = "a b"'], [{ scheme: 'Bearer', error: 'invalid_token', scope: 'a b' }]],
    ['names in capitals', ['BEARER Error="invalid_token"'], [{ scheme: 'BEARER', error: 'invalid_token' }]],
    ['an open quote', ['Bearer error="invalid_token'], [{ scheme: 'Bearer', error: 'invalid_token' }]],
    ['token68', ['Negotiate oRQwEqADCgEA==, Bearer realm="x"'], [{ scheme: 'Negotiate', token68: 'oRQwEqADCgEA==' }, { scheme: 'Bearer', realm: 'x' }]],
    ['a step up (RFC 9470)', ['Bearer error="insufficient_user_authentication", acr_values="urn:mfa", max_age="5"'], [{ scheme: 'Bearer', error: 'insufficient_user_authentication', acr_values: 'urn:mfa', max_age: '5' }]],
    ['a parameter twice: the first counts', ['Bearer error="a", error="b"'], [{ scheme: 'Bearer', error: 'a' }]],
  ])('T8 %s', (_case, headers, expected) => {
    expect(read(...headers)).toEqual(expected);
  });

  test('T8 whatever a server sends, reading it does not throw, and ends', () => {
    const piece = fc.oneof(fc.constantFrom('Bearer', 'error', '=', '"', '\\', ',', ' ', '\t', 'a=b', '__proto__="x"', '===', '"\\'), fc.string({ maxLength: 5 }));
    fc.assert(fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const found = challenges({ headers: { get: () => pieces.join('') } as unknown as Headers });
      for (const { scheme } of found) expect(scheme).toBeTypeOf('string');
    }), { numRuns: 2_000 });
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  test('T8 64 kB of quotes are read to their end', () => {
    const [challenge] = challenges({ headers: { get: () => `Bearer a="${'\\"'.repeat(16_000)}${'"a='.repeat(16_000)}` } as unknown as Headers });
    expect(challenge).toMatchObject({ scheme: 'Bearer', a: '"'.repeat(16_000) });
  });
});

describe('closing', () => {
  test('waits for the request that was sent, and its caller gets the token', async () => {
    const { tokens } = machineClient(server);
    const hold = server.hold();
    const token = tokens.clientCredentials().getToken();
    await hold.arrived;
    let closed = false;
    const closing = tokens.close().then(() => { closed = true; });
    await nextTurn();
    expect(closed).toBe(false);
    hold.release();
    await closing;
    expect(await token).toMatchObject({ value: 'at-1' });
  });

  test('hands out tokens that are still good, and sends nothing for others', async () => {
    const { tokens } = machineClient(server);
    const source = tokens.clientCredentials();
    const token = await source.getToken();
    await tokens.close();
    await tokens.close();
    expect(await source.getToken()).toBe(token);
    expect(await tokens.clientCredentials().getToken()).toBe(token);
    const failure = await failureOf(tokens.clientCredentials({ scope: 'other' }).getToken());
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: false });
    expect(failure.message).toContain('closed');
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('resolves at once where nothing was sent', async () => {
    const { tokens } = machineClient(server);
    tokens.clientCredentials();
    await tokens.close();
    expect(server.requests).toEqual([]);
  });

  test('takes no longer than the timeout, though the server hangs', async () => {
    const { tokens } = machineClient(server, { timeout: 80 });
    server.answersEvery(hang());
    const failure = failureOf(tokens.clientCredentials().getToken());
    await server.tokenRequestArrives();
    await tokens.close();
    expect(await failure).toMatchObject({ code: 'timeout' });
  });

  test('a request under way that fails is not sent again', async () => {
    const { tokens } = machineClient(server);
    const hold = server.hold();
    const failure = tokens.clientCredentials().getToken().then(() => undefined, (thrown: unknown) => thrown);
    await hold.arrived;
    const closing = tokens.close();
    hold.release({ status: 503 });
    await closing;
    expect(server.tokenRequests).toHaveLength(1);
    expect(await failure).toMatchObject({ status: 503 });
  });

  test('a discovery under way is not followed by a token request', async () => {
    const { tokens } = machineClient(server, { issuer: server.issuer });
    const hold = server.openidConfiguration.hold();
    const outcome = tokens.clientCredentials().getToken().catch(() => undefined);
    await hold.arrived;
    const closing = tokens.close();
    hold.release();
    await closing;
    await outcome;
    expect(server.tokenRequests).toHaveLength(0);
  });
});

test('the secret is in the request and in nothing else that the server sees', async () => {
  const { tokens } = machineClient(server, { issuer: server.issuer });
  await tokens.clientCredentials().getToken();
  const [discovery] = server.discoveryRequests;
  expect(JSON.stringify(discovery?.rawHeaders)).not.toContain(CLIENT_SECRET);
  expect(discovery?.headers.authorization).toBeUndefined();
});
