import { createHash } from 'node:crypto';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, generateKeyPair, jwtVerify, type JSONWebKeySet, type JWTPayload } from 'jose';
import { afterEach, describe, expect, test } from 'vitest';
import { hang, lose } from './support/answers.js';
import { startAuthorizationServer, type AuthorizationServer, type AuthorizationServerOptions } from './support/authorization-server.js';
import { ManualClock } from './support/clock.js';
import { followLogin, submitLogin } from './support/user-agent.js';

const VERIFIER = 'v'.repeat(43);
const REDIRECT_URI = 'https://app.example.com/callback';

const opened: AuthorizationServer[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((server) => server.close()));
});

async function authorizationServer(options?: AuthorizationServerOptions): Promise<AuthorizationServer> {
  const server = await startAuthorizationServer(options);
  opened.push(server);
  return server;
}

/** With everything that the server demands; `undefined` leaves a parameter out. */
function loginUrl(server: AuthorizationServer, change: Record<string, string | string[] | undefined> = {}): string {
  const parameters = {
    response_type: 'code',
    client_id: 'app',
    redirect_uri: REDIRECT_URI,
    state: 's-1',
    scope: 'openid offline_access read',
    code_challenge: createHash('sha256').update(VERIFIER).digest('base64url'),
    code_challenge_method: 'S256',
    ...change,
  };
  const query = new URLSearchParams(Object.entries(parameters).flatMap(([name, value = []]) => [value].flat().map((each): [string, string] => [name, each])));
  return `${server.origin}/authorize?${query.toString()}`;
}

interface TokenAnswer {
  status: number;
  access_token: string;
  refresh_token: string;
  id_token: string;
  [member: string]: unknown;
}

async function ask(server: AuthorizationServer, parameters: Record<string, string>): Promise<TokenAnswer> {
  const response = await fetch(server.tokenEndpoint, { method: 'POST', body: new URLSearchParams({ client_id: 'app', ...parameters }) });
  return { ...await response.json() as TokenAnswer, status: response.status };
}

async function codeOf(server: AuthorizationServer, change?: Record<string, string | string[] | undefined>): Promise<string> {
  return new URL(await followLogin(loginUrl(server, change))).searchParams.get('code') ?? '';
}

async function exchange(server: AuthorizationServer, code: string, change: Record<string, string> = {}): Promise<TokenAnswer> {
  return ask(server, { grant_type: 'authorization_code', code, redirect_uri: REDIRECT_URI, code_verifier: VERIFIER, ...change });
}

async function signedIn(server: AuthorizationServer, change?: Record<string, string | string[] | undefined>): Promise<TokenAnswer> {
  return exchange(server, await codeOf(server, change));
}

async function refresh(server: AuthorizationServer, token: string, change: Record<string, string> = {}): Promise<TokenAnswer> {
  return ask(server, { grant_type: 'refresh_token', refresh_token: token, ...change });
}

async function verified(server: AuthorizationServer, idToken: string): Promise<JWTPayload> {
  const keys = await (await fetch(server.metadata.jwks_uri ?? '')).json() as JSONWebKeySet;
  const { payload } = await jwtVerify(idToken, createLocalJWKSet(keys), { issuer: server.issuer, audience: 'app', currentDate: new Date(server.clock.now()) });
  return payload;
}

describe('authorization endpoint', () => {
  test('sends the browser back at once, to the redirect URI as it was spelled', async () => {
    const server = await authorizationServer();
    const callback = await followLogin(loginUrl(server, { redirect_uri: 'HTTPS://App.example.com?a=%7e', resource: ['https://a.example', 'https://b.example'] }));
    expect(callback).toBe(`HTTPS://App.example.com?a=%7e&code=code-1&state=s-1&iss=${encodeURIComponent(server.issuer)}`);
    expect(server.authorizationRequests[0]?.getAll('resource')).toEqual(['https://a.example', 'https://b.example']);
    delete server.metadata.authorization_response_iss_parameter_supported;
    expect(await followLogin(loginUrl(server))).toBe(`${REDIRECT_URI}?code=code-2&state=s-1`);
  });

  test.each<[string, Record<string, string | string[] | undefined>]>([
    ['client_id is missing', { client_id: undefined }],
    ['client_id is missing or unknown', { client_id: 'constructor' }],
    ['client_id is there more than once', { client_id: ['app', 'app'] }],
    ['redirect_uri', { redirect_uri: '/callback' }],
    ['response_type', { response_type: 'token' }],
    ['code_challenge', { code_challenge: VERIFIER.slice(1) }],
    ['code_challenge_method', { code_challenge_method: undefined }],
  ])('says on the spot what is wrong: %s', async (complaint, change) => {
    const server = await authorizationServer({ clients: { app: 'secret' } });
    await expect(followLogin(loginUrl(server, change))).rejects.toThrow(complaint);
    expect(server.grants).toEqual([]);
  });

  test('denies the next login, and no other', async () => {
    const server = await authorizationServer();
    server.deniesNextLoginWith('access_denied', 'not today');
    expect(Object.fromEntries(new URL(await followLogin(loginUrl(server))).searchParams))
      .toEqual({ error: 'access_denied', error_description: 'not today', state: 's-1', iss: server.issuer });
    expect(await codeOf(server)).toBe('code-1');
  });

  test('answers with a form that posts, if asked to', async () => {
    const server = await authorizationServer();
    const request = await submitLogin(loginUrl(server, { response_mode: 'form_post', state: '"<&amp;>"', redirect_uri: `${REDIRECT_URI}?a=1&b=2` }));
    expect([request.method, request.url]).toEqual(['POST', `${REDIRECT_URI}?a=1&b=2`]);
    expect(Object.fromEntries(new URLSearchParams(await request.text()))).toEqual({ code: 'code-1', state: '"<&amp;>"', iss: server.issuer });
  });
});

