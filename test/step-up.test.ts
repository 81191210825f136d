import { decodeJwt } from 'jose';
import { challenges, createFetch, createTokenManager, stepUp, type LoginOptions, type Session, type StepUp, type TokenManager } from 'grantkeeper';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadProvider } from '../examples/shared-servers/load-provider.js';
import type { Reply } from './support/answers.js';
import { startApi, type Api } from './support/api-server.js';
import { CookieUserAgent } from './support/cookie-user-agent.js';
import { startOidcProvider, type OidcProvider } from './support/oidc-provider.js';
import { REDIRECT_URI } from './support/web-client.js';

const PASSWORD = 'urn:example:password';
const PASSKEY = 'urn:example:passkey';

function asked(...challenge: string[]): StepUp | undefined {
  return stepUp(new Response(null, { status: 401, headers: challenge.map((value) => ['www-authenticate', value]) }));
}

describe('stepUp reads', () => {
  test.each<[string, StepUp]>([
    ['Bearer error="insufficient_user_authentication", acr_values=" a b "', { acrValues: 'a b' }],
    ['Bearer error="insufficient_user_authentication", max_age="5"', { maxAge: 5 }],
    ['Bearer error="insufficient_user_authentication", max_age=0', { maxAge: 0 }],
    ['Bearer error="insufficient_user_authentication", error_description="more", acr_values="a", max_age="300", scope="pay"', { acrValues: 'a', maxAge: 300, scope: 'pay' }],
    ['Bearer error="insufficient_user_authentication"', {}],
    ['Bearer error="insufficient_user_authentication", acr_values=" ", scope=""', {}],
    ['error="insufficient_user_authentication", acr_values="a"', { acrValues: 'a' }],
    ['DPoP algs="ES256", error="insufficient_user_authentication", acr_values="a", Bearer', { acrValues: 'a' }],
    ['Bearer error="insufficient_scope", scope="read write"', { scope: 'read write' }],
    ['Bearer error="insufficient_scope", scope=" write ", acr_values="a"', { scope: 'write' }],
    ['Bearer error="insufficient_scope", scope="write", Bearer error="insufficient_user_authentication", max_age="1"', { maxAge: 1 }],
    ['Bearer error="insufficient_scope", Bearer error="insufficient_scope", scope="write"', { scope: 'write' }],
  ])('F10 %s', (challenge, expected) => {
    expect(asked(challenge)).toEqual(expected);
    expect(Object.isFrozen(asked(challenge))).toBe(true);
  });

  test.each(['-1', '1.5', '1e3', '', 'soon', '99999999999999999999', '0x10', ' 5'])('F10 no age in max_age="%s"', (age) => {
    expect(asked(`Bearer error="insufficient_user_authentication", acr_values="a", max_age="${age}"`)).toEqual({ acrValues: 'a' });
  });

  test.each([
    ['nothing', []],
    ['no error', ['Bearer realm="api"']],
    ['a refused token', ['Bearer error="invalid_token", acr_values="a", max_age="5", scope="read"']],
    ['a scope that isn\'t named', ['Bearer error="insufficient_scope"']],
    ['an empty scope', ['Bearer error="insufficient_scope", scope=" "']],
    ['what can\'t be read', ['"insufficient_user_authentication']],
  ])('F10 nothing from %s', (_case, challenge) => {
    expect(asked(...challenge)).toBeUndefined();
  });

  test.each([
    [200, undefined],
    [400, undefined],
    [401, { scope: 'write' }],
    [403, { scope: 'write' }],
    [500, undefined],
  ])('F10 a %i with a challenge: %j', (status, expected) => {
    expect(stepUp(new Response(null, { status, headers: { 'www-authenticate': 'Bearer error="insufficient_scope", scope="write"' } }))).toEqual(expected);
  });

  test('F10 two headers, and the body stays unread', async () => {
    const response = new Response('the body', { status: 401, headers: [['www-authenticate', 'Basic'], ['www-authenticate', 'Bearer error="insufficient_user_authentication", max_age="7"']] });
    expect(stepUp(response)).toEqual({ maxAge: 7 });
    expect(await response.text()).toBe('the body');
  });
});

