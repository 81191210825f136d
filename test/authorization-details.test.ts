import { generateKeyPairSync } from 'node:crypto';
import { decodeJwt } from 'jose';
import { createTokenManager, type AuthorizationDetail, type Session, type TokenManager, type TokenManagerOptions, type TokenRequest } from 'grantkeeper';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { CookieUserAgent } from './support/cookie-user-agent.js';
import { failureOf, thrownBy } from './support/failure.js';
import { machineClient } from './support/machine-client.js';
import { startOidcProvider, type OidcProvider } from './support/oidc-provider.js';
import { REDIRECT_URI, webClient } from './support/web-client.js';

const SECRET = 'an-ordinary.secret_1';
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const API = 'https://api.example.com';

const payment = { type: 'payment', actions: ['initiate'], locations: [API], amount: { currency: 'EUR', value: '123.50' } };
const account = { type: 'account', actions: ['list', 'read'], identifier: 'DE-1' };

describe('at a real authorization server', () => {
  let provider: OidcProvider;
  let granted: string[];

  beforeAll(async () => {
    const parsed = (details: unknown): AuthorizationDetail[] | undefined => (typeof details === 'string' ? JSON.parse(details) as AuthorizationDetail[] : undefined);
    provider = await startOidcProvider({
      clients: [
        { client_id: 'billing', client_secret: SECRET, authorization_details_types: ['payment', 'account'] },
        { client_id: 'app', client_secret: SECRET, grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], redirect_uris: [REDIRECT_URI], jwks: { keys: [publicKey.export({ format: 'jwk' })] }, authorization_details_types: ['payment', 'account'] },
      ],
      configuration: {
        features: {
          requestObjects: { enabled: true },
          richAuthorizationRequests: {
            enabled: true,
            types: { payment: { validate: () => undefined }, account: { validate: () => undefined } },
            // What is asked for is granted; a refresh gets what it names, or all of the grant.
            authorizationDetailsForGrantSource: ({ oidc }) => parsed(oidc.params?.['authorization_details']),
            authorizationDetailsForAccessToken: ({ oidc }, _token, source) => parsed(oidc.params?.['authorization_details']) ?? source?.rar,
          },
        },
      },
    });
    provider.provider.on('grant.success', ({ oidc }) => { granted.push(String(oidc.params?.['grant_type'])); });
  });

  afterAll(async () => {
    await provider.close();
  });

  beforeEach(() => {
    granted = [];
  });

  function client(clientId: string, options: Partial<TokenManagerOptions> = {}): TokenManager {
    return createTokenManager({ issuer: provider.issuer, clientId, clientSecret: SECRET, allowInsecureRequests: true, retry: { minDelay: 0 }, ...options });
  }

  async function signIn(tokens: TokenManager, authorizationDetails: readonly AuthorizationDetail[]): Promise<Session> {
    const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'openid offline_access read', prompt: 'consent', authorizationDetails });
    return (await tokens.completeLogin(await new CookieUserAgent(provider.issuer).follows(url), transaction)).session;
  }

  test('a machine token: what was granted is in `parameters` and in the token', async () => {
    const token = await client('billing').clientCredentials({ scope: 'read', authorizationDetails: [payment, account] }).getToken();
    expect(token.parameters).toEqual({ authorization_details: [payment, account] });
    expect(decodeJwt(token.value)).toMatchObject({ aud: API, authorization_details: [payment, account] });
  });

  test('a machine token without any: there are none in `parameters`', async () => {
    expect((await client('billing').clientCredentials({ scope: 'read' }).getToken()).parameters).toEqual({});
  });

  test.each<[string, Partial<TokenManagerOptions>]>([
    ['in the URL', {}],
    ['pushed', { pushedAuthorizationRequests: true }],
    ['signed', { signedAuthorizationRequests: { key: privateKey } }],
  ])('a login with them %s, and its refresh: the token and `parameters` have what was granted', async (_case, options) => {
    const session = await signIn(client('app', options), [payment]);
    const token = await session.getToken();
    expect(token.parameters).toMatchObject({ authorization_details: [payment] });
    expect(decodeJwt(token.value)).toMatchObject({ sub: 'user-1', authorization_details: [payment] });
    const renewed = await session.getToken({ rejected: token });
    expect(renewed.value).not.toBe(token.value);
    expect(renewed.parameters).toMatchObject({ authorization_details: [payment] });
    expect(decodeJwt(renewed.value)).toMatchObject({ authorization_details: [payment] });
    expect(granted).toEqual(['authorization_code', 'refresh_token']);
  });

  test('C4 a session\'s tokens for some of them, beside that for all', async () => {
    const session = await signIn(client('app'), [payment, account]);
    const [one, other] = await Promise.all([payment, account].map(async (detail) => session.forResource({ authorizationDetails: [detail] }).getToken()));
    expect([one, other, await session.getToken()].map((token) => decodeJwt(token?.value ?? '')['authorization_details'])).toEqual([[payment], [account], [payment, account]]);
    expect(one?.parameters).toMatchObject({ authorization_details: [payment] });
    expect(granted).toEqual(['authorization_code', 'refresh_token', 'refresh_token']);
  });

  test('a type that it doesn\'t know', async () => {
    const unknown = [{ type: 'unheard-of' }];
    expect(await failureOf(client('billing').clientCredentials({ authorizationDetails: unknown }).getToken())).toMatchObject({ code: 'token_request_failed', status: 400, error: 'invalid_authorization_details', retryable: false });
    expect(await failureOf(signIn(client('app'), unknown))).toMatchObject({ code: 'authorization_failed', error: 'invalid_authorization_details' });
    expect(await failureOf(signIn(client('app', { pushedAuthorizationRequests: true }), unknown))).toMatchObject({ code: 'token_request_failed', status: 400, error: 'invalid_authorization_details' });
  });
});

