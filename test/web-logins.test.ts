import type { OAuthError } from 'grantkeeper';
import { createFetch } from 'grantkeeper';
import { createLoginHandlers, type LoginHandlersOptions } from 'grantkeeper/web';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { reset } from './support/answers.js';
import { startApi } from './support/api-server.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { Browser } from './support/browser.js';
import type { MachineClient, MachineClientOptions } from './support/machine-client.js';
import { followLogin } from './support/user-agent.js';
import { REDIRECT_URI, webClient } from './support/web-client.js';

let server: AuthorizationServer;

beforeEach(async () => { server = await startAuthorizationServer(); });
afterEach(async () => { await server.close(); });

interface Site extends MachineClient {
  readonly browser: Browser;
  readonly errors: OAuthError[];
  readonly sessionOf: (browser: Browser) => ReturnType<ReturnType<typeof createLoginHandlers>['session']>;
}

function site(options: Partial<LoginHandlersOptions> = {}, manager: MachineClientOptions = {}): Site {
  const client = webClient(server, manager);
  const errors: OAuthError[] = [];
  const auth = createLoginHandlers(client.tokens, { redirectUri: REDIRECT_URI, scope: 'openid offline_access', onError: (error) => { errors.push(error); }, ...options });
  return {
    ...client,
    errors,
    browser: new Browser(auth.handle),
    sessionOf: ({ cookieHeader }) => auth.session({ headers: new Headers({ cookie: cookieHeader }) }),
  };
}

const location = (response: Response): string => response.headers.get('location') ?? '';

/** The browser goes to the authorization server, and is sent back. */
async function callbackOf(start: Response): Promise<string> {
  const { pathname, search } = new URL(await followLogin(location(start)));
  return pathname + search;
}

async function logIn(browser: Browser, path = '/login'): Promise<Response> {
  return browser.opens(await callbackOf(await browser.opens(path)));
}