describe('a step-up, from the refusal to the answer', () => {
  let provider: OidcProvider;
  let api: Api;
  let browser: CookieUserAgent;
  const granted: string[] = [];

  beforeAll(async () => {
    await loadProvider();
    const { interactionPolicy } = await import('oidc-provider');
    const policy = interactionPolicy.base();
    // RFC 9470 section 5: a session that was begun in another way than is asked for doesn't do.
    policy.get('login')?.checks.add(new interactionPolicy.Check('acr_values', 'another authentication is asked for', ({ oidc }) => {
      const wanted = oidc.params?.['acr_values'];
      return typeof wanted === 'string' && !wanted.split(' ').includes(oidc.acr);
    }));
    provider = await startOidcProvider({
      clients: [{ client_id: 'app', client_secret: 'an-ordinary.secret_1', grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], redirect_uris: [REDIRECT_URI] }],
      configuration: {
        acrValues: [PASSWORD, PASSKEY],
        interactions: { policy, url: (_ctx, { uid }) => `/interaction/${uid}` },
        // RFC 9470 section 6.1
        extraTokenClaims: ({ oidc }) => {
          const { acr, authTime } = oidc.entities.AuthorizationCode ?? {};
          return { acr, auth_time: authTime };
        },
      },
    });
    provider.provider.on('grant.success', ({ oidc }) => { granted.push(String(oidc.params?.['grant_type'])); });
    // The user signs in in the first of the ways that the client would like.
    const consents = provider.interactions.answer.bind(provider.interactions);
    provider.interactions.answer = async (request, response) => {
      const { prompt, params } = await provider.provider.interactionDetails(request, response);
      if (prompt.name !== 'login') return consents(request, response);
      const { acr_values: wanted = PASSWORD } = params as { acr_values?: string };
      const [acr] = wanted.split(' ');
      return provider.provider.interactionFinished(request, response, { login: { accountId: 'user-1', acr } });
    };
    api = await startApi();
  });
  afterAll(async () => {
    await api.close();
    await provider.close();
  });

  beforeEach(() => {
    browser = new CookieUserAgent(provider.issuer);
    granted.length = 0;
    api.requests.length = 0;
  });

  const client = (): TokenManager => createTokenManager({ issuer: provider.issuer, clientId: 'app', clientSecret: 'an-ordinary.secret_1', allowInsecureRequests: true });
  const signIn = async (tokens: TokenManager, options: Partial<LoginOptions> = {}): Promise<{ url: URL; session: Session }> => {
    const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'openid offline_access read', prompt: 'consent', ...options });
    return { url: new URL(url), session: (await tokens.completeLogin(await browser.follows(url), transaction)).session };
  };
  const apiOf = (session: Session): typeof fetch => createFetch(session, { baseUrl: api.origin, allowInsecureRequests: true });
  /** What the API knows of the caller. */
  const claimsOf = (authorization: string | undefined): Record<string, unknown> => decodeJwt(authorization?.replace('Bearer ', '') ?? '');

  test('F10 RFC 9470: the 401 is handed out without a renewal, and the next login brings what it asked for', async () => {
    api.answersEvery(({ headers }): Reply => {
      if (claimsOf(headers.authorization)['acr'] === PASSKEY) return { json: { paid: true } };
      return { status: 401, headers: { 'www-authenticate': `Bearer error="insufficient_user_authentication", acr_values="${PASSKEY} urn:example:other", max_age="300"` } };
    });
    const tokens = client();
    const { session } = await signIn(tokens);
    const refused = await apiOf(session)('/payments', { method: 'POST', body: '{}' });
    expect(refused.status).toBe(401);
    expect(granted).toEqual(['authorization_code']);
    expect(api.requests).toHaveLength(1);

    const needed = stepUp(refused);
    expect(needed).toEqual({ acrValues: `${PASSKEY} urn:example:other`, maxAge: 300 });
    const { url, session: stronger } = await signIn(tokens, needed);
    expect(Object.fromEntries(url.searchParams)).toMatchObject({ acr_values: `${PASSKEY} urn:example:other`, max_age: '300', scope: 'openid offline_access read' });
    expect((await stronger.info())?.claims?.['acr']).toBe(PASSKEY);
    expect((await apiOf(stronger)('/payments', { method: 'POST', body: '{}' })).status).toBe(200);
    expect(granted).toEqual(['authorization_code', 'authorization_code']);
  });

  test('F10 RFC 9470: an age of 0 has the user sign in again', async () => {
    api.answersEvery({ status: 401, headers: { 'www-authenticate': 'Bearer error="insufficient_user_authentication", max_age="0"' } });
    let logins = 0;
    provider.provider.on('interaction.started', (_ctx, { name }) => { if (name === 'login') logins += 1; });
    const tokens = client();
    const { session } = await signIn(tokens);
    await signIn(tokens);
    expect(logins).toBe(1);
    const { url } = await signIn(tokens, stepUp(await apiOf(session)('/payments')));
    expect(url.searchParams.get('max_age')).toBe('0');
    expect(logins).toBe(2);
  });

  test('F10 RFC 6750: a scope that is missing is added to the login\'s own', async () => {
    api.answersEvery(({ headers }): Reply => {
      if (String(claimsOf(headers.authorization)['scope']).split(' ').includes('write')) return { json: {} };
      return { status: 403, headers: { 'www-authenticate': 'Bearer error="insufficient_scope", scope="write"' } };
    });
    const tokens = client();
    const { session } = await signIn(tokens);
    const refused = await apiOf(session)('/orders', { method: 'PUT', body: '{}' });
    expect(challenges(refused)).toMatchObject([{ error: 'insufficient_scope' }]);
    const needed = stepUp(refused);
    const { session: wider } = await signIn(tokens, { ...needed, scope: `openid offline_access read ${needed?.scope ?? ''}` });
    expect((await apiOf(wider)('/orders', { method: 'PUT', body: '{}' })).status).toBe(200);
  });

  test('F10 the line of the documentation: the options go into startLogin as they are', async () => {
    api.answersEvery({ status: 403, headers: { 'www-authenticate': 'Bearer error="insufficient_scope", scope="read write"' } });
    const tokens = client();
    const { session } = await signIn(tokens);
    const { url } = await tokens.startLogin({ redirectUri: REDIRECT_URI, ...stepUp(await apiOf(session)('/orders')) });
    expect(new URL(url).searchParams.get('scope')).toBe('read write');
    api.answersEvery({ json: {} });
    const unchanged = await tokens.startLogin({ redirectUri: REDIRECT_URI, ...stepUp(await apiOf(session)('/orders')) });
    expect(new URL(unchanged.url).searchParams.has('scope')).toBe(false);
  });
});
