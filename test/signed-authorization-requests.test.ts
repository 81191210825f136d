import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createTokenManager, privateKeyJwt, type LoginOptions, type Session, type SignedAuthorizationRequests, type TokenManager, type TokenManagerOptions } from 'grantkeeper';
import { createLoginHandlers } from 'grantkeeper/web';
import { decodeProtectedHeader, jwtVerify, type JWTPayload, type JWTVerifyResult } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { Browser } from './support/browser.js';
import { textsOf } from './support/canary.js';
import { CookieUserAgent } from './support/cookie-user-agent.js';
import { failureOf, thrownBy } from './support/failure.js';
import type { MachineClient, MachineClientOptions } from './support/machine-client.js';
import { startOidcProvider, type OidcProvider } from './support/oidc-provider.js';
import { tokenRequest } from './support/token-request.js';
import { REDIRECT_URI, webClient } from './support/web-client.js';

const SECRET = 'an-ordinary.secret_1';
const MINUTE = 60;

const keys = {
  ec: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  ed: generateKeyPairSync('ed25519').privateKey,
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
};

function publicJwk(key: KeyObject, kid: string): { kty: string; kid: string; use: string } {
  return { ...createPublicKey(key).export({ format: 'jwk' }) as { kty: string }, kid, use: 'sig' };
}

describe('at a real authorization server', () => {
  /** One that takes signed requests, and one that takes no others. */
  let lenient: OidcProvider;
  let strict: OidcProvider;
  /** The parameters of the authorization requests that were taken, and how many were pushed. */
  let taken: Record<string, unknown>[];
  let pushed: number;

  beforeAll(async () => {
    const clients = [{
      client_id: 'app',
      client_secret: SECRET,
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code' as const],
      redirect_uris: [REDIRECT_URI],
      jwks: { keys: [publicJwk(keys.ec, 'ec'), publicJwk(keys.ed, 'ed'), publicJwk(keys.rsa, 'rsa')] },
    }];
    const start = async (requireSignedRequestObject: boolean): Promise<OidcProvider> => startOidcProvider({ clients, configuration: { features: { requestObjects: { enabled: true, requireSignedRequestObject } } } });
    [lenient, strict] = await Promise.all([start(false), start(true)]);
    for (const { provider } of [lenient, strict]) {
      provider.on('authorization.accepted', ({ oidc }) => { taken.push({ ...oidc.params }); });
      provider.on('pushed_authorization_request.success', () => { pushed += 1; });
    }
  });

  afterAll(async () => {
    await Promise.all([lenient.close(), strict.close()]);
  });

  beforeEach(() => {
    taken = [];
    pushed = 0;
  });

  function client({ issuer }: OidcProvider, options: Partial<TokenManagerOptions> = {}): TokenManager {
    return createTokenManager({ issuer, clientId: 'app', clientSecret: SECRET, allowInsecureRequests: true, ...options });
  }

  async function signIn(tokens: TokenManager, { issuer }: OidcProvider, options: Partial<LoginOptions> = {}): Promise<{ session: Session; url: URL }> {
    const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'openid offline_access read', prompt: 'consent', ...options });
    return { url, session: (await tokens.completeLogin(await new CookieUserAgent(issuer).follows(url), transaction)).session };
  }

  test.each<[string, SignedAuthorizationRequests, string]>([
    ['an EC key', { key: keys.ec }, 'ES256'],
    ['an Ed25519 key', { key: keys.ed }, 'EdDSA'],
    ['an RSA key', { key: keys.rsa }, 'RS256'],
    ['an RSA key by PSS, as PEM', { key: keys.rsa.export({ format: 'pem', type: 'pkcs8' }) as string, alg: 'PS256', kid: 'rsa' }, 'PS256'],
  ])('a whole login with %s: the URL holds nothing but the JWT', async (_case, signedAuthorizationRequests, alg) => {
    const resource = ['https://orders.example.com/', 'https://invoices.example.com/'];
    const { session, url } = await signIn(client(strict, { signedAuthorizationRequests }), strict, { maxAge: 3 * MINUTE, resource });
    expect([...url.searchParams.keys()].sort()).toEqual(['client_id', 'request']);
    expect(decodeProtectedHeader(url.searchParams.get('request') ?? '')).toMatchObject({ alg, typ: 'oauth-authz-req+jwt' });
    expect(taken.at(-1)).toMatchObject({ max_age: String(3 * MINUTE), resource, code_challenge_method: 'S256' });
    expect(pushed).toBe(0);
    expect(await session.info()).toMatchObject({ claims: { sub: 'user-1', auth_time: expect.any(Number) as number } });
    expect(await session.getToken()).toMatchObject({ type: 'Bearer', scope: 'read' });
  });

  test('signed and pushed', async () => {
    const { session, url } = await signIn(client(strict, { signedAuthorizationRequests: { key: keys.ec }, pushedAuthorizationRequests: true, dpop: true }), strict);
    expect([...url.searchParams.keys()].sort()).toEqual(['client_id', 'request_uri']);
    expect(pushed).toBe(1);
    expect(await session.getToken()).toMatchObject({ type: 'DPoP' });
  });

  test('through the login handlers, which find the login though its URL has no `state`', async () => {
    const auth = createLoginHandlers(client(lenient, { signedAuthorizationRequests: { key: keys.ec } }), { redirectUri: REDIRECT_URI, scope: 'openid read' });
    const browser = new Browser(auth.handle);
    const start = await browser.opens('/login');
    const callback = new URL(await new CookieUserAgent(lenient.issuer).follows(start.headers.get('location') ?? ''));
    expect((await browser.opens(callback.pathname + callback.search)).status).toBe(303);
    expect(browser.session).toBeDefined();
  });

  test('a key that the server doesn\'t know, or a request that was changed: it takes neither', async () => {
    const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    for (const change of [(jwt: string) => jwt, changed]) {
      const tokens = client(lenient, { signedAuthorizationRequests: { key: change === changed ? keys.ec : key } });
      const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'openid' });
      url.searchParams.set('request', change(url.searchParams.get('request') ?? ''));
      const callback = await new CookieUserAgent(lenient.issuer).follows(url);
      expect(await failureOf(tokens.completeLogin(callback, transaction))).toMatchObject({ code: 'authorization_failed', error: 'invalid_request_object' });
    }
    expect(taken).toEqual([]);
  });

  test('a server that takes no others, without a key: before the browser leaves', async () => {
    const failure = await failureOf(client(strict).startLogin({ redirectUri: REDIRECT_URI, scope: 'openid' }));
    expect(failure.code).toBe('invalid_configuration');
    expect(failure.message).toContain('`require_signed_request_object`): set the option `signedAuthorizationRequests`');
  });
});

