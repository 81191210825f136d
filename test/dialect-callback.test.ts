import { createTokenManager, type Dialect, type TokenManager } from 'grantkeeper';
import { createLoginHandlers } from 'grantkeeper/web';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Browser } from './support/browser.js';
import { textsOf } from './support/canary.js';
import { failureOf } from './support/failure.js';
import { startPeculiarServer, type PeculiarServer } from './support/peculiar-server.js';
import { asking, SECRET } from './support/peculiar-run.js';
import { REDIRECT_URI } from './support/web-client.js';

const TOKEN = { access_token: 'at-1', token_type: 'bearer', expires_in: 3600, refresh_token: 'rt-1' };

let server: PeculiarServer;

beforeEach(async () => {
  server = await startPeculiarServer();
});

afterEach(async () => {
  await server.close();
});

function manager(dialect: Dialect): TokenManager {
  return createTokenManager({
    server: { authorization_endpoint: `${server.origin}/authorize`, token_endpoint: `${server.origin}/token` },
    clientId: 'app', clientSecret: SECRET, allowInsecureRequests: true, retry: { limit: 0 }, dialect,
  });
}

const zoho = (): Dialect => ({ authorizationResponse: { keep: ['accounts-server'] }, tokenRequest: { endpoint: '{accounts-server}/oauth/v2/token', origins: [server.origin, 'https://accounts.zoho.eu'] } });

/** Refused, nothing sent and nothing spent: the right callback completes the login afterwards. */
async function expectRefused(dialect: Dialect, wrong: Record<string, string | readonly string[]>, right: Record<string, string>, path: string): Promise<string> {
  const tokens = manager(dialect);
  const { state, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'a' });
  const callback = (parameters: Record<string, string | readonly string[]>): string => `${REDIRECT_URI}?${new URLSearchParams([['code', 'code-1'], ['state', state], ...Object.entries(parameters).flatMap(([name, values]) => [values].flat().map((value) => [name, value] as [string, string]))]).toString()}`;
  const failure = await failureOf(tokens.completeLogin(callback(wrong), transaction));
  expect(failure).toMatchObject({ code: 'invalid_callback', retryable: false });
  for (const value of Object.values(wrong).flat()) if (value.length > 3) for (const text of textsOf(failure)) expect(text).not.toContain(value);
  expect(server.requests).toEqual([]);
  server.expects({ takes: asking('code', {}, { path }), gives: { json: TOKEN } });
  const { session } = await tokens.completeLogin(callback(right), transaction);
  expect((await session.getToken()).value).toBe('at-1');
  return failure.message;
}