describe('authorization codes', () => {
  test.each([
    ['read', ['access_token', 'expires_in', 'scope', 'token_type']],
    ['offline_access', ['access_token', 'expires_in', 'refresh_token', 'scope', 'token_type']],
    ['openid', ['access_token', 'expires_in', 'id_token', 'scope', 'token_type']],
    [undefined, ['access_token', 'expires_in', 'token_type']],
  ])('bring what the scope says: %s', async (scope, members) => {
    const server = await authorizationServer();
    const { status, ...tokens } = await signedIn(server, { scope });
    expect([status, Object.keys(tokens).sort()]).toEqual([200, members]);
  });

  test('bring a refresh token without offline_access too, if told to', async () => {
    const server = await authorizationServer();
    server.alwaysRefreshToken = true;
    expect(await signedIn(server, { scope: 'read' })).toMatchObject({ refresh_token: 'rt-1' });
  });

  test.each([
    ['another verifier', { code_verifier: VERIFIER.toUpperCase() }],
    ['no verifier', { code_verifier: '' }],
    ['another redirect URI', { redirect_uri: `${REDIRECT_URI}/` }],
    ['another client', { client_id: 'other' }],
    ['another code', { code: 'code-2' }],
  ])('are refused with %s', async (_case, change) => {
    const server = await authorizationServer();
    expect(await exchange(server, await codeOf(server), change)).toMatchObject({ status: 400, error: 'invalid_grant' });
    expect(server.issued).toEqual([]);
  });

  test('need the client to prove who it is', async () => {
    const server = await authorizationServer({ clients: { app: 'secret' } });
    const code = await codeOf(server);
    expect(await exchange(server, code, { client_secret: 'other' })).toMatchObject({ status: 401, error: 'invalid_client' });
    expect(await exchange(server, code, { client_secret: 'secret' })).toMatchObject({ status: 200 });
  });

  test('kill the grant when they come a second time', async () => {
    const server = await authorizationServer();
    const code = await codeOf(server);
    const { refresh_token: token } = await exchange(server, code);
    expect(await exchange(server, code)).toMatchObject({ status: 400, error: 'invalid_grant' });
    expect(await refresh(server, token)).toMatchObject({ status: 400, error: 'invalid_grant' });
  });
});

