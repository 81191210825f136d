import { createPublicKey, type KeyObject } from 'node:crypto';
import { generateKeyPair } from 'jose';
import type { AuthorizationServerMetadata, LoginOptions, Session } from 'grantkeeper';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { failureOf } from './support/failure.js';
import { CLIENT_SECRET, type MachineClient } from './support/machine-client.js';
import { followLogin } from './support/user-agent.js';
import { REDIRECT_URI, signIn, webClient, type SignedIn } from './support/web-client.js';

let server: AuthorizationServer;
let client: MachineClient;
/** Seconds since the epoch, and the clock stands still. */
let now: number;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(async () => {
  await server.close();
});

beforeEach(() => {
  client = webClient(server);
  now = client.clock.now() / 1_000;
  server.revocations.length = 0;
});

afterEach(() => {
  server.answersAsUsual();
});

async function signInWithClaims(claims: Record<string, unknown>, options: Partial<LoginOptions> = {}): Promise<SignedIn> {
  server.nextIdTokenWith(claims);
  return signIn(client, options);
}

/** Refused with this reason, and nothing of the login is left behind. */
async function expectRefused(login: Promise<unknown>, reason: string): Promise<void> {
  const failure = await failureOf(login);
  expect(failure).toMatchObject({ code: 'invalid_response', retryable: false, message: `The ID token can't be accepted: ${reason}` });
  const { accessToken, refreshToken } = server.issued.at(-1) ?? {};
  expect(server.revocations).toHaveLength(2);
  expect(server.revocations).toEqual(expect.arrayContaining([{ token: refreshToken, hint: 'refresh_token' }, { token: accessToken, hint: 'access_token' }]));
  expect(server.grants.at(-1)?.alive).toBe(false);
}

const metadataWith = (change: Record<string, unknown>): AuthorizationServerMetadata => ({ ...JSON.parse(JSON.stringify(server.metadata)) as AuthorizationServerMetadata, ...change });

describe('the claims of an ID token', () => {
  test('A7 are what info() tells of the user, whole', async () => {
    const { session } = await signInWithClaims({ name: 'Alice', groups: ['a', 'b'], address: { locality: 'Bern' } });
    const info = await session.info();
    expect(info?.claims).toEqual({
      iss: server.issuer, sub: 'user-1', aud: 'app', iat: now, exp: now + 3_600,
      nonce: server.authorizationRequests.at(-1)?.get('nonce'), name: 'Alice', groups: ['a', 'b'], address: { locality: 'Bern' },
    });
  });

  test.each<[string, () => Record<string, unknown>]>([
    ['a list with this client as its only audience', () => ({ aud: ['app'] })],
    ['several audiences, and this client as the authorized party', () => ({ aud: ['other', 'app'], azp: 'app' })],
    ['this client as the authorized party', () => ({ azp: 'app' })],
    ['expired 29 s ago, by a clock that is behind', () => ({ exp: now - 29 })],
    ['good from 30 s from now, by a clock that is ahead', () => ({ nbf: now + 30 })],
    ['issued in a minute, by a clock that is far ahead', () => ({ iat: now + 60 })],
  ])('A7 accepted: %s', async (_case, claims) => {
    const { session } = await signInWithClaims(claims());
    expect((await session.info())?.claims).toMatchObject(claims());
  });

  test.each<[string, () => Record<string, unknown>, string]>([
    ['another issuer', () => ({ iss: 'https://evil.example' }), 'its `iss` is not what it must be'],
    ['the issuer with a slash', () => ({ iss: `${server.issuer}/` }), 'its `iss` is not what it must be'],
    ['a list of issuers', () => ({ iss: [server.issuer] }), 'its `iss` is not what it must be'],
    ['no issuer', () => ({ iss: undefined }), 'its `iss` is missing'],
    ['another audience', () => ({ aud: 'other' }), 'its `aud` is not what it must be'],
    ['an audience in other letters', () => ({ aud: 'APP' }), 'its `aud` is not what it must be'],
    ['an empty list of audiences', () => ({ aud: [] }), 'its `aud` is not what it must be'],
    ['a list of other audiences', () => ({ aud: ['other', 'application'] }), 'its `aud` is not what it must be'],
    ['no audience', () => ({ aud: undefined }), 'its `aud` is missing'],
    ['several audiences and no authorized party', () => ({ aud: ['app', 'other'] }), 'it has several audiences and no `azp`'],
    ['several audiences, and another authorized party', () => ({ aud: ['app', 'other'], azp: 'other' }), 'it was issued to another client (`azp`)'],
    ['another authorized party', () => ({ azp: 'other' }), 'it was issued to another client (`azp`)'],
    ['an authorized party that is a list', () => ({ azp: ['app'] }), 'it was issued to another client (`azp`)'],
    ['no subject', () => ({ sub: undefined }), 'its `sub` is missing'],
    ['an empty subject', () => ({ sub: '' }), 'its `sub` is not a text'],
    ['a subject that is a number', () => ({ sub: 5 }), 'its `sub` is not a text'],
    ['an expiry 30 s ago', () => ({ exp: now - 30 }), 'it has expired'],
    ['no expiry', () => ({ exp: undefined }), 'its `exp` is missing'],
    ['an expiry that is a text', () => ({ exp: String(now + 3_600) }), 'its `exp` is not what it must be'],
    ['no time of issue', () => ({ iat: undefined }), 'its `iat` is missing'],
    ['a time of issue that is a text', () => ({ iat: 'today' }), 'its `iat` is not what it must be'],
    ['a beginning 31 s from now', () => ({ nbf: now + 31 }), 'its `nbf` is not what it must be'],
    ['another nonce', () => ({ nonce: 'A'.repeat(43) }), 'its `nonce` is not that of this login'],
    ['an empty nonce', () => ({ nonce: '' }), 'its `nonce` is not that of this login'],
    ['a nonce that is a list', () => ({ nonce: [server.authorizationRequests.at(-1)?.get('nonce')] }), 'its `nonce` is not that of this login'],
    ['no nonce', () => ({ nonce: undefined }), 'its `nonce` is not that of this login'],
  ])('A7 refused, and the tokens revoked: %s', async (_case, claims, reason) => {
    await expectRefused(signInWithClaims(claims()), reason);
  });
});