describe('P3 a callback that names the authorization server', () => {
  test.each<[string, (origin: string) => string | string[]]>([
    ['another origin', () => 'https://evil.example'],
    ['one that begins like an allowed one', (origin) => `${origin}.evil.example`],
    ['an allowed one as the user', (origin) => `${origin}@evil.example`],
    ['user and password', (origin) => origin.replace('://', '://user:password@')],
    ['a user alone', (origin) => origin.replace('://', '://user@')],
    ['another port', (origin) => origin.replace(/\d+$/, '1')],
    ['a port for digits', (origin) => `${origin}1`],
    ['an explicit default port', () => 'https://accounts.zoho.eu:443'],
    ['another scheme', (origin) => origin.replace('http:', 'https:')],
    ['http for https', () => 'http://accounts.zoho.eu'],
    ['a path', (origin) => `${origin}/evil`],
    ['a path that goes up', (origin) => `${origin}/..`],
    ['a query', (origin) => `${origin}?x=`],
    ['a fragment', (origin) => `${origin}#`],
    ['a backslash', () => 'https://evil.example\\@accounts.zoho.eu'],
    ['encoded slashes', () => 'https:%2F%2Faccounts.zoho.eu'],
    ['an encoded dot', () => 'https://accounts%2Ezoho.eu'],
    ['a dot of another script', () => 'https://accounts。zoho.eu'],
    ['a trailing dot', () => 'https://accounts.zoho.eu.'],
    ['a tab inside', () => 'https://accounts.zo\tho.eu'],
    ['a space before it', (origin) => ` ${origin}`],
    ['a line break after it', (origin) => `${origin}\n`],
    ['no scheme', () => 'accounts.zoho.eu'],
    ['two slashes', () => '//accounts.zoho.eu'],
    ['javascript', () => 'javascript:alert(1)//'],
    ['a placeholder', () => '{accounts-server}'],
    ['nothing', () => ''],
    ['two of them', (origin) => [origin, 'https://evil.example']],
    ['a right one twice', (origin) => [origin, origin]],
  ])('P3 %s', async (_case, value) => {
    await expectRefused(zoho(), { 'accounts-server': value(server.origin) }, { 'accounts-server': server.origin }, '/oauth/v2/token');
  });

  test('P3 none at all', async () => {
    expect(await expectRefused(zoho(), {}, { 'accounts-server': server.origin }, '/oauth/v2/token')).toContain('no `accounts-server`');
  });

  test('P3 with a slash at its end, as some servers send it', async () => {
    const tokens = manager(zoho());
    const { state, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI });
    server.expects({ takes: asking('code', {}, { path: '/oauth/v2/token' }), gives: { json: TOKEN } });
    await tokens.completeLogin(`?${new URLSearchParams({ state, 'code': 'code-1', 'accounts-server': `${server.origin}/` }).toString()}`, transaction);
    expect(server.refusals).toEqual([]);
  });

  test.each<[string, (dialect: Dialect) => Dialect]>([
    ['refreshes', (dialect) => ({ ...dialect, tokenRequest: {}, refreshRequest: dialect.tokenRequest })],
    ['the exchange right after', (dialect) => ({ ...dialect, tokenRequest: {}, exchangeRequest: dialect.tokenRequest })],
  ])('P3 it is looked at now, though it is for %s', async (_case, moved) => {
    const tokens = manager(moved(zoho()));
    const { state, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI });
    expect(await failureOf(tokens.completeLogin(`?code=code-1&state=${state}&accounts-server=https://evil.example`, transaction))).toMatchObject({ code: 'invalid_callback' });
    expect(server.requests).toEqual([]);
  });

  test('P3 an error with the right state is told, whatever server it names', async () => {
    const tokens = manager(zoho());
    const { state, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI });
    expect(await failureOf(tokens.completeLogin(`?error=access_denied&state=${state}&accounts-server=https://evil.example`, transaction))).toMatchObject({ code: 'authorization_failed', error: 'access_denied' });
  });
});