describe('a whole login through the pages', () => {
  test('A10 A11 the session that the cookie names calls the API, and renews its token by itself', async () => {
    await using api = await startApi();
    const { browser, clock, sessionOf } = site();
    expect(location(await logIn(browser, '/login?returnTo=/inbox'))).toBe('/inbox');
    expect(server.lastTokenRequest.parameters.get('redirect_uri')).toBe(REDIRECT_URI);

    const session = sessionOf(browser);
    if (session === undefined) throw new Error('nobody is signed in');
    const call = createFetch(session, { baseUrl: api.origin, allowInsecureRequests: true });
    await call('/v1/me');
    clock.advance(3_600_000);
    await call('/v1/me');
    expect(api.requests.map(({ headers }) => headers.authorization)).toEqual(server.issuedTokens.map((token) => `Bearer ${token}`));
    expect((await session.info())?.claims?.['sub']).toBe('user-1');
  });

  test('A3 two callbacks at once: one exchange, and one of them has the session', async () => {
    const { browser } = site();
    const callback = await callbackOf(await browser.opens('/login'));
    const outcomes = await Promise.all([browser.opens(callback), browser.opens(callback)]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual([303, 400]);
    expect(server.tokenRequests).toHaveLength(1);
    expect((await browser.opens(callback)).status).toBe(303);
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('A4 two tabs at once, of two users: the later login has the browser, and the earlier session is gone', async () => {
    const { browser, tokens, sessionOf } = site();
    const first = await browser.opens('/login');
    const second = await browser.opens('/login');
    await browser.opens(await callbackOf(first));
    const earlier = browser.session ?? '';
    server.subject = 'user-2';
    await browser.opens(await callbackOf(second));
    expect((await sessionOf(browser)?.info())?.claims?.['sub']).toBe('user-2');
    expect(await tokens.session(earlier).info()).toBeUndefined();
  });

  test('A9 a second login ends the first session, at a server that takes both for one grant too', async () => {
    server.at('/revoke').answersEvery(() => {
      server.killAllGrants();
      return { status: 200 };
    });
    const { browser, clock, tokens, sessionOf } = site();
    await logIn(browser);
    const earlier = browser.session ?? '';
    await logIn(browser);
    await expect(tokens.session(earlier).getToken()).rejects.toMatchObject({ code: 'reauthorization_required' });
    clock.advance(3_600_000);
    expect((await sessionOf(browser)?.getToken())?.value).toBe(server.issuedTokens.at(-1));
    expect(server.issuedTokens).toHaveLength(3);
  });

  test('A9 a cookie holds the longest returnTo, with much else', async () => {
    const { browser } = site({ scope: Array.from({ length: 20 }, (_, index) => `https://api.example.com/scope.${index}`), resource: 'https://api.example.com/v1' });
    const returnTo = `/${'a'.repeat(999)}`;
    expect(location(await logIn(browser, `/login?returnTo=${returnTo}`))).toBe(returnTo);
  });

  test('after `reauthorization_required` the login page brings a new session', async () => {
    const { browser, clock, sessionOf } = site();
    await logIn(browser);
    server.killAllGrants();
    clock.advance(3_600_000);
    await expect(sessionOf(browser)?.getToken()).rejects.toMatchObject({ code: 'reauthorization_required' });
    await logIn(browser);
    expect((await sessionOf(browser)?.getToken())?.value).toBe(server.issuedTokens.at(-1));
  });
});

describe('a login that fails is a page', () => {
  test('A5 denied: the reason is for the operator only', async () => {
    const { browser, errors } = site();
    server.deniesNextLoginWith('access_denied', 'canary <b>');
    const response = await logIn(browser);
    expect([response.status, browser.session, browser.loginsUnderWay]).toEqual([403, undefined, []]);
    expect(await response.text()).not.toContain('canary');
    expect(errors).toMatchObject([{ code: 'authorization_failed', error: 'access_denied', errorDescription: 'canary <b>' }]);
    expect(server.tokenRequests).toEqual([]);
  });

  test('A6 another issuer: nothing is exchanged, and the right callback still counts', async () => {
    const { browser, errors } = site();
    const callback = await callbackOf(await browser.opens('/login'));
    const bent = callback.replace(/iss=[^&]*/, 'iss=https%3A%2F%2Fevil.example');
    expect(bent).not.toBe(callback);
    expect((await browser.opens(bent)).status).toBe(400);
    expect([errors.map(({ code }) => code), server.tokenRequests]).toEqual([['invalid_callback'], []]);
    expect((await browser.opens(callback)).status).toBe(303);
  });

  test('A4 after ten minutes it has to be started again, and the cookie is gone', async () => {
    const { browser, clock, errors } = site();
    const callback = await callbackOf(await browser.opens('/login'));
    clock.advance(10 * 60_000);
    expect((await browser.opens(callback)).status).toBe(400);
    expect([errors.map(({ code }) => code), browser.loginsUnderWay, server.tokenRequests]).toEqual([['login_expired'], [], []]);
  });

  test('A4 a transaction that was tampered with, or put under another login\'s name, is none', async () => {
    const { browser, errors } = site();
    const callback = await callbackOf(await browser.opens('/login'));
    const other = await callbackOf(await browser.opens('/login'));
    const [[name, value], [, foreign]] = [...browser.cookies] as [[string, string], [string, string]];
    for (const bent of [`${value.slice(0, -2)}xx`, value.slice(1), `${value}x`, '', foreign]) {
      browser.cookies.set(name, bent);
      expect((await browser.opens(callback)).status).toBe(400);
    }
    expect([errors.map(({ code }) => code), server.tokenRequests]).toEqual([Array.from({ length: 5 }, () => 'invalid_callback'), []]);
    expect((await browser.opens(other)).status).toBe(303);
  });

  test.each<[string, number, () => void]>([
    ['is gone for a moment', 503, () => { server.answersNext(reset()); }],
    ['is down', 503, () => { server.answersNext({ status: 503 }); }],
    ['refuses the client', 500, () => { server.rejectsNextWith('invalid_client', 401); }],
    ['sends an ID token of another\'s', 500, () => { server.nextIdTokenWith({ aud: 'another' }); }],
  ])('the authorization server %s: %i, and the next login succeeds', async (_case, status, happens) => {
    const { browser, errors } = site();
    happens();
    const response = await logIn(browser);
    expect([response.status, errors.length, browser.loginsUnderWay, browser.session]).toEqual([status, 1, [], undefined]);
    expect((await logIn(browser)).status).toBe(303);
  });
});

describe('logout', () => {
  test('A12 the refresh token is revoked, and the browser led through the server\'s logout and back', async () => {
    const { browser, tokens } = site({ afterLogout: '/bye' });
    await logIn(browser);
    const id = browser.session ?? '';
    const url = new URL(location(await browser.submits('/logout')));
    expect(url.origin + url.pathname).toBe(server.metadata.end_session_endpoint);
    expect(Object.fromEntries(url.searchParams)).toMatchObject({ post_logout_redirect_uri: 'https://app.example.com/bye', id_token_hint: expect.stringMatching(/^eyJ/) as string, state: expect.any(String) as string });
    expect(server.revocations).toEqual([{ token: server.issued[0]?.refreshToken, hint: 'refresh_token' }]);
    expect(await tokens.session(id).info()).toBeUndefined();
  });

  test('A12 a revocation that fails stops nothing', async () => {
    const { browser, errors } = site();
    await logIn(browser);
    server.at('/revoke').answersEvery({ status: 500 });
    expect((await browser.submits('/logout')).status).toBe(303);
    expect([browser.session, errors]).toEqual([undefined, []]);
  });
});