describe('refresh tokens', () => {
  test('rotate, and one that comes back kills the whole grant', async () => {
    const server = await authorizationServer();
    const { refresh_token: first } = await signedIn(server);
    const { refresh_token: ofAnother } = await signedIn(server);
    const { refresh_token: second } = await refresh(server, first);
    const { refresh_token: third } = await refresh(server, second);
    expect([first, ofAnother, second, third]).toEqual(['rt-1', 'rt-2', 'rt-3', 'rt-4']);
    expect([server.reuses, server.grants[0]?.alive]).toEqual([0, true]);
    expect(await refresh(server, second)).toMatchObject({ status: 400, error: 'invalid_grant' });
    expect([server.reuses, server.grants[0]?.alive]).toEqual([1, false]);
    expect(await refresh(server, third)).toMatchObject({ status: 400, error: 'invalid_grant' });
    expect(server.issued.map(({ accessToken, refreshToken }) => [accessToken, refreshToken])).toEqual([['at-1', 'rt-1'], ['at-2', 'rt-2'], ['at-3', 'rt-3'], ['at-4', 'rt-4']]);
    expect(await refresh(server, ofAnother)).toMatchObject({ status: 200, refresh_token: 'rt-5' });
  });

  test('are taken again within the grace period, and not a millisecond longer', async () => {
    const server = await authorizationServer();
    const clock = new ManualClock();
    Object.assign(server, { clock, graceMs: 1000 });
    await signedIn(server);
    await refresh(server, 'rt-1');
    clock.advance(999);
    expect(await refresh(server, 'rt-1')).toMatchObject({ status: 200, refresh_token: 'rt-3' });
    expect(await refresh(server, 'rt-2')).toMatchObject({ status: 200, refresh_token: 'rt-4' });
    clock.advance(1);
    expect(await refresh(server, 'rt-2')).toMatchObject({ status: 200, refresh_token: 'rt-5' });
    expect(await refresh(server, 'rt-1')).toMatchObject({ status: 400, error: 'invalid_grant' });
    expect(await refresh(server, 'rt-5')).toMatchObject({ status: 400, error: 'invalid_grant' });
    expect(server.reuses).toBe(1);
  });

  test('stay good without rotation', async () => {
    const server = await authorizationServer();
    server.rotation = 'keep';
    await signedIn(server);
    for (const accessToken of ['at-2', 'at-3']) {
      const tokens = await refresh(server, 'rt-1');
      expect(tokens).toMatchObject({ access_token: accessToken });
      expect(tokens).not.toHaveProperty('refresh_token');
    }
  });

  test('have rotated even if the answer is lost', async () => {
    const server = await authorizationServer();
    await signedIn(server);
    server.answersNext(lose());
    await expect(refresh(server, 'rt-1')).rejects.toThrow('fetch failed');
    expect(server.issued.at(-1)).toEqual({ accessToken: 'at-2', refreshToken: 'rt-2', grantId: 'grant-1', scope: 'openid offline_access read', resource: [] });
    expect(await refresh(server, 'rt-1')).toMatchObject({ error: 'invalid_grant' });
    expect([server.reuses, server.mostRefreshesAtOnce]).toEqual([1, 1]);
  });

  test('give tokens for what the request names; asking for more than was granted spends none', async () => {
    const server = await authorizationServer();
    await signedIn(server, { resource: 'https://a.example' });
    expect(await refresh(server, 'rt-1', { scope: 'read write' })).toMatchObject({ status: 400, error: 'invalid_scope' });
    expect(await refresh(server, 'rt-1', { scope: 'read', resource: 'https://b.example' })).toMatchObject({ scope: 'read' });
    expect(await refresh(server, 'rt-2')).toMatchObject({ scope: 'openid offline_access read' });
    expect(server.issued.map(({ scope, resource }) => [scope, ...resource])).toEqual([
      ['openid offline_access read', 'https://a.example'],
      ['read', 'https://b.example'],
      ['openid offline_access read', 'https://a.example'],
    ]);
  });

  test('are counted while they are being answered, one grant at a time', async () => {
    const server = await authorizationServer();
    server.rotation = 'keep';
    await signedIn(server);
    await signedIn(server);
    await refresh(server, 'rt-1');
    const holds = [server.hold(), server.hold(), server.hold()];
    const others = [refresh(server, 'rt-1'), refresh(server, 'rt-2')];
    await server.tokenRequestArrives(5);
    expect(server.mostRefreshesAtOnce).toBe(1);
    const second = refresh(server, 'rt-1');
    await server.tokenRequestArrives(6);
    expect(server.mostRefreshesAtOnce).toBe(2);
    for (const hold of holds) hold.release();
    await Promise.all([...others, second]);
    await refresh(server, 'rt-1');
    expect(server.mostRefreshesAtOnce).toBe(2);
  });

  test('are being answered as long as the server hangs', async () => {
    const server = await authorizationServer();
    await signedIn(server);
    server.answersNext(hang());
    const hanging = expect(refresh(server, 'rt-1')).rejects.toThrow('fetch failed');
    await server.tokenRequestArrives(2);
    await refresh(server, 'rt-1');
    expect(server.mostRefreshesAtOnce).toBe(2);
    await server.close();
    await hanging;
  });

  test('end when an administrator says so', async () => {
    const server = await authorizationServer();
    for (let logins = 0; logins < 3; logins += 1) await signedIn(server);
    server.killGrant('grant-2');
    expect(await refresh(server, 'rt-2')).toMatchObject({ status: 400, error: 'invalid_grant' });
    expect(await refresh(server, 'rt-1')).toMatchObject({ status: 200 });
    server.killAllGrants();
    expect(await refresh(server, 'rt-3')).toMatchObject({ status: 400, error: 'invalid_grant' });
    expect(server.reuses).toBe(0);
  });

  test('end when they are revoked, unless the script says otherwise', async () => {
    const server = await authorizationServer({ clients: { app: 'secret' } });
    await exchange(server, await codeOf(server), { client_secret: 'secret' });
    const revoke = async (token: string, secret = 'secret'): Promise<number> => {
      const body = new URLSearchParams({ client_id: 'app', client_secret: secret, token, token_type_hint: 'refresh_token' });
      return (await fetch(server.metadata.revocation_endpoint ?? '', { method: 'POST', body })).status;
    };
    server.at('/revoke').answersNext({ status: 503 });
    expect([await revoke('rt-1', 'other'), await revoke('rt-1', 'other'), server.grants[0]?.alive]).toEqual([503, 401, true]);
    expect([await revoke('rt-1'), server.grants[0]?.alive]).toEqual([200, false]);
    expect(await revoke('unknown')).toBe(200);
    expect(server.revocations.map(({ token, hint }) => [token, hint])).toEqual([...Array<string[]>(3).fill(['rt-1', 'refresh_token']), ['unknown', 'refresh_token']]);
  });
});

