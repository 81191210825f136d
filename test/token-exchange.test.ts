import { decodeJwt } from 'jose';
import { createTokenManager, tokenExchange, type Dialect, type TokenExchangeRequest, type TokenManager, type TokenManagerOptions, type TokenSource } from 'grantkeeper';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { CookieUserAgent } from './support/cookie-user-agent.js';
import { failureOf, thrownBy } from './support/failure.js';
import { machineClient } from './support/machine-client.js';
import { MapStore } from './support/map-store.js';
import { registerTokenExchange, withGrantClaims } from './support/oidc-grants.js';
import { startOidcProvider, type OidcProvider } from './support/oidc-provider.js';
import { REDIRECT_URI } from './support/web-client.js';

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange';

describe('what is asked', () => {
  let server: AuthorizationServer;

  beforeEach(async () => {
    server = await startAuthorizationServer();
  });

  afterEach(async () => {
    await server.close();
  });

  const exchanged = (options: Partial<TokenExchangeRequest> = {}, tokens: TokenManager = machineClient(server).tokens): TokenSource =>
    tokens.grant(tokenExchange({ subjectToken: 'subject-1', ...options }));

  test('RFC 8693 section 2.1, in its words', async () => {
    await exchanged({
      actorToken: 'actor-1',
      actorTokenType: 'urn:ietf:params:oauth:token-type:jwt',
      subjectTokenType: 'urn:ietf:params:oauth:token-type:id_token',
      requestedTokenType: ACCESS_TOKEN,
      audience: 'orders',
      resource: 'https://orders.example.com/',
      scope: 'read',
      parameters: { extra: 'yes' },
    }).getToken();
    expect(Object.fromEntries(server.lastTokenRequest.parameters)).toEqual({
      grant_type: GRANT,
      subject_token: 'subject-1',
      subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
      actor_token: 'actor-1',
      actor_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      requested_token_type: ACCESS_TOKEN,
      audience: 'orders',
      resource: 'https://orders.example.com/',
      scope: 'read',
      extra: 'yes',
    });
  });

  test('access tokens are what is exchanged, unless something else is said', async () => {
    await exchanged({ actorToken: 'actor-1' }).getToken();
    const { parameters } = server.lastTokenRequest;
    expect([parameters.get('subject_token_type'), parameters.get('actor_token_type'), parameters.get('requested_token_type')]).toEqual([ACCESS_TOKEN, ACCESS_TOKEN, null]);
  });

  test.each<[string, Partial<TokenExchangeRequest>]>([
    ['subject', { subjectToken: 'subject-2' }],
    ['actor', { actorToken: 'actor-1' }],
    ['kind of subject', { subjectTokenType: 'urn:ietf:params:oauth:token-type:jwt' }],
    ['kind of token', { requestedTokenType: 'urn:ietf:params:oauth:token-type:jwt' }],
    ['audience', { audience: 'orders' }],
    ['authorization details', { authorizationDetails: [{ type: 'order' }] }],
  ])('C3 the same request shares a token; another %s never does', async (_case, options) => {
    const store = new MapStore();
    const tokens = (): TokenManager => machineClient(server, { store, encryptionKeys: false }).tokens;
    const one = await exchanged({}, tokens()).getToken();
    expect((await exchanged({}, tokens()).getToken()).value).toBe(one.value);
    expect((await exchanged(options, tokens()).getToken()).value).not.toBe(one.value);
    expect((await tokens().clientCredentials().getToken()).value).not.toBe(one.value);
  });

  test('C3 a subject is not taken for an actor', async () => {
    const { tokens } = machineClient(server);
    const one = await exchanged({ subjectToken: 'a', actorToken: 'b' }, tokens).getToken();
    expect((await exchanged({ subjectToken: 'b', actorToken: 'a' }, tokens).getToken()).value).not.toBe(one.value);
  });

  test('C1 a thousand callers for one subject cost one request, and a renewal comes ahead of expiry', async () => {
    const { tokens, clock, events } = machineClient(server);
    const source = exchanged({}, tokens);
    await Promise.all(Array.from({ length: 1_000 }, async () => source.getToken()));
    expect(server.tokenRequests).toHaveLength(1);
    expect(events.acquired).toMatchObject([{ grant: GRANT }]);
    clock.advance(3_595_000);
    await source.getToken();
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('a source as subject is asked for its token at each call: another token of its is another subject', async () => {
    const { tokens } = machineClient(server);
    let subject = 'first';
    const source = exchanged({ subjectToken: { getToken: async () => Promise.resolve({ value: subject, type: 'Bearer', parameters: {} }) } }, tokens);
    const one = await source.getToken();
    expect((await source.getToken()).value).toBe(one.value);
    subject = 'second';
    expect((await source.getToken()).value).not.toBe(one.value);
    expect(server.tokenRequests.map(({ parameters }) => parameters.get('subject_token'))).toEqual(['first', 'second']);
  });

  test('a subject that can\'t be had fails as it does', async () => {
    const source = exchanged({ subjectToken: machineClient(server).tokens.session('A'.repeat(43)) });
    expect(await failureOf(source.getToken())).toMatchObject({ code: 'reauthorization_required' });
    expect(server.tokenRequests).toEqual([]);
  });

  test.each([{}, { value: '' }, { value: 7 }, undefined])('a source whose token is %j is no subject and no actor', async (token) => {
    const source = { getToken: async () => Promise.resolve(token as never) };
    for (const options of [{ subjectToken: source }, { actorToken: source }]) {
      expect(await failureOf(exchanged(options).getToken())).toMatchObject({ code: 'invalid_configuration', message: 'tokenExchange: getToken() of a source must give an access token: an object with a `value`' });
    }
    expect(server.tokenRequests).toEqual([]);
  });

  test('a refused token is exchanged anew', async () => {
    const source = exchanged();
    const rejected = await source.getToken();
    expect((await source.getToken({ rejected })).value).not.toBe(rejected.value);
  });

  test('what is no access token is said to be none', async () => {
    server.nextTokenAnswerWith({ token_type: 'N_A', issued_token_type: 'urn:ietf:params:oauth:token-type:id_token' });
    expect((await failureOf(exchanged().getToken())).message).toContain('what came is no access token (token_type N_A, RFC 8693 section 2.2.1)');
  });

  test('P1 of a dialect its answer and its scopes are translated, its request is not', async () => {
    const dialect: Dialect = { scopeSeparator: ',', tokenRequest: { format: 'json', grantType: 'other', parameters: { further: 'x' } }, tokenResponse: { at: 'data', tokenType: 'Bearer', errors: { 40105: 'invalid_client' } } };
    const { tokens } = machineClient(server, { dialect });
    server.answersNext({ json: { data: { access_token: 'nested', scope: 'a,b' } } });
    expect(await exchanged({ scope: 'a b' }, tokens).getToken()).toMatchObject({ value: 'nested', scope: 'a b' });
    const { parameters } = server.lastTokenRequest;
    expect([parameters.get('grant_type'), parameters.get('scope'), parameters.has('further')]).toEqual([GRANT, 'a,b', false]);
    server.answersNext({ json: { error: 40105 } });
    expect(await failureOf(exchanged({ scope: 'c' }, tokens).getToken())).toMatchObject({ code: 'token_request_failed', error: 'invalid_client' });
  });

  test('S1 the server may echo what it was sent', async () => {
    const { tokens } = machineClient(server);
    server.rejectsNextWith('invalid_request', 400, 'no: canary-subject and canary-actor');
    const failure = await failureOf(exchanged({ subjectToken: 'canary-subject', actorToken: 'canary-actor' }, tokens).getToken());
    expect(failure).toMatchObject({ code: 'token_request_failed', error: 'invalid_request' });
    expect(failure.message).not.toContain('canary');
  });

  test.each<[string, unknown, string]>([
    ['no subject', {}, '`subjectToken` is required'],
    ['an empty subject', { subjectToken: '' }, '`subjectToken` must be a non-empty string, or a source of tokens; received an empty string'],
    ['an access token itself', { subjectToken: { value: 'canary' } }, '`subjectToken` must be'],
    ['a parameter that has an option', { subjectToken: 'x', parameters: { actor_token: 'y' } }, '`parameters.actor_token` is reserved: use the option of tokenExchange'],
    ['a typo', { subjectToken: 'x', actorTokn: 'y' }, 'did you mean `actorToken`?'],
  ])('%s is refused at once', (_case, options, text) => {
    const failure = thrownBy(() => tokenExchange(options as TokenExchangeRequest));
    expect(failure).toMatchObject({ code: 'invalid_configuration' });
    expect(failure.message).toContain(`tokenExchange: ${text}`.replace('tokenExchange: did', 'did'));
    expect(failure.message).not.toContain('canary');
  });
});

describe('a real authorization server', () => {
  let provider: OidcProvider;

  beforeAll(async () => {
    provider = await startOidcProvider({
      jwt: false,
      configuration: withGrantClaims,
      clients: [
        { client_id: 'gateway', client_secret: 'an-ordinary.secret_1', grant_types: [GRANT, 'client_credentials'], redirect_uris: [], response_types: [] },
        { client_id: 'app', client_secret: 'an-ordinary.secret_1', grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], redirect_uris: [REDIRECT_URI] },
      ],
    });
    registerTokenExchange(provider.provider);
  });

  afterAll(async () => {
    await provider.close();
  });

  const client = (options: Partial<TokenManagerOptions> = {}): TokenManager =>
    createTokenManager({ issuer: provider.issuer, clientId: 'gateway', clientSecret: 'an-ordinary.secret_1', allowInsecureRequests: true, retry: { minDelay: 0 }, ...options });

  test('exchanges a user\'s token for another API, for each user their own', async () => {
    const app = client({ clientId: 'app' });
    const gateway = client();
    const claims: unknown[] = [];
    for (const user of ['user-1', 'user-2']) {
      provider.interactions.subject = user;
      const { url, transaction } = await app.startLogin({ redirectUri: REDIRECT_URI, scope: 'openid read' });
      const { session } = await app.completeLogin(await new CookieUserAgent(provider.issuer).follows(url), transaction);
      const token = await gateway.grant(tokenExchange({ subjectToken: session, actorToken: gateway.clientCredentials(), audience: 'orders' })).getToken();
      expect(token.parameters).toEqual({ issued_token_type: ACCESS_TOKEN });
      claims.push(decodeJwt(token.value));
    }
    expect(claims).toMatchObject(['user-1', 'user-2'].map((user) => ({ on_behalf_of: user, act: { sub: 'gateway' }, aud: 'orders' })));
  });
});
