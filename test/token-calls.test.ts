import { createTokenManager, type TokenManager, type TokenManagerOptions } from 'grantkeeper';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { hang } from './support/answers.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { failureOf } from './support/failure.js';
import { CLIENT_SECRET, machineClient } from './support/machine-client.js';
import { startOidcProvider, type OidcProvider } from './support/oidc-provider.js';

describe('at a scripted server', () => {
  let server: AuthorizationServer;

  beforeEach(async () => {
    server = await startAuthorizationServer();
    server.metadata['introspection_endpoint'] = `${server.origin}/introspect`;
  });

  afterEach(async () => {
    await server.close();
  });

  const client = (options: Partial<TokenManagerOptions> = {}): TokenManager =>
    createTokenManager({ issuer: server.issuer, clientId: 'billing', clientSecret: CLIENT_SECRET, retry: { minDelay: 0 }, allowInsecureRequests: true, ...options });
  const formAt = (path: string): Record<string, string> => Object.fromEntries(new URLSearchParams(server.requests.findLast((request) => request.path === path)?.body.toString()));

  test('revoke() says what kind of token it is, where it knows or is told', async () => {
    const tokens = client();
    server.at('/revoke').answersEvery({ status: 200 });
    await tokens.revoke(await tokens.clientCredentials().getToken());
    expect(formAt('/revoke')).toEqual({ token: 'at-1', token_type_hint: 'access_token' });
    await tokens.revoke('rt-of-somebody', { tokenTypeHint: 'refresh_token' });
    expect(formAt('/revoke')).toEqual({ token: 'rt-of-somebody', token_type_hint: 'refresh_token' });
    await tokens.revoke('anything');
    expect(formAt('/revoke')).toEqual({ token: 'anything' });
  });

  test('a token that was revoked is served no more, and one that could not be is', async () => {
    const tokens = client();
    const source = tokens.clientCredentials();
    const first = await source.getToken();
    server.at('/revoke').answersNext({ status: 503 });
    expect(await failureOf(tokens.revoke(first))).toMatchObject({ code: 'token_request_failed', status: 503, retryable: true, message: expect.stringContaining('The revocation endpoint') as string });
    expect(await source.getToken()).toBe(first);
    server.at('/revoke').answersEvery({ status: 200 });
    await tokens.revoke(first);
    expect((await source.getToken()).value).not.toBe(first.value);
  });

  test('nor is it served where no other can be had', async () => {
    const tokens = client({ retry: { limit: 0 } });
    const source = tokens.clientCredentials();
    const first = await source.getToken();
    server.at('/revoke').answersEvery({ status: 200 });
    await tokens.revoke(first);
    server.answersEvery({ status: 503 });
    for (let calls = 0; calls < 2; calls += 1) expect(await failureOf(source.getToken())).toMatchObject({ code: 'token_request_failed', status: 503 });
  });

  test('introspect() tells what the server says, its words in ours', async () => {
    const answer = { active: true, scope: 'read', client_id: 'other', sub: 'user-1', exp: 1_700_000_000, custom: { deep: 1 } };
    server.at('/introspect').answersEvery({ json: answer });
    const introspection = await client().introspect('at-of-somebody', { tokenTypeHint: 'access_token' });
    expect(introspection).toEqual({ active: true, scope: 'read', clientId: 'other', subject: 'user-1', expiresAt: 1_700_000_000_000, claims: answer });
    expect(Object.isFrozen(introspection)).toBe(true);
    expect(formAt('/introspect')).toEqual({ token: 'at-of-somebody', token_type_hint: 'access_token' });
  });

  test('an expiry that no clock reaches is none', async () => {
    server.at('/introspect').answersEvery({ body: '{"active":true,"exp":1e999}', headers: { 'content-type': 'application/json' } });
    expect(await client().introspect('at')).not.toHaveProperty('expiresAt');
  });

  test.each<[string, object]>([
    ['something else than an answer', { json: { hello: 'world' } }],
    ['a text for `active`', { json: { active: 'true' } }],
    ['HTML', { body: '<html>', headers: { 'content-type': 'text/html' } }],
  ])('an introspection that is %s is no answer', async (_case, answer) => {
    server.at('/introspect').answersEvery(answer);
    expect(await failureOf(client().introspect('at'))).toMatchObject({ code: 'invalid_response', status: 200 });
  });

  test('a secret that is a function is asked again after `invalid_client`', async () => {
    let secret = 0;
    server.at('/introspect').answersNext({ status: 401, json: { error: 'invalid_client' } }, { json: { active: false } });
    expect(await client({ clientSecret: () => `secret-${(secret += 1)}` }).introspect('at')).toEqual({ active: false, claims: { active: false } });
    expect(secret).toBe(2);
  });

  test('S1 an endpoint may echo the token', async () => {
    server.at('/introspect').answersEvery({ status: 400, json: { error: 'invalid_request', error_description: 'what is canary-token?' } });
    const failure = await failureOf(client().introspect('canary-token'));
    expect(failure.errorDescription).toBe('what is [redacted]?');
  });

  test('a server without the endpoint', async () => {
    const { tokens } = machineClient(server);
    expect(await failureOf(tokens.introspect('at'))).toMatchObject({ code: 'invalid_configuration', message: expect.stringContaining('`introspection_endpoint`') as string });
    expect(await failureOf(tokens.revoke('at'))).toMatchObject({ code: 'invalid_configuration', message: expect.stringContaining('`revocation_endpoint`') as string });
  });

  test('one that hangs is a timeout, and an abort is the caller\'s own reason', async () => {
    server.at('/introspect').answersEvery(hang());
    expect(await failureOf(client({ timeout: 200 }).introspect('at'))).toMatchObject({ code: 'timeout', retryable: true });
    const controller = new AbortController();
    const waiting = client().introspect('at', { signal: controller.signal });
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });

  test.each<unknown>(['', 7, undefined, null, { value: 7 }])('what is no token is refused: %j', async (token) => {
    for (const call of ['revoke', 'introspect'] as const) expect(await failureOf(client()[call](token as string))).toMatchObject({ code: 'invalid_configuration', message: expect.stringContaining(`${call}: the token must be`) as string });
    expect(server.requests).toEqual([]);
  });

  test('after close() nothing is looked into, but what was begun can still be ended', async () => {
    const tokens = client();
    server.at('/revoke').answersEvery({ status: 200 });
    await tokens.close();
    expect(await failureOf(tokens.introspect('at'))).toMatchObject({ code: 'invalid_configuration' });
    await tokens.revoke('at');
  });
});

describe('a real authorization server', () => {
  let provider: OidcProvider;

  beforeAll(async () => {
    provider = await startOidcProvider({ jwt: false, clients: [{ client_id: 'billing', client_secret: 'an-ordinary.secret_1' }] });
  });

  afterAll(async () => {
    await provider.close();
  });

  test('knows a token until it\'s revoked', async () => {
    const tokens = createTokenManager({ issuer: provider.issuer, clientId: 'billing', clientSecret: 'an-ordinary.secret_1', allowInsecureRequests: true });
    const token = await tokens.clientCredentials({ scope: 'read' }).getToken();
    expect(await tokens.introspect(token)).toMatchObject({ active: true, scope: 'read', clientId: 'billing' });
    await tokens.revoke(token);
    expect(await tokens.introspect(token.value)).toEqual({ active: false, claims: { active: false } });
  });
});