describe('authorizationDetails', () => {
  let server: AuthorizationServer;

  beforeAll(async () => {
    server = await startAuthorizationServer();
  });

  afterAll(async () => {
    await server.close();
  });

  test('C3 are in the cache key: no token serves other details, and those of the same are asked for once', async () => {
    const { tokens } = machineClient(server);
    const requests: TokenRequest[] = [{}, { authorizationDetails: [payment] }, { authorizationDetails: [account] }, { authorizationDetails: [payment, account] }, { authorizationDetails: [{ ...payment, actions: ['cancel'] }] }];
    const before = server.tokenRequests.length;
    const values = new Set<string>();
    for (const request of [...requests, ...requests.map((request) => structuredClone(request))]) values.add((await tokens.clientCredentials(request).getToken()).value);
    expect([values.size, server.tokenRequests.length - before]).toEqual([5, 5]);
    expect(server.tokenRequests.slice(before).map(({ parameters }) => parameters.get('authorization_details'))).toEqual([null, ...requests.slice(1).map(({ authorizationDetails }) => JSON.stringify(authorizationDetails))]);
  });

  test('that are an empty list are none', async () => {
    const { tokens } = machineClient(server);
    const { value } = await tokens.clientCredentials().getToken();
    expect((await tokens.clientCredentials({ authorizationDetails: [] }).getToken()).value).toBe(value);
    expect(server.lastTokenRequest.parameters.has('authorization_details')).toBe(false);
  });

  test('are taken as they are at the call: what the caller changes later changes nothing', async () => {
    const details = [{ type: 'payment', amount: 1 }];
    const source = machineClient(server).tokens.clientCredentials({ authorizationDetails: details });
    details[0] = { type: 'payment', amount: 1_000 };
    await source.getToken();
    expect(server.lastTokenRequest.parameters.get('authorization_details')).toBe('[{"type":"payment","amount":1}]');
  });

  test('go to the authorization endpoint as JSON', async () => {
    const { url } = await webClient(server).tokens.startLogin({ redirectUri: REDIRECT_URI, authorizationDetails: [payment] });
    expect(url.searchParams.getAll('authorization_details')).toEqual([JSON.stringify([payment])]);
  });

  const circular: Record<string, unknown> = { type: 'payment' };
  circular['self'] = circular;

  test.each<[string, unknown]>([
    ['one that is not in a list', payment],
    ['JSON', JSON.stringify([payment])],
    ['a list of texts', ['payment']],
    ['one without a type', [{ actions: ['read'] }]],
    ['one with an empty type', [{ type: '' }]],
    ['a type that is no text', [{ type: 1 }]],
    ['null in the list', [payment, null]],
    ['an instance of a class', [new Map([['type', 'payment']])]],
    ['what JSON can\'t hold', [{ type: 'payment', amount: 1n }]],
    ['what has no end', [circular]],
  ])('refuse %s, and show nothing of it', async (_case, authorizationDetails) => {
    const request = { authorizationDetails } as TokenRequest;
    const failures = [
      thrownBy(() => machineClient(server).tokens.clientCredentials(request)),
      await failureOf(webClient(server).tokens.startLogin({ redirectUri: REDIRECT_URI, ...request })),
    ];
    for (const [index, failure] of failures.entries()) {
      expect(failure.code).toBe('invalid_configuration');
      expect(failure.message).toContain(`${['clientCredentials', 'startLogin'][index]}: \`authorizationDetails\` must be a list of objects with a \`type\` (RFC 9396), which JSON can hold; received `);
      expect(failure.message).not.toContain('payment');
    }
  });

  test('have an option of their own', () => {
    const failure = thrownBy(() => machineClient(server).tokens.clientCredentials({ parameters: { authorization_details: '[]' } }));
    expect(failure.message).toBe('clientCredentials: `parameters.authorization_details` is reserved: use the option `authorizationDetails`');
  });
});