describe('P3 a value in a host or a path', () => {
  const label = (): Dialect => ({ authorizationResponse: { keep: ['dc'] }, refreshRequest: { endpoint: 'https://login-{dc}.example.com/token' } });
  test.each(['eu.evil', 'eu.', '.eu', '', 'eu/', 'eu/../..', 'eu:1', 'eu@', 'eu#', 'eu?', 'eu\\', 'eu%2eevil', 'ø', '-eu', 'eu-', ' eu', 'eu\n', '[', 'x'.repeat(64), '*'])('P3 no label: %j', async (dc) => {
    await expectRefused(label(), { dc }, { dc: 'eu-1' }, '/token');
  });

  const segment = (): Dialect => ({ authorizationResponse: { keep: ['realm'] }, tokenRequest: { endpoint: `${server.origin}/{realm}/token` } });
  test.each(['.', '..', ''])('P3 no segment: %j', async (realm) => {
    await expectRefused(segment(), { realm }, { realm: 'eu' }, '/eu/token');
  });

  test.each([['../admin', '/..%2Fadmin/token'], ['a?b#c', '/a%3Fb%23c/token'], ['%2e%2e', '/%252e%252e/token'], ['https://evil.example', '/https%3A%2F%2Fevil.example/token']])('P3 encoded: %j', async (realm, path) => {
    const tokens = manager(segment());
    const { state, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI });
    server.expects({ takes: asking('code', {}, { path }), gives: { json: TOKEN } });
    await tokens.completeLogin(`?${new URLSearchParams({ state, code: 'code-1', realm }).toString()}`, transaction);
    expect(server.refusals).toEqual([]);
  });

  test.each<[string, Dialect['tokenRequest']]>([
    ['a parameter', { parameters: { realm: '{realm}' } }],
    ['a header', { headers: { 'x-realm': '{realm}' } }],
  ])('P3 one that is missing for %s: nothing is sent or spent', async (_case, tokenRequest) => {
    const tokens = manager({ authorizationResponse: { keep: ['realm'] }, tokenRequest });
    const { state, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI });
    const callback = `?code=code-1&state=${state}`;
    expect(await failureOf(tokens.completeLogin(callback, transaction))).toMatchObject({ code: 'invalid_callback', message: expect.stringContaining('`realm`') as string });
    expect(server.requests).toEqual([]);
    server.expects({ takes: asking('code', tokenRequest?.parameters === undefined ? {} : { realm: 'eu' }), gives: { json: TOKEN } });
    expect(await tokens.completeLogin(`${callback}&realm=eu`, transaction)).toHaveProperty('session');
  });

  test('P3 one that is too long to be kept: nothing is sent or spent', async () => {
    await expectRefused({ authorizationResponse: { keep: ['realm'] } }, { realm: 'x'.repeat(1_001) }, { realm: 'x'.repeat(1_000) }, '/token');
  });

  test('P3 a client\'s own token has no callback: the dialect is at fault', async () => {
    expect(await failureOf(manager(zoho()).clientCredentials().getToken())).toMatchObject({ code: 'invalid_configuration', message: expect.stringContaining('{accounts-server}') as string });
    expect(server.requests).toEqual([]);
  });

  test('P3 a header can\'t be broken out of', async () => {
    const tokens = manager({ authorizationResponse: { keep: ['realm'] }, tokenRequest: { headers: { 'x-realm': '{realm}' } } });
    const { state, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI });
    server.expects({ takes: asking('code', {}, { headers: { 'x-realm': 'a%0D%0Ax-evil:%201%C3%A9' } }), gives: { json: TOKEN } });
    await tokens.completeLogin(`?${new URLSearchParams({ state, code: 'code-1', realm: 'a\r\nx-evil: 1é' }).toString()}`, transaction);
    expect(server.refusals).toEqual([]);
    expect(server.last.headers).not.toHaveProperty('x-evil');
  });
});

describe('P2 without PKCE', () => {
  test.each<[string, (state: string) => string]>([
    ['no state', () => '?code=code-1'],
    ['a wrong one', (state) => `?code=code-1&state=${state.slice(1)}x`],
    ['one under the RFC\'s name, where the server has another', (state) => `?code=code-1&state=${state}`],
  ])('P2 state ties the code to the browser: %s', async (_case, callback) => {
    const renamed = _case.startsWith('one under');
    const tokens = manager({ authorizationRequest: { pkce: false, ...(renamed && { names: { state: 'csrf' } }) }, ...(renamed && { authorizationResponse: { names: { state: 'csrf' } } }) });
    const { url, state, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI });
    expect([...url.searchParams.keys()].filter((name) => name.startsWith('code_challenge'))).toEqual([]);
    expect(url.searchParams.get(renamed ? 'csrf' : 'state')).toBe(state);
    expect(await failureOf(tokens.completeLogin(callback(state), transaction))).toMatchObject({ code: 'invalid_callback' });
    expect(server.requests).toEqual([]);
    server.expects({ takes: asking('code', { code_verifier: undefined }), gives: { json: TOKEN } });
    expect(await tokens.completeLogin(`?code=code-1&${renamed ? 'csrf' : 'state'}=${state}`, transaction)).toHaveProperty('session');
  });

  test('P2 a code of another login is refused', async () => {
    const tokens = manager({ authorizationRequest: { pkce: false } });
    const [mine, theirs] = [await tokens.startLogin({ redirectUri: REDIRECT_URI }), await tokens.startLogin({ redirectUri: REDIRECT_URI })];
    expect(await failureOf(tokens.completeLogin(`?code=code-1&state=${theirs.state}`, mine.transaction))).toMatchObject({ code: 'invalid_callback' });
    expect(server.requests).toEqual([]);
  });
});

