import { createPublicKey, generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { decodeJwt, decodeProtectedHeader, jwtVerify, SignJWT } from 'jose';
import { clientAssertion, clientSecretJwt, createTokenManager, OAuthError, privateKeyJwt, type ClientAuthentication, type ClientSecretJwtOptions, type PrivateKey, type PrivateKeyJwtOptions, type TokenManager, type TokenManagerOptions } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { reset, type Reply } from './support/answers.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { everySpelling, textsOf } from './support/canary.js';
import { ManualClock } from './support/clock.js';
import { deferred } from './support/deferred.js';
import { eventually } from './support/eventually.js';
import { failureOf, thrownBy } from './support/failure.js';
import type { ReceivedTokenRequest } from './support/token-request.js';

const SECRET = 'correct-horse-battery-staple';
const NOW = Date.UTC(2026, 0, 1) / 1_000;

const newKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const jwkOf = (key: KeyObject): JsonWebKey => key.export({ format: 'jwk' });
const pemOf = (key: KeyObject): string => key.export({ format: 'pem', type: 'pkcs8' }).toString();
const key = newKey();
const otherKey = newKey();
const rsaKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;

let server: AuthorizationServer;
let clock: ManualClock;

beforeEach(async () => {
  server = await startAuthorizationServer();
  clock = new ManualClock();
});

afterEach(async () => {
  await server.close();
});

function client(clientAuthentication: ClientAuthentication, options: Partial<TokenManagerOptions> = {}): TokenManager {
  return createTokenManager({ ...options.server === undefined && { issuer: server.issuer }, clientId: 'billing', clientAuthentication, clock, retry: { minDelay: 0 }, allowInsecureRequests: true, ...options });
}

async function sentBy(clientAuthentication: ClientAuthentication, options: Partial<TokenManagerOptions> = {}): Promise<ReceivedTokenRequest> {
  await client(clientAuthentication, options).clientCredentials().getToken();
  return server.lastTokenRequest;
}

const assertionOf = ({ parameters }: ReceivedTokenRequest): string => parameters.get('client_assertion') ?? '';
const assertions = (): string[] => server.tokenRequests.map(assertionOf);
const refused: Reply = { status: 401, json: { error: 'invalid_client' } };

/** By which of the keys each assertion was signed. */
async function signers(keys: Record<string, KeyObject>): Promise<(string | undefined)[]> {
  return Promise.all(assertions().map(async (assertion) => {
    const verified = await Promise.all(Object.entries(keys).map(async ([name, privateKey]) =>
      jwtVerify(assertion, createPublicKey(privateKey), { currentDate: new Date(clock.now()) }).then(() => name, () => undefined)));
    return verified.find((name) => name !== undefined);
  }));
}

describe('what is sent', () => {
  test.each<[string, ClientAuthentication, Record<string, unknown>]>([
    ['privateKeyJwt', privateKeyJwt(key), { alg: 'ES256' }],
    ['privateKeyJwt with a kid', privateKeyJwt(key, { kid: 'k1' }), { alg: 'ES256', kid: 'k1' }],
    ['privateKeyJwt of a JWK with a kid', privateKeyJwt({ ...jwkOf(key), kid: 'k2' }), { alg: 'ES256', kid: 'k2' }],
    ['privateKeyJwt with another algorithm', privateKeyJwt(rsaKey, { alg: 'PS384' }), { alg: 'PS384' }],
    ['clientSecretJwt', clientSecretJwt(SECRET), { alg: 'HS256' }],
    ['clientSecretJwt with another algorithm', clientSecretJwt(SECRET, { alg: 'HS512' }), { alg: 'HS512' }],
  ])('by %s: these parameters, this header and these claims', async (_case, authentication, header) => {
    clock.advance(999);
    const request = await sentBy(authentication);
    expect(request.headers.authorization).toBeUndefined();
    expect([...request.parameters.keys()].sort()).toEqual(['client_assertion', 'client_assertion_type', 'client_id', 'grant_type']);
    expect(request.parameters.get('client_id')).toBe('billing');
    expect(request.parameters.get('client_assertion_type')).toBe('urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
    expect(decodeProtectedHeader(assertionOf(request))).toEqual(header);
    const { jti, ...claims } = decodeJwt(assertionOf(request));
    expect(claims).toEqual({ iss: 'billing', sub: 'billing', aud: server.issuer, iat: NOW, exp: NOW + 60 });
    expect(Buffer.from(jti ?? '', 'base64url').length).toBeGreaterThanOrEqual(16);
  });

  test.each(['HS256', 'HS384', 'HS512'] as const)('%s by a secret, also by one that is shorter than the hash', async (alg) => {
    for (const secret of [SECRET, 'é', 'x'.repeat(200)]) {
      const request = await sentBy(clientSecretJwt(secret, { alg }));
      await jwtVerify(assertionOf(request), Buffer.from(secret), { algorithms: [alg], currentDate: new Date(clock.now()) });
    }
  });

  test.each<[string, { audience?: string }, (server: AuthorizationServer) => string]>([
    ['is the issuer', {}, ({ issuer }) => issuer],
    ['is the token endpoint on request', { audience: 'token_endpoint' }, ({ tokenEndpoint }) => tokenEndpoint],
    ['is any other text on request', { audience: 'https://login.example.com/tenant' }, () => 'https://login.example.com/tenant'],
  ])('the audience %s', async (_case, options, expected) => {
    for (const authentication of [privateKeyJwt(key, options), clientSecretJwt(SECRET, options)]) {
      expect(decodeJwt(assertionOf(await sentBy(authentication))).aud).toBe(expected(server));
    }
  });

  test('the audience is the token endpoint where no issuer is known', async () => {
    const metadata = { token_endpoint: server.tokenEndpoint };
    expect(decodeJwt(assertionOf(await sentBy(privateKeyJwt(key), { server: metadata }))).aud).toBe(server.tokenEndpoint);
    expect(decodeJwt(assertionOf(await sentBy(clientSecretJwt(SECRET), { server: metadata }))).aud).toBe(server.tokenEndpoint);
  });

  test('the issuer is spelled as the server spells it', async () => {
    await using tenant = await startAuthorizationServer({ issuerPath: '/tenant/' });
    await client(privateKeyJwt(key), { issuer: tenant.issuer }).clientCredentials().getToken();
    expect(decodeJwt(assertionOf(tenant.lastTokenRequest)).aud).toBe(`${tenant.origin}/tenant/`);
  });

  test.each<[string, () => ClientAuthentication, unknown, string]>([
    ['HS384 where that is the first of ours', () => clientSecretJwt(SECRET), ['RS256', 'HS512', 'HS384'], 'HS384'],
    ['HS256 where none of ours is listed', () => clientSecretJwt(SECRET), ['RS256'], 'HS256'],
    ['the one that was named', () => clientSecretJwt(SECRET, { alg: 'HS256' }), ['HS512'], 'HS256'],
    ['PS256 where RS256 is not listed', () => privateKeyJwt(rsaKey), ['HS256', 'PS256'], 'PS256'],
    ['RS256 where the list is none', () => privateKeyJwt(rsaKey), 'PS256', 'RS256'],
  ])('of the algorithms that the server lists: %s', async (_case, authentication, listed, expected) => {
    server.metadata['token_endpoint_auth_signing_alg_values_supported'] = listed;
    expect(decodeProtectedHeader(assertionOf(await sentBy(authentication()))).alg).toBe(expected);
  });
});

describe('T2 one method for each request', () => {
  test.each<[string[], string[]]>([
    [['private_key_jwt', 'client_secret_jwt'], ['client_assertion', 'client_assertion_type', 'client_id']],
    [['client_secret_jwt', 'client_secret_post'], ['client_id', 'client_secret']],
    [['client_secret_jwt', 'client_secret_basic'], []],
  ])('T2 a secret, and the server lists %j', async (methods, expected) => {
    server.metadata.token_endpoint_auth_methods_supported = methods;
    await createTokenManager({ issuer: server.issuer, clientId: 'billing', clientSecret: SECRET, clock, allowInsecureRequests: true }).clientCredentials().getToken();
    const { parameters, basic } = server.lastTokenRequest;
    expect([...parameters.keys()].filter((name) => name.startsWith('client_')).sort()).toEqual(expected);
    expect(basic !== undefined).toBe(expected.length === 0);
    if (parameters.has('client_assertion')) await jwtVerify(parameters.get('client_assertion') ?? '', Buffer.from(SECRET), { currentDate: new Date(clock.now()) });
  });

  test('T2 a secret and a server that takes none: all that were tried are named', async () => {
    server.metadata.token_endpoint_auth_methods_supported = ['private_key_jwt'];
    const failure = await failureOf(createTokenManager({ issuer: server.issuer, clientId: 'billing', clientSecret: SECRET, clock, allowInsecureRequests: true }).clientCredentials().getToken());
    expect(failure.message).toContain('none of client_secret_basic, client_secret_post, client_secret_jwt, only private_key_jwt; set `clientAuthentication`');
  });
});

describe('T6 a fresh assertion at every attempt', () => {
  const authentications: [string, () => ClientAuthentication][] = [['privateKeyJwt', () => privateKeyJwt(key)], ['clientSecretJwt', () => clientSecretJwt(SECRET)]];

  test.each(authentications)('T6 %s: another jti, and the time of the attempt', async (_name, authentication) => {
    const unavailable = (): Reply => {
      clock.advance(5_000);
      return { status: 503 };
    };
    server.answersNext(unavailable, reset(), unavailable);
    await client(authentication(), { retry: { limit: 3, minDelay: 0 } }).clientCredentials().getToken();
    const claims = assertions().map((assertion) => decodeJwt(assertion));
    expect(claims.map(({ iat, exp }) => [iat, exp])).toEqual([0, 5, 5, 10].map((seconds) => [NOW + seconds, NOW + seconds + 60]));
    expect(new Set(claims.map(({ jti }) => jti)).size).toBe(4);
  });

  test.each(authentications)('T6 %s: another jti at every request', async (_name, authentication) => {
    const tokens = client(authentication());
    await Promise.all(['a', 'b', 'c'].map(async (scope) => tokens.clientCredentials({ scope }).getToken()));
    expect(new Set(assertions().map((assertion) => decodeJwt(assertion).jti)).size).toBe(3);
  });
});

describe('a key that is a function', () => {
  test.each<[string, (give: () => PrivateKey) => () => PrivateKey | Promise<PrivateKey>]>([
    ['at once', (give) => give],
    ['later', (give) => async () => Promise.resolve(give())],
  ])('is asked on first use and not again, answering %s', async (_case, shape) => {
    const give = vi.fn(() => key);
    const tokens = client(privateKeyJwt(shape(give)));
    tokens.clientCredentials();
    expect(give).not.toHaveBeenCalled();
    await tokens.clientCredentials({ scope: 'a' }).getToken();
    await tokens.clientCredentials({ scope: 'b' }).getToken();
    expect(give).toHaveBeenCalledTimes(1);
    expect(give).toHaveBeenCalledWith();
    expect(await signers({ key })).toEqual(['key', 'key']);
  });

  test('is asked again after invalid_client, and the new key signs from then on', async () => {
    const give = vi.fn<() => PrivateKey>().mockReturnValueOnce(pemOf(key)).mockReturnValueOnce(jwkOf(otherKey));
    const tokens = client(privateKeyJwt(give));
    server.answersNext(refused);
    await tokens.clientCredentials().getToken();
    await tokens.clientCredentials({ scope: 'other' }).getToken();
    expect(await signers({ key, otherKey })).toEqual(['key', 'otherKey', 'otherKey']);
    expect(give).toHaveBeenCalledTimes(2);
  });

  test('that gives the refused key again, in whatever form, costs no second request', async () => {
    const give = vi.fn<() => PrivateKey>().mockReturnValueOnce(pemOf(key)).mockReturnValueOnce(jwkOf(key));
    server.answersEvery(refused);
    expect(await failureOf(client(privateKeyJwt(give)).clientCredentials().getToken())).toMatchObject({ error: 'invalid_client' });
    expect(give).toHaveBeenCalledTimes(2);
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('that gives the key under another id is worth another request', async () => {
    const give = vi.fn<() => PrivateKey>().mockReturnValueOnce({ ...jwkOf(key), kid: 'k1' }).mockReturnValueOnce({ ...jwkOf(key), kid: 'k2' });
    server.answersNext(refused);
    await client(privateKeyJwt(give)).clientCredentials().getToken();
    expect(assertions().map((assertion) => decodeProtectedHeader(assertion).kid)).toEqual(['k1', 'k2']);
  });

  test('is asked once by concurrent callers, and once after concurrent refusals', async () => {
    const answers = [deferred<PrivateKey>(), deferred<PrivateKey>()];
    const give = vi.fn(async () => answers[give.mock.calls.length - 1]?.promise ?? Promise.resolve('one too many'));
    const tokens = client(privateKeyJwt(give));
    const scopes = ['a', 'b', 'c'];
    const asked = scopes.map(async (scope) => tokens.clientCredentials({ scope }).getToken());
    await eventually(() => give.mock.calls.length === 1);
    server.answersNext(...scopes.map(() => refused));
    answers[0]?.resolve(key);
    await eventually(() => server.tokenRequests.length === 3);
    await eventually(() => give.mock.calls.length === 2);
    answers[1]?.resolve(otherKey);
    await Promise.all(asked);
    expect(give).toHaveBeenCalledTimes(2);
    expect(await signers({ key, otherKey })).toEqual(['key', 'key', 'key', 'otherKey', 'otherKey', 'otherKey']);
  });

  class HsmOffline extends Error {}

  test.each<[string, () => unknown, RegExp]>([
    ['throws', () => { throw new HsmOffline('pin 1234'); }, /^privateKeyJwt: the key function threw HsmOffline$/],
    ['rejects', async () => Promise.reject(new HsmOffline('pin 1234')), /threw HsmOffline$/],
    ['returns nothing', () => undefined, /^privateKeyJwt: the key function: the key must be .*received nothing/],
    ['returns a public key', () => createPublicKey(key), /^privateKeyJwt: the key function: a private key is needed, and this is a public key/],
    ['returns a path', async () => Promise.resolve('/run/secrets/key.pem'), /pass what is in the file/],
    ['returns a key of another kind than `alg`', () => rsaKey, /`alg` must be one of RS256, .* received "ES256"/],
  ])('that %s: invalid_configuration, retryable, and nothing is sent', async (_case, give, message) => {
    const failure = await failureOf(client(privateKeyJwt(give as () => PrivateKey, { alg: 'ES256' })).clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: true });
    expect(failure.message).toMatch(message);
    expect(failure.message).not.toContain('1234');
    expect(failure.cause).toBeUndefined();
    expect(server.tokenRequests).toEqual([]);
  });

  test('that was wrong is asked by the next caller again, once the pause is over', async () => {
    const give = vi.fn<() => PrivateKey>().mockReturnValueOnce('not yet').mockReturnValue(key);
    const source = client(privateKeyJwt(give)).clientCredentials();
    await failureOf(source.getToken());
    clock.advance(1_000);
    await source.getToken();
    expect(await signers({ key })).toEqual(['key']);
  });

  test('that hangs costs one timeout', async () => {
    const failure = await failureOf(client(privateKeyJwt(async () => new Promise(() => undefined)), { timeout: 60 }).clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'timeout', retryable: true });
  });
});

describe('a secret for assertions that is a function', () => {
  test('is asked again after invalid_client, and the new secret signs from then on', async () => {
    const give = vi.fn<() => string>().mockReturnValueOnce('old').mockReturnValueOnce('new');
    const tokens = client(clientSecretJwt(give));
    server.answersNext(refused);
    await tokens.clientCredentials().getToken();
    await tokens.clientCredentials({ scope: 'other' }).getToken();
    expect(give).toHaveBeenCalledTimes(2);
    const [first = '', ...later] = assertions();
    await jwtVerify(first, Buffer.from('old'), { currentDate: new Date(clock.now()) });
    for (const assertion of later) await jwtVerify(assertion, Buffer.from('new'), { currentDate: new Date(clock.now()) });
    expect(later).toHaveLength(2);
  });

  test('that throws says so in the name of clientSecretJwt', async () => {
    const failure = await failureOf(client(clientSecretJwt(() => { throw new RangeError(SECRET); })).clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: true, message: 'clientSecretJwt: the secret function threw RangeError' });
  });
});

describe('assertions that others issue', () => {
  let folder: string;
  let file: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'grantkeeper-assertion-'));
    file = join(folder, 'token');
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  const issued = async (jti: string): Promise<string> => new SignJWT({ jti, sub: 'system:serviceaccount:billing:default' }).setProtectedHeader({ alg: 'ES256' }).sign(otherKey);
  const fromFile = (): ClientAuthentication => clientAssertion(async () => readFile(file, 'utf8'));

  test('are sent as they are, white space around them left out', async () => {
    const assertion = await issued('1');
    await writeFile(file, `\n  ${assertion}\r\n`);
    const request = await sentBy(fromFile());
    expect(request.headers.authorization).toBeUndefined();
    expect(Object.fromEntries(request.parameters)).toEqual({
      grant_type: 'client_credentials',
      client_id: 'billing',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    });
  });

  test('T6 are read anew at every attempt, so that a renewed file is picked up', async () => {
    const [first, second] = [await issued('1'), await issued('2')];
    await writeFile(file, first);
    server.answersNext(async () => {
      await writeFile(file, second);
      return { status: 503 };
    });
    const tokens = client(fromFile());
    await tokens.clientCredentials().getToken();
    expect(assertions()).toEqual([first, second]);
    const third = await issued('3');
    await writeFile(file, third);
    await tokens.clientCredentials({ scope: 'other' }).getToken();
    expect(assertions()).toEqual([first, second, third]);
  });

  test('that are refused are sent again if there is another one by then', async () => {
    const [first, second] = [await issued('1'), await issued('2')];
    await writeFile(file, first);
    server.answersNext(async () => {
      await writeFile(file, second);
      return refused;
    });
    expect(await client(fromFile()).clientCredentials().getToken()).toMatchObject({ value: 'at-1' });
    expect(assertions()).toEqual([first, second]);
  });

  test('that are refused and still the same are not sent again', async () => {
    const ask = vi.fn(async () => issued('1').then(() => 'header.claims.signature'));
    server.answersEvery(refused);
    expect(await failureOf(client(clientAssertion(ask)).clientCredentials().getToken())).toMatchObject({ error: 'invalid_client' });
    expect(ask).toHaveBeenCalledTimes(2);
    expect(assertions()).toEqual(['header.claims.signature']);
  });

  test('that are refused, and can\'t be had again: the failure says so', async () => {
    const ask = vi.fn<() => string>().mockReturnValueOnce('a.b.c').mockImplementationOnce(() => { throw new TypeError(); });
    server.answersNext(refused);
    expect(await failureOf(client(clientAssertion(ask)).clientCredentials().getToken())).toMatchObject({ code: 'invalid_configuration', retryable: true, message: 'clientAssertion: the function threw TypeError' });
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('that don\'t come again are waited for until the request\'s signal says so', async () => {
    const ask = vi.fn<() => string | Promise<string>>().mockReturnValueOnce('a.b.c').mockReturnValueOnce(new Promise(() => undefined));
    const request = new AbortController();
    const { renew } = await clientAssertion(ask).authenticate({ clientId: 'billing', parameters: new URLSearchParams(), headers: new Headers(), server: server.metadata, now: clock.now(), signal: request.signal });
    const renewing = renew?.();
    request.abort(new Error('the deadline'));
    await expect(renewing).rejects.toThrow('the deadline');
  });

  test('in a file that isn\'t there: invalid_configuration, retryable, with the class of what was thrown only', async () => {
    const source = client(fromFile()).clientCredentials();
    const failure = await failureOf(source.getToken());
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: true, message: 'clientAssertion: the function threw Error' });
    expect(failure.cause).toBeUndefined();
    expect(server.tokenRequests).toEqual([]);
    await writeFile(file, await issued('1'));
    clock.advance(1_000);
    expect(await source.getToken()).toMatchObject({ value: 'at-1' });
  });

  test.each<[string, unknown, string]>([
    ['nothing', undefined, 'nothing'],
    ['an empty file', '', 'an empty string'],
    ['white space', ' \n', 'a string of 2 characters'],
    ['two parts', 'a.b', 'a string of 3 characters'],
    ['four parts', 'a.b.c.d', 'a string of 7 characters'],
    ['an unsigned JWT', 'a.b.', 'a string of 4 characters'],
    ['an empty part', 'a..c', 'a string of 4 characters'],
    ['other characters', 'a+/.b.c', 'a string of 7 characters'],
    ['a line break within', 'a.\nb.c', 'a string of 6 characters'],
    ['two of them', 'a.b.c a.b.c', 'a string of 11 characters'],
    ['bytes', Buffer.from('a.b.c'), 'an object with 0, 1, 2, 3, 4'],
    ['an object', { token: 'a.b.c' }, 'an object with token'],
  ])('that are none (%s): the failure says what must be returned', async (_case, value, received) => {
    const failure = await failureOf(client(clientAssertion(() => value as string)).clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: true });
    expect(failure.message).toBe(`clientAssertion: the function must return a signed JWT: three parts in base64url with dots between them; it returned ${received}`);
    expect(server.tokenRequests).toEqual([]);
  });

  test('that don\'t come cost one timeout', async () => {
    const failure = await failureOf(client(clientAssertion(async () => new Promise(() => undefined)), { timeout: 60 }).clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'timeout', retryable: true });
  });
});

