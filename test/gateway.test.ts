import { KeyObject, sign, type webcrypto } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { exportJWK, generateKeyPair, SignJWT, type JWTHeaderParameters } from 'jose';
import { challenges, createFetch, createTokenManager, discoverProtectedResource, stepUp, type TokenManager } from 'grantkeeper';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startGateway, type Gateway } from '../examples/haproxy/gateway.js';
import { startApi, type Api } from './support/api-server.js';
import { runProgram } from './support/child-process.js';
import { ManualClock } from './support/clock.js';
import { describeWithHaproxy } from './support/haproxy.js';
import { record } from './support/machine-client.js';
import { startOidcProvider, type OidcProvider } from './support/oidc-provider.js';

const SECRET = 'an-ordinary.secret_1';
const OTHER_API = 'https://other.example.com';
const HOUR = 3_600;

const program = { file: new URL('../examples/haproxy/demo.ts', import.meta.url) };

describeWithHaproxy('an API behind HAProxy', () => {
  let signingKey: webcrypto.CryptoKey;
  let provider: OidcProvider;
  let upstream: Api;
  let gateway: Gateway;
  /** Seconds from now until the next tokens expire, whatever their `expires_in` says. */
  let expiresIn: number | undefined;
  let tokenRequests = 0;

  beforeAll(async () => {
    const { privateKey } = await generateKeyPair('RS256', { extractable: true });
    signingKey = privateKey;
    provider = await startOidcProvider({
      clients: [{ client_id: 'billing', client_secret: SECRET }],
      scope: 'orders:read orders:write',
      configuration: {
        jwks: { keys: [{ ...await exportJWK(privateKey), alg: 'RS256', use: 'sig', kid: 'test' }] },
        formats: {
          customizers: {
            jwt(_ctx, _token, { payload }) {
              if (expiresIn !== undefined) payload['exp'] = now() + expiresIn;
              expiresIn = undefined;
            },
          },
        },
      },
    });
    provider.provider.on('grant.success', () => { tokenRequests += 1; });
    upstream = await startApi();
    gateway = await startGateway({ issuer: provider.issuer, jwksUri: `${provider.issuer}/jwks`, upstreamPort: Number(new URL(upstream.origin).port) });
  });
  afterAll(async () => {
    await gateway.close();
    await upstream.close();
    await provider.close();
  });

  beforeEach(() => {
    upstream.requests.length = 0;
    tokenRequests = 0;
    expiresIn = undefined;
  });

  const now = (): number => Math.floor(Date.now() / 1_000);

  /** As the authorization server would sign it, but for what is given. */
  const signed = async (claims: Record<string, unknown> = {}, header: Partial<JWTHeaderParameters> = {}, key: webcrypto.CryptoKey | Uint8Array = signingKey): Promise<string> => {
    const usual = { iss: provider.issuer, aud: gateway.url, sub: 'user-1', exp: now() + HOUR, scope: 'orders:read' };
    return new SignJWT({ ...usual, ...claims }).setProtectedHeader({ alg: 'RS256', typ: 'at+jwt', ...header }).sign(key);
  };

  const call = async (token: string, { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {}): Promise<Response> =>
    fetch(`${gateway.url}/v1/orders`, { method, headers: { ...headers, authorization: `Bearer ${token}` } });

  const client = (clock = new ManualClock()): TokenManager => createTokenManager({ issuer: provider.issuer, clientId: 'billing', clientSecret: SECRET, clock, allowInsecureRequests: true });
  const apiOf = (tokens: TokenManager, { scope = 'orders:read', resource = gateway.url } = {}): typeof fetch =>
    createFetch(tokens.clientCredentials({ scope, resource }), { baseUrl: gateway.url, allowInsecureRequests: true });

  describe('lets nobody through', () => {
    test.each<[string, Record<string, string>]>([
      ['without a token', {}],
      ['with another scheme', { authorization: 'Basic YTpi' }],
      ['with a scheme and nothing else', { authorization: 'Bearer' }],
    ])('%s, and says the scheme but no error (RFC 6750 section 3.1)', async (_case, headers) => {
      const response = await fetch(`${gateway.url}/v1/orders`, { headers });
      expect(response.status).toBe(401);
      expect(challenges(response)).toEqual([{ scheme: 'Bearer', resource_metadata: `${gateway.url}/.well-known/oauth-protected-resource` }]);
      expect(upstream.requests).toEqual([]);
    });

    test.each<[string, () => Promise<string>]>([
      ['has expired', async () => signed({ exp: now() - 1 })],
      ['never expires', async () => signed({ exp: undefined })],
      ['expires at a text', async () => signed({ exp: 'tomorrow' })],
      ['is of another issuer', async () => signed({ iss: `${provider.issuer}/` })],
      ['is of no issuer', async () => signed({ iss: undefined })],
      ['is for another API', async () => signed({ aud: OTHER_API })],
      ['is for an API whose name begins as this one', async () => signed({ aud: `${gateway.url}.example.com` })],
      ['is for others', async () => signed({ aud: [OTHER_API, 'https://third.example.com'] })],
      ['is for nobody', async () => signed({ aud: undefined })],
      ['has no subject', async () => signed({ sub: undefined })],
      ['is an ID token', async () => signed({}, { typ: 'JWT' })],
      ['was signed by somebody else', async () => signed({}, {}, (await generateKeyPair('RS256')).privateKey)],
      ['was changed after it was signed', async () => {
        const [header, , signature] = (await signed()).split('.');
        const [, payload] = (await signed({ sub: 'root' })).split('.');
        return [header, payload, signature].join('.');
      }],
      ['is not signed at all', async () => {
        const [, payload] = (await signed()).split('.');
        return `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${payload ?? ''}.`;
      }],
      ['uses the public key as a secret', async () => signed({}, { alg: 'HS256' }, await readFile(gateway.keyFile))],
      ['uses the name of the key\'s file as a secret', async () => signed({}, { alg: 'HS256' }, Buffer.from(gateway.keyFile))],
      ['was signed with another algorithm', async () => {
        const { privateKey } = await generateKeyPair('ES256');
        return signed({}, { alg: 'ES256' }, privateKey);
      }],
      ['says another algorithm than it was signed with', async () => {
        const [, payload = ''] = (await signed()).split('.');
        const input = `${Buffer.from('{"alg":"PS256","typ":"at+jwt"}').toString('base64url')}.${payload}`;
        return `${input}.${sign('sha256', Buffer.from(input), KeyObject.from(signingKey)).toString('base64url')}`;
      }],
      ['is no JWT', () => Promise.resolve('opaque')],
      ['has a part too many', async () => `${await signed()}.x`],
    ])('whose token %s', async (_case, token) => {
      const response = await call(await token());
      expect(response.status).toBe(401);
      expect(challenges(response)).toMatchObject([{ scheme: 'Bearer', error: 'invalid_token' }]);
      expect(upstream.requests).toEqual([]);
    });

    test.each([
      ['GET', 'orders:write', 'orders:read'],
      ['GET', 'orders:readonly', 'orders:read'],
      ['GET', 'all-orders:read', 'orders:read'],
      ['HEAD', '', 'orders:read'],
      ['GET', undefined, 'orders:read'],
      ['POST', 'orders:read', 'orders:write'],
      ['DELETE', 'orders:read', 'orders:write'],
    ])('who may not: %s with the scope %j', async (method, scope, needed) => {
      const response = await call(await signed({ scope }), { method });
      expect(response.status).toBe(403);
      expect(challenges(response)).toEqual([{ scheme: 'Bearer', error: 'insufficient_scope', scope: needed }]);
      expect(upstream.requests).toEqual([]);
    });
  });

  describe('lets through', () => {
    test.each<[string, () => Promise<string>]>([
      ['for this API', async () => signed()],
      ['for this API in a list', async () => signed({ aud: [gateway.url] })],
      ['for another API and this one', async () => signed({ aud: [OTHER_API, gateway.url] })],
      ['with the long form of its type', async () => signed({}, { typ: 'application/at+jwt' })],
      ['with the scope among others', async () => signed({ scope: 'openid orders:read orders:write' })],
    ])('a token %s', async (_case, token) => {
      expect((await call(await token())).status).toBe(200);
      expect(upstream.requests).toHaveLength(1);
    });

    test('the subject of the token, and no name that the client made up', async () => {
      await call(await signed(), { headers: { 'X-Subject': 'root', x_subject: 'root', 'x-SUBJECT_2': 'of the client' } });
      const { headers } = upstream.lastRequest;
      expect(headers).toMatchObject({ 'x-subject': 'user-1', 'x-subject_2': 'of the client' });
      expect(Object.keys(headers)).not.toContain('x_subject');
    });

    test('a subject with line breaks makes no header of its own', async () => {
      await call(await signed({ sub: 'user-1\r\nx-admin: yes' }));
      expect(Object.keys(upstream.lastRequest.headers)).not.toContain('x-admin');
    });

    test('no token', async () => {
      await call(await signed());
      expect(Object.keys(upstream.lastRequest.headers)).not.toContain('authorization');
    });
  });

  describe('and createFetch', () => {
    test('a token by resource indicator (RFC 8707) is good for any number of calls', async () => {
      const tokens = client();
      const api = apiOf(tokens);
      expect([(await api('/v1/orders')).status, (await api('/v1/orders')).status]).toEqual([200, 200]);
      expect(upstream.lastRequest.headers['x-subject']).toBe('billing');
      expect(tokenRequests).toBe(1);
    });

    test('F5 an expired token is replaced, and the call sent again: the caller sees nothing of it', async () => {
      const tokens = client();
      const events = record(tokens);
      expiresIn = -1;
      const response = await apiOf(tokens)('/v1/orders', { method: 'GET' });
      expect(response.status).toBe(200);
      expect(tokenRequests).toBe(2);
      expect(events['token-rejected']).toMatchObject([{ status: 401, origin: gateway.url }]);
      expect(upstream.requests).toHaveLength(1);
    });

    test('F5 F15 a token for another API is replaced once; after that a call every second costs a token after 1, 2, 4 seconds and so on', async () => {
      const clock = new ManualClock();
      const api = apiOf(client(clock), { resource: OTHER_API });
      const response = await api('/v1/orders');
      expect(response.status).toBe(401);
      expect(challenges(response)).toMatchObject([{ error: 'invalid_token' }]);
      expect(tokenRequests).toBe(2);

      const replacedAt: number[] = [];
      for (let second = 0; second < 64; second += 1) {
        const before = tokenRequests;
        expect((await api('/v1/orders')).status).toBe(401);
        if (tokenRequests > before) replacedAt.push(second);
        clock.advance(1_000);
      }
      expect(replacedAt).toEqual([1, 3, 7, 15, 31, 63]);
      expect(upstream.requests).toEqual([]);
    });

    test('F10 a scope that is missing is no reason for another token, and the challenge says which to ask for', async () => {
      const tokens = client();
      const response = await apiOf(tokens)('/v1/orders', { method: 'POST', body: '{}' });
      expect(response.status).toBe(403);
      expect(tokenRequests).toBe(1);

      const { scope } = stepUp(response) ?? {};
      expect(scope).toBe('orders:write');
      expect((await apiOf(tokens, { scope: scope ?? '' })('/v1/orders', { method: 'POST', body: '{}' })).status).toBe(200);
    });

    test('all that a client has to know is the address: the metadata name the issuer (RFC 9728)', async () => {
      const expected = { resource: gateway.url, authorizationServers: [provider.issuer], scopes: ['orders:read', 'orders:write'], bearerMethods: ['header'], dpopBound: false };
      expect(await discoverProtectedResource(gateway.url, { allowInsecureRequests: true })).toMatchObject(expected);
      expect(await discoverProtectedResource(await fetch(`${gateway.url}/v1/orders`), { allowInsecureRequests: true })).toMatchObject(expected);
    });
  });

  test('the example tells every call from the others', { timeout: 60_000 }, async () => {
    const { code, stdout, stderr } = await runProgram(program);
    expect([code, stderr], stdout).toEqual([0, '']);
    expect(stdout.match(/✓/g)).toHaveLength(8);
    expect(stdout).not.toContain('✗');
  });
});

test('the example without HAProxy says what to install, and ends with exit code 1', async () => {
  const { code, stdout, stderr } = await runProgram(program, { env: { HAPROXY: '/nowhere/haproxy' } });
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toContain('install the package haproxy');
});