test('FAPI 2.0 Message Signing: signed, pushed, and answered in a JWT, by a client with a key whose tokens are bound', async () => {
  const provider = await startOidcProvider({
    clients: [{
      client_id: 'app',
      token_endpoint_auth_method: 'private_key_jwt',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      redirect_uris: [REDIRECT_URI],
      jwks: { keys: [publicJwk(keys.ec, 'ec')] },
      dpop_bound_access_tokens: true,
    }],
    configuration: {
      features: {
        fapi: { enabled: true, profile: '2.0' },
        pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
        requestObjects: { enabled: true, requireSignedRequestObject: true },
        jwtResponseModes: { enabled: true },
      },
    },
  });
  try {
    const key = keys.ec;
    const tokens = createTokenManager({ issuer: provider.issuer, clientId: 'app', clientAuthentication: privateKeyJwt(key), signedAuthorizationRequests: { key }, dpop: true, allowInsecureRequests: true });
    const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'openid offline_access read', prompt: 'consent', responseMode: 'jwt' });
    expect([...url.searchParams.keys()].sort()).toEqual(['client_id', 'request_uri']);
    const callback = await new CookieUserAgent(provider.issuer).follows(url);
    expect([...new URL(callback).searchParams.keys()]).toEqual(['response']);
    const { session } = await tokens.completeLogin(callback, transaction);
    const rejected = await session.getToken();
    expect(await session.getToken({ rejected })).toMatchObject({ type: 'DPoP', scope: 'read' });
  } finally {
    await provider.close();
  }
});