describe('token answers', () => {
  test('are bent once', async () => {
    const server = await authorizationServer();
    server.nextTokenAnswerWith({ expires_in: 'abc', token_type: undefined, refresh_token: '' });
    const tokens = await signedIn(server);
    expect(tokens).toMatchObject({ access_token: 'at-1', expires_in: 'abc', refresh_token: '' });
    expect(tokens).not.toHaveProperty('token_type');
    expect(await refresh(server, 'rt-1')).toMatchObject({ expires_in: 3600, token_type: 'Bearer', refresh_token: 'rt-2' });
  });
});

describe('ID tokens', () => {
  test.each(['RS256', 'ES256', 'EdDSA'] as const)('are signed with %s, for this login and this client', async (idTokenAlg) => {
    const server = await authorizationServer({ idTokenAlg });
    server.clock = new ManualClock();
    const iat = server.clock.now() / 1000;
    const { id_token: atLogin } = await signedIn(server, { nonce: 'n-1', max_age: '60' });
    expect(decodeProtectedHeader(atLogin)).toEqual({ alg: idTokenAlg, kid: `${idTokenAlg}-1` });
    const claims = { iss: server.issuer, sub: 'user-1', aud: 'app', iat, exp: iat + 3600, auth_time: iat };
    expect(await verified(server, atLogin)).toEqual({ ...claims, nonce: 'n-1' });
    expect(await verified(server, (await refresh(server, 'rt-1')).id_token)).toEqual(claims);
    server.idTokenOnRefresh = false;
    expect(await refresh(server, 'rt-2')).not.toHaveProperty('id_token');
    server.subject = 'user-2';
    expect(await verified(server, (await signedIn(server)).id_token)).toEqual({ ...claims, sub: 'user-2', auth_time: undefined });
  });

  test('are bent once', async () => {
    const server = await authorizationServer();
    server.nextIdTokenWith({ iss: 'https://evil.example', nonce: undefined, azp: 'x' }, { kid: undefined });
    const { id_token: bent } = await signedIn(server, { nonce: 'n-1' });
    expect(decodeJwt(bent)).toMatchObject({ iss: 'https://evil.example', azp: 'x', aud: 'app' });
    expect(decodeJwt(bent)).not.toHaveProperty('nonce');
    expect(decodeProtectedHeader(bent)).toEqual({ alg: 'RS256' });
    expect(await verified(server, (await signedIn(server, { nonce: 'n-1' })).id_token)).toMatchObject({ nonce: 'n-1' });
  });

  test('are signed once with whatever a test names', async () => {
    const server = await authorizationServer();
    const secret = Buffer.from('a secret of thirty-two bytes, or more');
    const { privateKey } = await generateKeyPair('RS256');
    server.signsNextIdTokenWith(privateKey);
    await expect(verified(server, (await signedIn(server)).id_token)).rejects.toThrow('signature verification failed');
    server.signsNextIdTokenWith(secret);
    expect((await jwtVerify((await signedIn(server)).id_token, secret)).protectedHeader.alg).toBe('HS256');
    server.signsNextIdTokenWith('none');
    const { id_token: unsecured } = await signedIn(server);
    expect(decodeProtectedHeader(unsecured)).toEqual({ alg: 'none' });
    expect(unsecured).toMatch(/^[\w-]+\.[\w-]+\.$/);
    expect(await verified(server, (await signedIn(server)).id_token)).toMatchObject({ sub: 'user-1' });
  });

  test('are signed by another key after a rotation, and the old one is no longer served', async () => {
    const server = await authorizationServer();
    const { id_token: before } = await signedIn(server);
    server.rotateSigningKey();
    const { id_token: after } = await signedIn(server);
    expect(await verified(server, after)).toMatchObject({ sub: 'user-1' });
    await expect(verified(server, before)).rejects.toThrow('no applicable key found');
    server.at('/jwks').answersNext({ json: { keys: [] } });
    await expect(verified(server, after)).rejects.toThrow('no applicable key found');
    expect(server.jwksRequests).toHaveLength(3);
  });
});