describe('maxAge', () => {
  const maxAge = 300;

  test('A7 asks for auth_time, which info() then tells', async () => {
    const { session } = await signIn(client, { maxAge });
    expect((await session.info())?.claims).toMatchObject({ auth_time: now });
  });

  test('A7 that long ago is near enough, with 30 s for the clocks', async () => {
    expect(await signInWithClaims({ auth_time: now - maxAge - 30 }, { maxAge })).toHaveProperty('session');
  });

  test.each<[string, () => unknown, string]>([
    ['a second longer ago', () => now - maxAge - 31, 'the user signed in longer ago than `maxAge` allows'],
    ['not said when', () => undefined, 'it has no `auth_time`, though `maxAge` asks for it'],
    ['said as a text', () => String(now), 'it has no `auth_time`, though `maxAge` asks for it'],
  ])('A7 refused: %s', async (_case, authTime, reason) => {
    await expectRefused(signInWithClaims({ auth_time: authTime() }, { maxAge }), reason);
  });

  test('A7 0 means just now', async () => {
    expect(await signInWithClaims({ auth_time: now - 30 }, { maxAge: 0 })).toHaveProperty('session');
    server.revocations.length = 0;
    await expectRefused(signInWithClaims({ auth_time: now - 31 }, { maxAge: 0 }), 'the user signed in longer ago than `maxAge` allows');
  });

  test('A7 without it nobody asks when', async () => {
    expect(await signInWithClaims({ auth_time: now - 1_000_000 })).toHaveProperty('session');
  });
});