describe('the request object', () => {
  let server: AuthorizationServer;

  beforeAll(async () => {
    server = await startAuthorizationServer();
  });

  afterAll(async () => {
    await server.close();
  });

  function client(signedAuthorizationRequests: SignedAuthorizationRequests, metadata: Record<string, unknown> = {}, options: MachineClientOptions = {}): MachineClient {
    return webClient(server, { signedAuthorizationRequests, server: { ...server.metadata, ...metadata }, ...options });
  }

  async function requestOf({ tokens, clock }: MachineClient, key: KeyObject, options: Partial<LoginOptions> = {}): Promise<JWTVerifyResult & { payload: JWTPayload & Record<string, unknown> }> {
    const { url } = await tokens.startLogin({ redirectUri: REDIRECT_URI, ...options });
    return jwtVerify(url.searchParams.get('request') ?? '', createPublicKey(key), { issuer: 'app', audience: server.issuer, typ: 'oauth-authz-req+jwt', currentDate: new Date(clock.now()) });
  }

  test('says whose it is, for whom, and for five minutes; numbers, lists and JSON are themselves in it', async () => {
    const signing = client({ key: keys.ec, kid: 'k-1' });
    const { protectedHeader, payload } = await requestOf(signing, keys.ec, {
      scope: 'openid read', maxAge: 0, resource: ['https://a.example', 'https://b.example'], audience: 'api', loginHint: 'user@example.com', prompt: 'login',
      authorizationDetails: [{ type: 'payment', amount: 1 }], parameters: { claims: '{"id_token":{"acr":null}}', iss: 'somebody-else', exp: '9999999999' },
    });
    const now = Math.floor(signing.clock.now() / 1_000);
    expect(protectedHeader).toEqual({ alg: 'ES256', typ: 'oauth-authz-req+jwt', kid: 'k-1' });
    const random = expect.stringMatching(/^[\w-]{43}$/) as string;
    expect(payload).toEqual({
      iss: 'app', aud: server.issuer, client_id: 'app', iat: now, nbf: now - 30, exp: now + 5 * MINUTE, jti: expect.stringMatching(/^[\w-]{22}$/) as string,
      response_type: 'code', redirect_uri: REDIRECT_URI, scope: 'openid read', state: random, nonce: random, code_challenge: random, code_challenge_method: 'S256',
      max_age: 0, resource: ['https://a.example', 'https://b.example'], audience: 'api', login_hint: 'user@example.com', prompt: 'login',
      authorization_details: [{ type: 'payment', amount: 1 }], claims: { id_token: { acr: null } },
    });
  });

  test('one resource is a text, and `claims` that are no JSON stay as they are', async () => {
    const { payload, protectedHeader } = await requestOf(client({ key: keys.ec }), keys.ec, { resource: 'https://a.example', parameters: { claims: '{' } });
    expect(payload).toMatchObject({ resource: 'https://a.example', claims: '{' });
    expect(protectedHeader).not.toHaveProperty('kid');
  });

  test('T6 is made anew for every login', async () => {
    const signing = client({ key: keys.ec });
    const [one, other] = [await requestOf(signing, keys.ec), await requestOf(signing, keys.ec)];
    expect(one.payload.jti).not.toBe(other.payload.jti);
    expect(one.payload['state']).not.toBe(other.payload['state']);
  });

  test.each<[string, SignedAuthorizationRequests, KeyObject, unknown, string]>([
    ['the first that the key can do and the server lists', { key: keys.rsa }, keys.rsa, ['ES256', 'PS256'], 'PS256'],
    ['the usual one where the server lists none', { key: keys.rsa }, keys.rsa, undefined, 'RS256'],
    ['the usual one where the server lists none of the key\'s', { key: keys.ec }, keys.ec, ['RS256'], 'ES256'],
    ['the one that was named', { key: keys.rsa, alg: 'PS512' }, keys.rsa, ['RS256'], 'PS512'],
    ['the JWK\'s', { key: { ...keys.rsa.export({ format: 'jwk' }), alg: 'PS384' } }, keys.rsa, ['RS256', 'PS384'], 'PS384'],
  ])('its algorithm is %s', async (_case, option, key, supported, alg) => {
    const { protectedHeader } = await requestOf(client(option, { request_object_signing_alg_values_supported: supported }), key);
    expect(protectedHeader.alg).toBe(alg);
  });

  test('S1 is a secret where it\'s pushed: an answer that echoes it shows nothing of it', async () => {
    let request = '';
    server.at('/par').answersEvery((received) => {
      request = tokenRequest(received).parameters.get('request') ?? '';
      return { status: 400, json: { error: request, error_description: `${request} ${Buffer.from(request.split('.')[1] ?? '', 'base64url').toString()}` } };
    });
    const pushing = client({ key: keys.ec }, { pushed_authorization_request_endpoint: `${server.origin}/par` }, { pushedAuthorizationRequests: true });
    const failure = await failureOf(pushing.tokens.startLogin({ redirectUri: REDIRECT_URI }));
    expect(failure).toMatchObject({ code: 'token_request_failed', status: 400 });
    const { state = '', nonce = '' } = JSON.parse(Buffer.from(request.split('.')[1] ?? '', 'base64url').toString()) as Record<string, string>;
    for (const secret of [...request.split('.').slice(1), state, nonce]) {
      expect(secret.length).toBeGreaterThan(40);
      expect(textsOf(failure).join()).not.toContain(secret);
    }
  });

  test('needs to know for whom it is', async () => {
    const failure = await failureOf(client({ key: keys.ec }, { issuer: undefined }).tokens.startLogin({ redirectUri: REDIRECT_URI }));
    expect(failure).toMatchObject({ code: 'invalid_configuration', message: 'startLogin: the option `signedAuthorizationRequests` needs the `issuer` that requests are signed for: pass it in the option `server`' });
  });

  test.each(['request', 'request_uri'])('none of the caller\'s own: `parameters.%s` is reserved', async (name) => {
    const failure = await failureOf(client({ key: keys.ec }).tokens.startLogin({ redirectUri: REDIRECT_URI, parameters: { [name]: 'value' } }));
    expect(failure.message).toContain(`startLogin: \`parameters.${name}\` is reserved: `);
  });
});