describe('a refusal says what to look at', () => {
  const own = (method: string, hint?: string): ClientAuthentication => ({ method, ...hint !== undefined && { hint }, authenticate: async () => Promise.resolve({ secrets: [] }) });

  test.each<[string, ClientAuthentication, string[] | undefined, RegExp]>([
    ['private_key_jwt', privateKeyJwt(key), undefined, /invalid_client\)\. The server must know the public half .*set `audience: 'token_endpoint'`$/],
    ['private_key_jwt, for another audience', privateKeyJwt(key, { audience: 'token_endpoint' }), undefined, /another `audience`: most want the issuer, which is the default$/],
    ['an assertion of others', clientAssertion(() => 'a.b.c'), undefined, /The server must trust whoever issued the assertion/],
    ['client_secret_jwt', clientSecretJwt(SECRET), undefined, /If the secret is right, .*`audience: 'token_endpoint'`/],
    ['a method of the user\'s own that has a hint', own('x_own', 'Look there'), undefined, /\(invalid_client\)\. Look there$/],
    ['a method of the user\'s own', own('x_own'), undefined, /\(invalid_client\)$/],
    ['a method that is not listed', own('x_own'), ['private_key_jwt', 'tls_client_auth'], /\(invalid_client\)\. The server's metadata list private_key_jwt, tls_client_auth, not x_own$/],
    ['a method with a hint that is not listed', privateKeyJwt(key), ['client_secret_basic'], /`audience: 'token_endpoint'`\. The server's metadata list client_secret_basic, not private_key_jwt$/],
    ['a method that is listed', own('x_own'), ['x_own', 'tls_client_auth'], /\(invalid_client\)$/],
    ['an empty list', own('x_own'), [], /\(invalid_client\)$/],
  ])('%s', async (_case, authentication, listed, message) => {
    server.metadata.token_endpoint_auth_methods_supported = listed;
    server.metadata['token_endpoint_auth_signing_alg_values_supported'] = undefined;
    server.answersEvery(refused);
    const failure = await failureOf(client(authentication).clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'token_request_failed', error: 'invalid_client' });
    expect(failure.message).toMatch(message);
  });

  test('the algorithms of assertions that are taken, where they are listed', async () => {
    server.metadata['token_endpoint_auth_signing_alg_values_supported'] = ['RS256'];
    server.answersEvery(refused);
    expect((await failureOf(client(privateKeyJwt(key)).clientCredentials().getToken())).message).toMatch(/\. It takes assertions signed with RS256$/);
  });

  test('of another kind has no such hint', async () => {
    server.answersEvery({ status: 400, json: { error: 'invalid_scope' } });
    server.metadata.token_endpoint_auth_methods_supported = ['client_secret_basic'];
    expect((await failureOf(client(privateKeyJwt(key)).clientCredentials().getToken())).message).toMatch(/\(invalid_scope\)$/);
  });
});