describe('the signature of an ID token', () => {
  test.each(['RS256', 'ES256', 'EdDSA'] as const)('A7 by %s is accepted', async (idTokenAlg) => {
    await using other = await startAuthorizationServer({ idTokenAlg });
    const { session } = await signIn(webClient(other));
    expect((await session.info())?.claims).toMatchObject({ iss: other.issuer });
  });

  test('A7 is accepted where the server does not say which algorithms it has', async () => {
    client = webClient(server, { server: metadataWith({ id_token_signing_alg_values_supported: undefined }) });
    expect(await signIn(client)).toHaveProperty('session');
  });

  const notAccepted = 'its signature algorithm is not accepted: it must be an asymmetric one that the server lists';

  test.each<[string, Record<string, unknown>]>([
    ['listed or not', {}],
    ['listed', { id_token_signing_alg_values_supported: ['none', 'HS256', 'RS256'] }],
    ['where nothing is listed', { id_token_signing_alg_values_supported: undefined }],
  ])('A7 none at all is refused, %s', async (_case, change) => {
    client = webClient(server, { server: metadataWith(change) });
    server.signsNextIdTokenWith('none');
    await expectRefused(signIn(client), notAccepted);
  });

  async function publicKeyPem(): Promise<string> {
    const { keys: [jwk] } = await (await fetch(server.metadata.jwks_uri ?? '')).json() as { keys: [Parameters<typeof createPublicKey>[0]] };
    const key: KeyObject = createPublicKey({ key: jwk as never, format: 'jwk' });
    return key.export({ type: 'spki', format: 'pem' }).toString();
  }

  test.each<[string, () => Promise<string> | string]>([
    ['the client\'s secret', () => CLIENT_SECRET],
    ['the public key', publicKeyPem],
  ])('A7 HS256 with %s as its key is refused, though listed', async (_case, secret) => {
    client = webClient(server, { server: metadataWith({ id_token_signing_alg_values_supported: ['RS256', 'HS256'] }) });
    server.signsNextIdTokenWith(Buffer.from(await secret()));
    await expectRefused(signIn(client), notAccepted);
  });

  test('A7 by an algorithm that the server does not list is refused', async () => {
    client = webClient(server, { server: metadataWith({ id_token_signing_alg_values_supported: ['ES256'] }) });
    await expectRefused(signIn(client), notAccepted);
  });

  test('A7 by nothing that could be accepted, where only HMAC is listed', async () => {
    client = webClient(server, { server: metadataWith({ id_token_signing_alg_values_supported: ['HS256'] }) });
    await expectRefused(signIn(client), notAccepted);
  });

  test.each<[string, string, string]>([
    ['under the name of the server\'s', 'RS256', 'its signature is not the server\'s'],
    ['of another kind', 'ES256', 'its signing key is not among the server\'s'],
  ])('A7 by a key of somebody else, %s, is refused', async (_case, alg, reason) => {
    client = webClient(server, { server: metadataWith({ id_token_signing_alg_values_supported: ['RS256', 'ES256'] }) });
    server.signsNextIdTokenWith((await generateKeyPair(alg)).privateKey, alg);
    await expectRefused(signIn(client), reason);
  });

  test('A7 a key in the token\'s own header is not looked at', async () => {
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
    server.nextIdTokenWith({}, { jwk: await crypto.subtle.exportKey('jwk', publicKey), jku: `${server.origin}/attacker/jwks`, kid: 'RS256-1' });
    server.signsNextIdTokenWith(privateKey);
    await expectRefused(signIn(client), 'its signature is not the server\'s');
    expect(server.requests.filter(({ path }) => path === '/attacker/jwks')).toEqual([]);
  });

  test.each<[string, (idToken: string) => unknown, string]>([
    ['one whose claims were changed', (idToken) => idToken.split('.').with(1, Buffer.from('{"sub":"admin"}').toString('base64url')).join('.'), 'its signature is not the server\'s'],
    ['one whose signature was cut off', (idToken) => idToken.slice(0, idToken.lastIndexOf('.') + 1), 'its signature is not the server\'s'],
    ['four parts', (idToken) => `${idToken}.e30`, 'it is not a signed JWT'],
    ['a text', () => 'id-token', 'it is not a signed JWT'],
    ['a header that is no JSON', () => 'AAAA.e30.AAAA', 'it is not a signed JWT'],
    ['a megabyte but a bit', () => 'x.'.repeat(400_000), 'it is not a signed JWT'],
    ['a number', () => 5, 'it is not a text'],
    ['a list', (idToken) => [idToken], 'it is not a text'],
    ['an object', () => ({}), 'it is not a text'],
    ['true', () => true, 'it is not a text'],
    ['null', () => null, 'the token endpoint answered without one, though `openid` was asked for'],
    ['an empty one', () => '', 'the token endpoint answered without one, though `openid` was asked for'],
    ['none', () => undefined, 'the token endpoint answered without one, though `openid` was asked for'],
  ])('A7 refused: %s', async (_case, change, reason) => {
    server.answersNext({ perform: async ({ response, otherwise }) => {
      const { json } = await otherwise() as { json: { id_token: string } };
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ ...json, id_token: change(json.id_token) }));
    } });
    await expectRefused(signIn(client), reason);
  });
});

describe('without `openid`', () => {
  const scope = 'read offline_access';

  /** A server that adds `openid` by itself. */
  async function signInUnasked(claims: Record<string, unknown> = {}): Promise<Session> {
    const { url, transaction } = await client.tokens.startLogin({ redirectUri: REDIRECT_URI, scope });
    url.searchParams.set('scope', `openid ${scope}`);
    server.nextIdTokenWith({ nonce: undefined, ...claims });
    return (await client.tokens.completeLogin(await followLogin(url), transaction)).session;
  }

  test('there is none, and no claims', async () => {
    const { session } = await signIn(client, { scope });
    expect(await session.info()).not.toHaveProperty('claims');
  });

  test('A7 one that comes all the same is checked, but needs no nonce', async () => {
    const session = await signInUnasked();
    expect((await session.info())?.claims).toMatchObject({ sub: 'user-1' });
  });

  test.each<[string, Record<string, unknown>, string]>([
    ['with a wrong nonce', { nonce: 'A'.repeat(43) }, 'its `nonce` is not that of this login'],
    ['of another issuer', { iss: 'https://evil.example' }, 'its `iss` is not what it must be'],
  ])('A7 one that comes all the same %s is refused', async (_case, claims, reason) => {
    await expectRefused(signInUnasked(claims), reason);
  });

  test.each<[string, Record<string, unknown>]>([
    ['no keys', { jwks_uri: undefined }],
    ['no issuer', { issuer: undefined }],
    ['neither', { issuer: undefined, jwks_uri: undefined }],
  ])('a plain OAuth server of which %s are known: nobody looks at an ID token', async (_case, change) => {
    client = webClient(server, { server: metadataWith(change) });
    server.nextTokenAnswerWith({ id_token: 'anything' });
    const { session } = await signIn(client, { scope });
    expect(await session.info()).not.toHaveProperty('claims');
    expect((await session.getToken()).parameters).toEqual({});
  });
});