describe('callbacks with other names', () => {
  const renaming: Dialect = { authorizationRequest: { names: { state: 'csrf' } }, authorizationResponse: { names: { state: 'csrf', code: 'ticket', error: 'failure', error_description: 'reason' } } };

  test('P1 errors too', async () => {
    const tokens = manager(renaming);
    const { state, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI });
    expect(await failureOf(tokens.completeLogin(`?failure=access_denied&reason=no&csrf=${state}`, transaction))).toMatchObject({ code: 'authorization_failed', error: 'access_denied', errorDescription: 'no' });
  });

  test('A2 two of a renamed one are two', async () => {
    const tokens = manager(renaming);
    const { state, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI });
    for (const callback of [`?ticket=1&ticket=2&csrf=${state}`, `?ticket=1&csrf=${state}&csrf=${state}`]) expect(await failureOf(tokens.completeLogin(callback, transaction))).toMatchObject({ code: 'invalid_callback' });
    expect(server.requests).toEqual([]);
  });

  test('P1 names that are swapped', async () => {
    const tokens = manager({ authorizationResponse: { names: { state: 'code', code: 'state' } } });
    const { state, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI });
    server.expects({ takes: asking('code'), gives: { json: TOKEN } });
    expect(await tokens.completeLogin(`?state=code-1&code=${state}`, transaction)).toHaveProperty('session');
  });

  test('A2 the handlers find the login by a renamed state, in the browser that began it only', async () => {
    const tokens = manager(renaming);
    const auth = createLoginHandlers(tokens, { redirectUri: REDIRECT_URI, scope: 'a', onError: () => undefined });
    const [browser, other] = [new Browser(auth.handle, 'https://app.example.com'), new Browser(auth.handle, 'https://app.example.com')];
    const begun = async (): Promise<string> => new URL((await browser.opens('/login')).headers.get('location') ?? '').searchParams.get('csrf') ?? '';
    const [first, second] = [await begun(), await begun()];
    const callback = (state: string): string => `/callback?ticket=code-1&csrf=${state}&extra=1`;
    expect((await other.opens(callback(first))).status).toBe(400);
    expect((await browser.opens(`/callback?ticket=code-1&csrf=${first}&other=${second}`)).status).toBe(400);
    expect((await browser.opens(`${callback(first)}&state=${second}x`)).status).toBe(400);
    expect(server.requests).toEqual([]);
    server.expects({ takes: asking('code'), gives: { json: TOKEN } });
    expect((await browser.opens(callback(first))).status).toBe(303);
    server.expects({ takes: asking('code'), gives: { json: { ...TOKEN, access_token: 'at-2' } } });
    expect((await browser.opens(callback(second))).status).toBe(303);
    expect(browser.session).toBeDefined();
  });
});

describe('what is kept of a callback', () => {
  test('S1 its values are in no error, whatever echoes them', async () => {
    const canary = 'canary-4f1d';
    const dialect = { authorizationResponse: { keep: ['realm'] }, tokenRequest: { endpoint: `${server.origin}/{realm}/token` } };
    const tokens = manager(dialect);
    const login = async (): Promise<[string, string]> => {
      const { state, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI });
      return [`?state=${state}&realm=${canary}`, transaction];
    };
    const failures = [];
    for (const gives of [{ status: 400, json: { error: canary, error_description: `there is no realm ${canary}` } }, { status: 200, body: canary }, { json: { error: 'invalid_grant', error_description: canary } }]) {
      const [callback, transaction] = await login();
      server.expects({ takes: asking('code', {}, { path: `/${canary}/token` }), gives });
      failures.push(await failureOf(tokens.completeLogin(`${callback}&code=code-1`, transaction)));
    }
    const [callback, transaction] = await login();
    failures.push(await failureOf(tokens.completeLogin(`${callback}&error=${canary}&error_description=no-${canary}`, transaction)));
    await server.stop();
    const [last, lastTransaction] = await login();
    const unreachable = await failureOf(tokens.completeLogin(`${last}&code=code-1`, lastTransaction));
    expect(unreachable).toMatchObject({ code: 'server_unreachable', retryable: false });
    for (const failure of [...failures, unreachable]) for (const text of textsOf(failure)) expect(text).not.toContain(canary);
  });
});