describe('what can be seen to be wrong is refused when it is made', () => {
  test.each<[string, () => unknown, RegExp]>([
    ['clientSecretJwt without a secret', () => clientSecretJwt(undefined as unknown as string), /clientSecretJwt: the secret must be a non-empty string.*received nothing$/],
    ['clientSecretJwt with an algorithm of keys', () => clientSecretJwt(SECRET, { alg: 'RS256' } as unknown as ClientSecretJwtOptions), /clientSecretJwt: `alg` must be HS256, HS384 or HS512; for a private key there is privateKeyJwt; received "RS256"/],
    ['clientSecretJwt with alg none', () => clientSecretJwt(SECRET, { alg: 'none' } as unknown as ClientSecretJwtOptions), /`alg` must be HS256/],
    ['clientSecretJwt with an audience that is a URL', () => clientSecretJwt(SECRET, { audience: new URL('https://a.example.com') } as unknown as ClientSecretJwtOptions), /`audience` must be a non-empty string/],
    ['clientSecretJwt with an unknown option', () => clientSecretJwt(SECRET, { kid: 'k1' } as unknown as ClientSecretJwtOptions), /unknown option `kid`/],
    ['privateKeyJwt without a key', () => privateKeyJwt(undefined as unknown as string), /privateKeyJwt: the key must be .* received nothing/],
    ['privateKeyJwt of a public key', () => privateKeyJwt(createPublicKey(key)), /privateKeyJwt: a private key is needed/],
    ['privateKeyJwt with alg none', () => privateKeyJwt(key, { alg: 'none' }), /privateKeyJwt: `alg` must be one of ES256, .*received "none"/],
    ['privateKeyJwt with HMAC', () => privateKeyJwt(key, { alg: 'HS256' }), /received "HS256"/],
    ['privateKeyJwt with HMAC, and a function', () => privateKeyJwt(() => key, { alg: 'HS256' }), /received "HS256"/],
    ['privateKeyJwt with an algorithm that the key can\'t do', () => privateKeyJwt(key, { alg: 'RS256' }), /`alg` must be one of ES256 for this key \(EC P-256\); received "RS256"/],
    ['privateKeyJwt with an empty kid', () => privateKeyJwt(key, { kid: '' }), /`kid` must be a non-empty string/],
    ['privateKeyJwt with an audience that is a list', () => privateKeyJwt(key, { audience: ['https://a.example.com'] } as unknown as PrivateKeyJwtOptions), /`audience` must be a non-empty string/],
    ['privateKeyJwt with an unknown option', () => privateKeyJwt(key, { algorithm: 'ES256' } as unknown as PrivateKeyJwtOptions), /unknown option `algorithm`/],
    ['clientAssertion of an assertion', () => clientAssertion('a.b.c' as unknown as () => string), /clientAssertion: a function that returns the assertion is needed, since one expires; received a string of 5 characters/],
  ])('%s', (_case, make, message) => {
    const failure = thrownBy(make);
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: false });
    expect(failure.message).toMatch(message);
  });

  test.each([
    [clientSecretJwt(SECRET), 'client_secret_jwt'],
    [privateKeyJwt(key), 'private_key_jwt'],
    [clientAssertion(() => 'a.b.c'), 'private_key_jwt'],
  ])('a method is frozen, and has its registered name: %#', (authentication, method) => {
    expect(authentication.method).toBe(method);
    expect(Object.isFrozen(authentication)).toBe(true);
  });

  test('a change to the options later changes nothing', async () => {
    const options: PrivateKeyJwtOptions = { audience: 'https://a.example.com', kid: 'k1' };
    const authentication = privateKeyJwt(key, options);
    Object.assign(options, { audience: 'https://b.example.com', kid: 'k2' });
    const assertion = assertionOf(await sentBy(authentication));
    expect([decodeJwt(assertion).aud, decodeProtectedHeader(assertion).kid]).toEqual(['https://a.example.com', 'k1']);
  });
});

