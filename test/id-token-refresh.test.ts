import { generateKeyPair } from 'jose';
import type { LoginOptions, Session } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { reset } from './support/answers.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { eventually } from './support/eventually.js';
import { failureOf } from './support/failure.js';
import type { MachineClient } from './support/machine-client.js';
import { followLogin } from './support/user-agent.js';
import { REDIRECT_URI, signIn, webClient } from './support/web-client.js';

const HOUR = 3_600_000;

let server: AuthorizationServer;
let client: MachineClient;

beforeEach(async () => {
  server = await startAuthorizationServer();
  client = webClient(server);
});

afterEach(async () => {
  await server.close();
});

/** A session whose access token is used up. */
async function expiredSession(options: Partial<LoginOptions> = {}): Promise<Session> {
  const { session } = await signIn(client, options);
  client.clock.advance(HOUR);
  return session;
}

/** The refresh is refused without an access token; its refresh token is kept, since the next refresh sends it, and is no reuse. */
async function expectRefused(session: Session, reason: string): Promise<void> {
  const before = await session.info();
  const failure = await failureOf(session.getToken());
  expect(failure).toMatchObject({ code: 'invalid_response', message: `The ID token can't be accepted: ${reason}` });
  expect(server.revocations).toHaveLength(0);
  expect(await session.info()).toMatchObject({ claims: before?.claims });
  const rotated = server.issued.at(-1);
  const token = await session.getToken();
  expect(server.lastTokenRequest.parameters.get('refresh_token')).toBe(rotated?.refreshToken);
  expect(token.value).toBe(server.issuedTokens.at(-1));
  expect(token.value).not.toBe(rotated?.accessToken);
  expect([server.reuses, server.tokenRequests.length]).toEqual([0, 3]);
}

