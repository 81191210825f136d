import { decodeJwt, generateKeyPair, SignJWT, type CryptoKey } from 'jose';
import { createTokenManager, jwtBearer, type JwtBearerRequest, type TokenManager } from 'grantkeeper';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { everySpelling, textsOf } from './support/canary.js';
import { failureOf, thrownBy } from './support/failure.js';
import { machineClient } from './support/machine-client.js';
import { MapStore } from './support/map-store.js';
import { registerJwtBearer, withGrantClaims } from './support/oidc-grants.js';
import { startOidcProvider, type OidcProvider } from './support/oidc-provider.js';

const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

describe('what is asked', () => {
  let server: AuthorizationServer;

  beforeEach(async () => {
    server = await startAuthorizationServer();
  });

  afterEach(async () => {
    await server.close();
  });

  test('RFC 7523 section 2.1, in its words', async () => {
    await machineClient(server).tokens.grant(jwtBearer({ assertion: 'a.b.c', scope: 'read' })).getToken();
    expect(Object.fromEntries(server.lastTokenRequest.parameters)).toEqual({ grant_type: GRANT, assertion: 'a.b.c', scope: 'read' });
  });

  test('T6 a function is asked for an assertion at every attempt, and for none while the token is good', async () => {
    let asked = 0;
    const source = machineClient(server).tokens.grant(jwtBearer({ assertion: async () => Promise.resolve(`assertion-${(asked += 1)}`), subject: 'robot' }));
    server.answersNext({ status: 503 });
    await source.getToken();
    await source.getToken();
    expect(server.tokenRequests.map(({ parameters }) => parameters.get('assertion'))).toEqual(['assertion-1', 'assertion-2']);
  });

  test('C3 tokens are shared by subject, whatever function gives the assertion, and by no others', async () => {
    const store = new MapStore();
    const tokenOf = async (request: JwtBearerRequest): Promise<string> => (await machineClient(server, { store, encryptionKeys: false }).tokens.grant(jwtBearer(request)).getToken()).value;
    const one = await tokenOf({ assertion: () => 'a1', subject: 'one' });
    expect(await tokenOf({ assertion: () => 'a2', subject: 'one' })).toBe(one);
    expect(await tokenOf({ assertion: () => 'a1', subject: 'two' })).not.toBe(one);
    const text = await tokenOf({ assertion: 'a1' });
    expect(await tokenOf({ assertion: 'a1' })).toBe(text);
    expect(await tokenOf({ assertion: 'a2' })).not.toBe(text);
  });

  test('a later caller\'s assertion is the one that is sent, where the token is renewed', async () => {
    const { tokens, clock } = machineClient(server);
    const granted = async (assertion: string): Promise<unknown> => tokens.grant(jwtBearer({ assertion: () => assertion, subject: 'alice' })).getToken();
    await granted('first');
    clock.advance(7_200_000);
    await granted('second');
    expect(server.tokenRequests.map(({ parameters }) => parameters.get('assertion'))).toEqual(['first', 'second']);
  });

  test('S1 nothing of the assertion is seen in the grant', () => {
    const needles = everySpelling('canary.of.assertion').map(([, spelling]) => spelling);
    const shown = textsOf(jwtBearer({ assertion: 'canary.of.assertion' })).join('');
    expect(needles.filter((needle) => shown.includes(needle))).toEqual([]);
  });

  test.each<[string, () => unknown, string]>([
    ['throws', () => { throw new RangeError('canary'); }, 'threw RangeError'],
    ['returns nothing', () => undefined, 'it returned undefined'],
    ['returns an empty one', () => '', 'it returned an empty one'],
  ])('a function that %s', async (_case, assertion, text) => {
    const failure = await failureOf(machineClient(server).tokens.grant(jwtBearer({ assertion: assertion as () => string, subject: 'robot' })).getToken());
    expect(failure).toMatchObject({ code: 'invalid_configuration' });
    expect(failure.message).toContain(text);
    expect(failure.message).not.toContain('canary');
    expect(server.tokenRequests).toEqual([]);
  });

  test('S1 the server may echo the assertion', async () => {
    server.rejectsNextWith('invalid_grant', 400, 'not this: canary.of.assertion');
    const failure = await failureOf(machineClient(server).tokens.grant(jwtBearer({ assertion: 'canary.of.assertion' })).getToken());
    expect(failure).toMatchObject({ code: 'token_request_failed', error: 'invalid_grant' });
    expect(failure.message).not.toContain('canary');
  });

  test.each<[string, unknown, string]>([
    ['no assertion', {}, '`assertion` is required'],
    ['a function without a subject', { assertion: () => 'x' }, '`subject` is required'],
    ['a parameter that has an option', { assertion: 'x', parameters: { assertion: 'y' } }, '`parameters.assertion` is reserved'],
  ])('%s is refused at once', (_case, options, text) => {
    const failure = thrownBy(() => jwtBearer(options as JwtBearerRequest));
    expect(failure).toMatchObject({ code: 'invalid_configuration' });
    expect(failure.message).toContain(`jwtBearer: ${text}`);
  });
});

describe('a real authorization server', () => {
  let provider: OidcProvider;
  let privateKey: CryptoKey;

  beforeAll(async () => {
    const keys = await generateKeyPair('ES256');
    ({ privateKey } = keys);
    provider = await startOidcProvider({ configuration: withGrantClaims, clients: [{ client_id: 'robots', client_secret: 'an-ordinary.secret_1', grant_types: [GRANT], redirect_uris: [], response_types: [] }] });
    registerJwtBearer(provider.provider, keys.publicKey);
  });

  afterAll(async () => {
    await provider.close();
  });

  const client = (): TokenManager => createTokenManager({ issuer: provider.issuer, clientId: 'robots', clientSecret: 'an-ordinary.secret_1', allowInsecureRequests: true, retry: { minDelay: 0 } });
  const signed = async (audience: string): Promise<string> =>
    new SignJWT().setProtectedHeader({ alg: 'ES256' }).setIssuer('robots').setSubject('robot-1').setAudience(audience).setIssuedAt().setExpirationTime('1 minute').sign(privateKey);

  test('gives a token of the assertion\'s subject', async () => {
    const tokens = client();
    const token = await tokens.grant(jwtBearer({ assertion: async () => signed(provider.issuer), subject: 'robot-1', scope: 'read' })).getToken();
    expect(decodeJwt(token.value)).toMatchObject({ on_behalf_of: 'robot-1', client_id: 'robots', scope: 'read' });
  });

  test('refuses one that is meant for another server', async () => {
    const failure = await failureOf(client().grant(jwtBearer({ assertion: await signed('https://other.example.com') })).getToken());
    expect(failure).toMatchObject({ code: 'token_request_failed', error: 'invalid_grant', status: 400 });
  });
});