describe('S1 nothing of a key, a secret or an assertion is shown', () => {
  const canary = { secret: 'cl1entSecretCanary+w/x=&<"é ü">', assertion: 'eyJhbGciOiJFUzI1NiJ9.YXNzZXJ0aW9uQ2FuYXJ5.c2lnbmF0dXJlQ2FuYXJ5' };
  const { d = '' } = jwkOf(key);
  const secrets = [canary.secret, canary.assertion, d, pemOf(key), ...pemOf(key).split('\n').filter((line) => line.length > 20 && !line.startsWith('-'))];
  const authentications: [string, () => ClientAuthentication][] = [
    ['privateKeyJwt of a PEM', () => privateKeyJwt(pemOf(key))],
    ['privateKeyJwt of a JWK', () => privateKeyJwt(jwkOf(key))],
    ['privateKeyJwt of a KeyObject', () => privateKeyJwt(key)],
    ['privateKeyJwt of a function', () => privateKeyJwt(() => jwkOf(key))],
    ['clientSecretJwt', () => clientSecretJwt(canary.secret)],
    ['clientAssertion', () => clientAssertion(() => canary.assertion)],
  ];
  let observed: unknown[];
  const onUnhandled = (reason: unknown): void => void observed.push(reason);

  beforeEach(() => {
    observed = [];
    process.on('unhandledRejection', onUnhandled);
  });

  afterEach(() => {
    process.off('unhandledRejection', onUnhandled);
  });

  async function expectNothingShown(): Promise<void> {
    await nextTurn();
    await nextTurn();
    const needles = [...secrets, ...assertions()].flatMap((secret) => everySpelling(secret).map(([, spelling]) => spelling));
    for (const value of observed) {
      for (const text of textsOf(value)) expect(needles.find((needle) => text.includes(needle)), text.slice(0, 1_000)).toBeUndefined();
    }
  }

  test.each(authentications)('S1 by the authentication itself, its manager and its tokens: %s', async (_case, authentication) => {
    const method = authentication();
    const tokens = client(method);
    observed.push(method, tokens, { deep: { down: [method, tokens] } }, await tokens.clientCredentials().getToken());
    await expectNothingShown();
  });

  test.each(authentications)('S1 by the error for a server that echoes what it was sent: %s', async (_case, authentication) => {
    const echoes: ((request: ReceivedTokenRequest) => string)[] = [
      (request) => request.body,
      (request) => assertionOf(request),
      (request) => `bad <b>${encodeURIComponent(assertionOf(request))}</b>`,
      (request) => JSON.stringify([...request.parameters]),
      (request) => Buffer.from(assertionOf(request)).toString('base64'),
      () => `the secret is ${canary.secret}`,
    ];
    for (const echo of authentication().method === 'client_secret_jwt' ? echoes : echoes.slice(0, -1)) {
      for (const shape of [(text: string): Reply => ({ status: 401, json: { error: 'invalid_client', error_description: text } }), (text: string): Reply => ({ status: 400, json: { error: text } })]) {
        server.answersEvery((request) => shape(echo(request)));
        const failure = await failureOf(client(authentication()).clientCredentials().getToken());
        expect(failure).toBeInstanceOf(OAuthError);
        observed.push(failure);
      }
    }
    expect(server.tokenRequests.length).toBeGreaterThan(9);
    await expectNothingShown();
  });

  test.each<[string, () => ClientAuthentication]>([
    ['a key function that throws the key', () => privateKeyJwt(() => { throw Object.assign(new Error(pemOf(key)), { key: jwkOf(key), cause: pemOf(key) }); })],
    ['a key function that gives a broken key', () => privateKeyJwt(() => pemOf(key).slice(0, -40))],
    ['a key function that gives an object around the key', () => privateKeyJwt(() => ({ key: jwkOf(key) }))],
    ['an assertion function that throws it', () => clientAssertion(() => { throw new Error(canary.assertion, { cause: canary.assertion }); })],
    ['an assertion function that gives it in an object', () => clientAssertion(() => ({ assertion: canary.assertion }) as unknown as string)],
    ['an assertion function that gives it twice', () => clientAssertion(() => `${canary.assertion}\n${canary.assertion}`)],
    ['a secret function that throws it', () => clientSecretJwt(() => { throw new Error(canary.secret); })],
  ])('S1 by the error for %s', async (_case, authentication) => {
    observed.push(await failureOf(client(authentication()).clientCredentials().getToken()));
    await expectNothingShown();
  });

  test('S1 by what is thrown where a wrong value is passed', async () => {
    const wrong: (() => unknown)[] = [
      () => privateKeyJwt(pemOf(key).slice(0, -40)),
      () => privateKeyJwt({ ...jwkOf(key), alg: 'RS256' }),
      () => privateKeyJwt({ ...jwkOf(key), y: 'AAAA' }),
      () => privateKeyJwt(key, pemOf(key) as unknown as PrivateKeyJwtOptions),
      () => clientSecretJwt(SECRET, canary.assertion as unknown as ClientSecretJwtOptions),
      () => clientAssertion(canary.assertion as unknown as () => string),
    ];
    observed.push(...wrong.map((make) => thrownBy(make)));
    await expectNothingShown();
  });
});