describe('the option refuses, at once', () => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = keys.ec.export({ format: 'jwk' });

  test.each<[string, unknown, string]>([
    ['what is no object', true, '`signedAuthorizationRequests` must be an object with a `key`; received a boolean'],
    ['a key that isn\'t in one', keys.ec, '`signedAuthorizationRequests` must be an object with a `key`'],
    ['no key', {}, '`signedAuthorizationRequests` must be an object with a `key`; received an object with no members'],
    ['a key that is undefined', { key: undefined }, '`signedAuthorizationRequests`: the key must be a CryptoKey, a KeyObject, a JWK or a PEM; received nothing'],
    ['a public key', { key: publicKey }, '`signedAuthorizationRequests`: a private key is needed, and this is a public key'],
    ['a path', { key: '/etc/key.pem' }, '`signedAuthorizationRequests`: the text is no PEM'],
    ['another member', { key: jwk, algorithm: 'ES256' }, '`signedAuthorizationRequests`: unknown option `algorithm`'],
    ['an algorithm of another key', { key: jwk, alg: 'RS256' }, '`signedAuthorizationRequests`: `alg` must be one of ES256 for this key (EC P-256); received "RS256"'],
    ['none', { key: jwk, alg: 'none' }, '`signedAuthorizationRequests`: `alg` must be one of ES256, '],
    ['HMAC', { key: jwk, alg: 'HS256' }, '`signedAuthorizationRequests`: `alg` must be one of ES256, '],
    ['an empty kid', { key: jwk, kid: '' }, '`signedAuthorizationRequests`: `kid` must be a non-empty string'],
  ])('%s', (_case, signedAuthorizationRequests, message) => {
    const failure = thrownBy(() => createTokenManager({ issuer: 'https://login.example.com', clientId: 'app', clientSecret: SECRET, signedAuthorizationRequests: signedAuthorizationRequests as SignedAuthorizationRequests }));
    expect(failure.code).toBe('invalid_configuration');
    expect(failure.message).toContain(`createTokenManager: ${message}`);
    expect(textsOf(failure).join()).not.toContain(jwk.d);
  });

  test('S1 the manager shows nothing of the key', () => {
    const tokens = createTokenManager({ issuer: 'https://login.example.com', clientId: 'app', clientSecret: SECRET, signedAuthorizationRequests: { key: jwk } });
    expect(textsOf(tokens).join()).not.toContain(jwk.d);
  });
});

/** The same request with another scope under the same signature. */
function changed(jwt: string): string {
  const [header = '', payload = '', signature = ''] = jwt.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
  return [header, Buffer.from(JSON.stringify({ ...claims, scope: 'openid read write' })).toString('base64url'), signature].join('.');
}