describe('the ID token of a refresh', () => {
  test('A7 of the same user, login and client is accepted; its claims take the place of those before', async () => {
    const session = await expiredSession({ maxAge: 60 });
    const before = await session.info();
    server.nextIdTokenWith({ name: 'Alice' });
    expect((await session.getToken()).value).toBe('at-2');
    const after = await session.info();
    expect(after?.claims).toEqual({ ...before?.claims, iat: client.clock.now() / 1_000, exp: client.clock.now() / 1_000 + 3_600, name: 'Alice' });
    expect(after).toMatchObject({ createdAt: before?.createdAt, refreshedAt: client.clock.now() });
  });

  test('A7 needs not be there', async () => {
    server.idTokenOnRefresh = false;
    const session = await expiredSession();
    const before = await session.info();
    expect((await session.getToken()).value).toBe('at-2');
    expect((await session.info())?.claims).toEqual(before?.claims);
  });

  test.each([['null', null], ['empty', '']])('A7 that is %s isn\'t there', async (_case, idToken) => {
    const session = await expiredSession();
    server.nextTokenAnswerWith({ id_token: idToken });
    expect((await session.getToken()).value).toBe('at-2');
  });

  test.each<[string, (claims: Readonly<Record<string, unknown>>) => Record<string, unknown>]>([
    ['auth_time again', ({ auth_time }) => ({ auth_time })],
    ['no auth_time', () => ({ auth_time: undefined })],
    ['the nonce again', ({ nonce }) => ({ nonce })],
    ['no nonce', () => ({ nonce: undefined })],
    ['its audience as a list', () => ({ aud: ['app'] })],
  ])('A7 may have %s', async (_case, change) => {
    const session = await expiredSession({ maxAge: 60 });
    server.nextIdTokenWith(change((await session.info())?.claims ?? {}));
    expect((await session.getToken()).value).toBe('at-2');
  });

  test('A7 may have its audiences in another order', async () => {
    server.nextIdTokenWith({ aud: ['app', 'other'], azp: 'app' });
    const session = await expiredSession();
    server.nextIdTokenWith({ aud: ['other', 'app'], azp: 'app' });
    expect((await session.getToken()).value).toBe('at-2');
  });

  test.each<[string, () => Record<string, unknown>, string]>([
    ['another subject', () => ({ sub: 'user-2' }), 'it names another user than the login (`iss`, `sub`)'],
    ['no subject', () => ({ sub: undefined }), 'its `sub` is missing'],
    ['another issuer', () => ({ iss: 'https://evil.example' }), 'its `iss` is not what it must be'],
    ['one audience more', () => ({ aud: ['app', 'other'], azp: 'app' }), 'its `aud` is not that of the login'],
    ['another audience', () => ({ aud: 'other' }), 'its `aud` is not what it must be'],
    ['another authorized party', () => ({ azp: 'other' }), 'it was issued to another client (`azp`)'],
    ['another auth_time', () => ({ auth_time: client.clock.now() / 1_000 }), 'its `auth_time` is not that of the login'],
    ['another nonce', () => ({ nonce: 'A'.repeat(43) }), 'its `nonce` is not that of the login'],
    ['an empty nonce', () => ({ nonce: '' }), 'its `nonce` is not that of the login'],
    ['an expiry 30 s ago', () => ({ exp: client.clock.now() / 1_000 - 30 }), 'it has expired'],
  ])('A7 with %s: invalid_response, no access token, and the new refresh token is kept', async (_case, claims, reason) => {
    const session = await expiredSession({ maxAge: 60 });
    server.nextIdTokenWith(claims());
    await expectRefused(session, reason);
  });

  test.each<[string, () => Promise<void>, string]>([
    ['by nobody', () => { server.signsNextIdTokenWith('none'); return Promise.resolve(); }, 'its signature algorithm is not accepted: it must be an asymmetric one that the server lists'],
    ['by somebody else', async () => { server.signsNextIdTokenWith((await generateKeyPair('RS256')).privateKey); }, 'its signature is not the server\'s'],
    ['not at all: it is a number', () => { server.nextTokenAnswerWith({ id_token: 5 }); return Promise.resolve(); }, 'it is not a text'],
  ])('A7 signed %s: the same', async (_case, bend, reason) => {
    const session = await expiredSession();
    await bend();
    await expectRefused(session, reason);
  });

  test('A7 is held against the login\'s, also after refreshes that left things out', async () => {
    const session = await expiredSession({ maxAge: 60 });
    server.nextIdTokenWith({ auth_time: undefined });
    await session.getToken();
    client.clock.advance(HOUR);
    server.nextIdTokenWith({ auth_time: client.clock.now() / 1_000 });
    expect((await failureOf(session.getToken())).message).toContain('its `auth_time` is not that of the login');
    server.nextIdTokenWith({ nonce: 'A'.repeat(43) });
    expect((await failureOf(session.getToken())).message).toContain('its `nonce` is not that of the login');
    server.idTokenOnRefresh = false;
    await session.getToken();
    client.clock.advance(HOUR);
    server.idTokenOnRefresh = true;
    server.nextIdTokenWith({ sub: 'user-2' });
    expect((await failureOf(session.getToken())).message).toContain('it names another user than the login');
  });

  test('A7 of which the keys can\'t be had: no access token, and the new refresh token is kept', async () => {
    const session = await expiredSession();
    server.at('/jwks').answersNext(reset());
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'server_unreachable', retryable: true });
    client.clock.advance(1_000);
    expect((await session.getToken()).value).toBe('at-3');
    expect(server.lastTokenRequest.parameters.get('refresh_token')).toBe('rt-2');
    expect(server.reuses).toBe(0);
  });

  test('A7 that is refused ahead of expiry: the token at hand is served on', async () => {
    const { session } = await signIn(client);
    await session.getToken();
    client.clock.advance(HOUR - 60_000);
    server.nextIdTokenWith({ sub: 'user-2' });
    expect((await session.getToken()).value).toBe('at-1');
    await eventually(() => client.events['refresh-failed'].length > 0);
    expect(client.events['refresh-failed']).toMatchObject([{ background: true, error: { code: 'invalid_response' } }]);
    expect((await session.getToken()).value).toBe('at-1');
  });

  test('A7 of a login that had none is checked, and its claims are kept', async () => {
    const { url, transaction } = await client.tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'read offline_access' });
    url.searchParams.set('scope', 'openid read offline_access');
    const callback = await followLogin(url);
    server.nextTokenAnswerWith({ id_token: undefined });
    const { session } = await client.tokens.completeLogin(callback, transaction);
    expect(await session.info()).not.toHaveProperty('claims');
    client.clock.advance(HOUR);
    server.nextIdTokenWith({ iss: 'https://evil.example' });
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'invalid_response' });
    await session.getToken();
    expect((await session.info())?.claims).toMatchObject({ sub: 'user-1' });
  });
});
