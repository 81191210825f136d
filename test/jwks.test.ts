import { exportJWK, generateKeyPair, type CryptoKey, type JWK } from 'jose';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { drip, gzipBomb, hang, oversize, redirectTo, reset, type Answer } from './support/answers.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { failureOf } from './support/failure.js';
import { loginUnderWay } from './support/login-under-way.js';
import type { MachineClient } from './support/machine-client.js';
import { signIn, webClient } from './support/web-client.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const MEBIBYTE = 1024 * 1024;

interface Pair {
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

let server: AuthorizationServer;
let client: MachineClient;
let pairs: [Pair, Pair];

beforeAll(async () => {
  const pair = async (): Promise<Pair> => {
    const { privateKey, publicKey } = await generateKeyPair('RS256');
    return { privateKey, jwk: { ...await exportJWK(publicKey), alg: 'RS256', use: 'sig' } };
  };
  pairs = [await pair(), await pair()];
});

beforeEach(async () => {
  server = await startAuthorizationServer();
  client = webClient(server);
});

afterEach(async () => {
  await server.close();
});

async function ownKey(): Promise<JWK> {
  const { keys: [key] } = await (await fetch(server.metadata.jwks_uri ?? '')).json() as { keys: [JWK] };
  server.jwksRequests.length = 0;
  return key;
}

const notAmongThem = 'The ID token can\'t be accepted: its signing key is not among the server\'s';

describe('the keys of the authorization server', () => {
  test('A7 are asked for by the first login, and known from then on', async () => {
    await client.tokens.startLogin({ redirectUri: 'https://app.example.com/', scope: 'openid' });
    expect(server.jwksRequests).toHaveLength(0);
    for (let logins = 0; logins < 3; logins += 1) await signIn(client);
    expect(server.jwksRequests).toHaveLength(1);
    expect(server.jwksRequests[0]?.headers).toMatchObject({ accept: 'application/json' });
    expect(server.jwksRequests[0]?.headers).not.toHaveProperty('authorization');
  });

  test('A7 are asked for once by twenty logins at a time', async () => {
    const logins = await Promise.all(Array.from({ length: 20 }, async () => loginUnderWay(client)));
    await Promise.all(logins.map(async ({ callback, transaction }) => client.tokens.completeLogin(callback, transaction)));
    expect(server.jwksRequests).toHaveLength(1);
  });

  test('A7 are not asked for where no ID token comes', async () => {
    await signIn(client, { scope: 'read offline_access' });
    expect(server.jwksRequests).toHaveLength(0);
  });

  test('A7 are asked for anew after ten minutes: a key that was withdrawn is trusted no longer', async () => {
    await signIn(client);
    server.at('/jwks').answersEvery({ json: { keys: [{ ...pairs[0].jwk, kid: 'another' }] } });
    client.clock.advance(10 * MINUTE - 1);
    await signIn(client);
    expect(server.jwksRequests).toHaveLength(1);
    client.clock.advance(1);
    expect((await failureOf(signIn(client))).message).toBe(notAmongThem);
    // The second time because of the key that isn't there.
    expect(server.jwksRequests).toHaveLength(3);
  });
});

describe('a key that is not known', () => {
  test('A7 is looked for at once the first time, then once a minute at most', async () => {
    await signIn(client);
    server.rotateSigningKey();
    await signIn(client);
    expect(server.jwksRequests).toHaveLength(2);
    server.rotateSigningKey();
    expect((await failureOf(signIn(client))).message).toBe(notAmongThem);
    client.clock.advance(MINUTE - 1);
    expect((await failureOf(signIn(client))).message).toBe(notAmongThem);
    expect(server.jwksRequests).toHaveLength(2);
    client.clock.advance(1);
    await signIn(client);
    expect(server.jwksRequests).toHaveLength(3);
    server.rotateSigningKey();
    expect((await failureOf(signIn(client))).message).toBe(notAmongThem);
    expect(server.jwksRequests).toHaveLength(3);
  });

  test('A7 is looked for at once even where the keys have only just come', async () => {
    server.at('/jwks').answersNext({ json: { keys: [] } });
    await signIn(client);
    expect(server.jwksRequests).toHaveLength(2);
  });

  test('A7 is looked for after a minute of sleep, too: the wall clock counts where the other stands still', async () => {
    await signIn(client);
    for (let times = 0; times < 2; times += 1) {
      server.rotateSigningKey();
      await signIn(client);
      client.clock.suspend(MINUTE);
    }
    expect(server.jwksRequests).toHaveLength(3);
  });

  test('A7 an hour that the wall clock is set back makes nobody wait longer', async () => {
    await signIn(client);
    server.rotateSigningKey();
    await signIn(client);
    client.clock.jumpWallClock(-60 * MINUTE);
    client.clock.advance(MINUTE);
    server.rotateSigningKey();
    await signIn(client);
    expect(server.jwksRequests).toHaveLength(3);
  });

  test('A7 many at a time ask once', async () => {
    for (let logins = 0; logins < 20; logins += 1) server.nextIdTokenWith({}, { kid: `stranger-${logins}` });
    const logins = await Promise.all(Array.from({ length: 20 }, async () => loginUnderWay(client)));
    const failures = await Promise.all(logins.map(async ({ callback, transaction }) => failureOf(client.tokens.completeLogin(callback, transaction))));
    expect(new Set(failures.map(({ message }) => message))).toEqual(new Set([notAmongThem]));
    expect(server.jwksRequests).toHaveLength(2);
  });

  test('A7 a rotation just now fails none of the logins that are under way', async () => {
    await signIn(client);
    const logins = await Promise.all(Array.from({ length: 20 }, async () => loginUnderWay(client)));
    server.rotateSigningKey();
    await Promise.all(logins.map(async ({ callback, transaction }) => client.tokens.completeLogin(callback, transaction)));
    expect(server.jwksRequests).toHaveLength(2);
  });

  test('A7 nor that of a login whose token comes while they\'re being fetched', async () => {
    await signIn(client);
    const [first, second] = [await loginUnderWay(client), await loginUnderWay(client)];
    server.rotateSigningKey();
    const hold = server.at('/jwks').hold();
    const completing = [first, second].map(async ({ callback, transaction }) => client.tokens.completeLogin(callback, transaction));
    await hold.arrived;
    await server.tokenRequestArrives(3);
    hold.release();
    await Promise.all(completing);
    expect(server.jwksRequests).toHaveLength(2);
  });
});

describe('an ID token without `kid`', () => {
  beforeEach(() => {
    server.nextIdTokenWith({}, { kid: undefined });
  });

  test('A7 is checked with the only key there is', async () => {
    expect(await signIn(client)).toHaveProperty('session');
    expect(server.jwksRequests).toHaveLength(1);
  });

  test('A7 is checked with one after the other where there are several that fit', async () => {
    const own = await ownKey();
    for (const keys of [[pairs[0].jwk, own], [own, pairs[0].jwk], [pairs[0].jwk, { ...pairs[1].jwk, n: 'AQAB' }, own]]) {
      server.at('/jwks').answersNext({ json: { keys } });
      expect(await signIn(webClient(server))).toHaveProperty('session');
      server.nextIdTokenWith({}, { kid: undefined });
    }
  });

  test('A7 is refused where none of them fits', async () => {
    server.at('/jwks').answersNext({ json: { keys: pairs.map(({ jwk }) => jwk) } });
    expect((await failureOf(signIn(client))).message).toBe('The ID token can\'t be accepted: its signature is not the server\'s');
  });

  test('A7 is refused where none of them can be used', async () => {
    server.at('/jwks').answersNext({ json: { keys: pairs.map(({ jwk }) => ({ ...jwk, n: undefined })) } });
    expect((await failureOf(signIn(client))).message).toBe('The ID token can\'t be accepted: none of the server\'s keys that fit can be used');
  });

  test('A7 of which the signature is right and a claim isn\'t is refused for the claim', async () => {
    const own = await ownKey();
    await signIn(webClient(server));
    server.nextIdTokenWith({ exp: 1 }, { kid: undefined });
    server.at('/jwks').answersNext({ json: { keys: [own, pairs[0].jwk] } });
    expect((await failureOf(signIn(client))).message).toBe('The ID token can\'t be accepted: it has expired');
  });
});

describe('odd keys beside the one that is needed', () => {
  test.each<[string, unknown[]]>([
    ['members that are no keys', [null, 5, 'key', [], true]],
    ['an empty key', [{}]],
    ['a key of a kind that nobody knows', [{ kty: 'XYZ', kid: 'x' }]],
    ['a symmetric key under the same name', [{ kty: 'oct', k: 'c2VjcmV0', kid: 'RS256-1', alg: 'HS256' }]],
    ['a key for encryption under the same name', [{ kty: 'RSA', n: 'AQAB', e: 'AQAB', kid: 'RS256-1', use: 'enc' }]],
    ['keys whose members are nonsense', [{ kty: 5, kid: {}, use: [], alg: null }, { kty: 'RSA', kid: 'other', n: 5, e: {} }]],
  ])('A7 %s do no harm', async (_case, others) => {
    const own = await ownKey();
    server.at('/jwks').answersNext({ json: { keys: [...others, own, ...others] } });
    expect(await signIn(client)).toHaveProperty('session');
    expect(server.jwksRequests).toHaveLength(1);
  });

  test('A7 the needed one that can\'t be used is the login\'s failure', async () => {
    server.at('/jwks').answersNext({ json: { keys: [{ kty: 'RSA', n: 'AQAB', e: 'AQAB', kid: 'RS256-1', alg: 'RS256' }] } });
    expect(await failureOf(signIn(client))).toMatchObject({ code: 'invalid_response', message: 'The ID token can\'t be accepted: its signature could not be checked' });
  });

  test('A7 one with private members signs for nobody', async () => {
    const { privateKey } = await generateKeyPair('RS256', { extractable: true });
    server.signsNextIdTokenWith(privateKey);
    server.at('/jwks').answersNext({ json: { keys: [{ ...await exportJWK(privateKey), kid: 'RS256-1', alg: 'RS256' }] } });
    expect(await failureOf(signIn(client))).toMatchObject({ code: 'invalid_response' });
  });
});

describe('keys that can\'t be had', () => {
  const unreadable = (reason: string): string => `The authorization server's keys (\`jwks_uri\`) can't be read: ${reason}. The login has to be started again`;

  test.each<[string, Answer, Record<string, unknown>]>([
    ['404', { status: 404 }, { code: 'invalid_response', status: 404, message: unreadable('HTTP 404').replace('. The login has to be started again', '') }],
    ['503', { status: 503 }, { code: 'invalid_response', status: 503, message: unreadable('HTTP 503') }],
    ['a redirect', redirectTo('/elsewhere'), { code: 'invalid_response', status: 302 }],
    ['a page', { body: '<html>' }, { code: 'invalid_response', status: 200 }],
    ['nothing', {}, { code: 'invalid_response', status: 200 }],
    ['a list', { json: [] }, { code: 'invalid_response', status: 200 }],
    ['an object without keys', { json: {} }, { code: 'invalid_response', status: 200 }],
    ['keys that are no list', { json: { keys: { 0: {} } } }, { code: 'invalid_response', status: 200 }],
    ['1 MiB and a byte', oversize(MEBIBYTE + 1), { code: 'invalid_response', message: 'The jwks_uri answered with more than 1048576 bytes' }],
    ['a gzip bomb', gzipBomb(20 * MEBIBYTE), { code: 'invalid_response' }],
    ['a reset connection', reset(), { code: 'server_unreachable' }],
  ])('A7 %s: the login fails, what came is revoked, and the next login asks again', async (_case, answer, error) => {
    server.at('/jwks').answersNext(answer);
    expect(await failureOf(signIn(client))).toMatchObject({ ...error, retryable: false });
    expect(server.revocations.map(({ hint }) => hint).sort()).toEqual(['access_token', 'refresh_token']);
    expect(server.grants.at(-1)?.alive).toBe(false);
    expect(await signIn(client)).toHaveProperty('session');
    expect(server.jwksRequests).toHaveLength(2);
  });

  test.each<[string, Answer]>([['hang', hang()], ['drip', drip(' ', 20)]])('A7 keys that %s: the deadline ends the login, and what came is revoked', async (_case, answer) => {
    client = webClient(server, { timeout: 2_000 });
    server.at('/jwks').answersNext(answer);
    expect(await failureOf(signIn(client))).toMatchObject({ code: 'timeout', retryable: false });
    expect(server.revocations).toHaveLength(2);
  });

  test.each([
    ['on http elsewhere than on loopback', 'http://login.example.com/jwks'],
    ['not a URL', 'jwks'],
    ['one with user and password', 'https://user:pass@login.example.com/jwks'],
  ])('A7 an address that is %s is refused before the browser leaves', async (_case, address) => {
    client = webClient(server, { issuer: server.issuer });
    server.openidConfiguration.answersEvery({ json: { ...server.metadata, jwks_uri: address } });
    const failure = await failureOf(client.tokens.startLogin({ redirectUri: 'https://app.example.com/', scope: 'openid' }));
    expect(failure).toMatchObject({ code: 'discovery_failed' });
    expect(failure.message).toContain('no usable `jwks_uri`');
  });
});
