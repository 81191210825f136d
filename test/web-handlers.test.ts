import { createHash } from 'node:crypto';
import { OAuthError, type OAuthErrorCode } from 'grantkeeper';
import { createLoginHandlers, type LoginHandlers, type LoginHandlersOptions } from 'grantkeeper/web';
import { describe, expect, test, vi } from 'vitest';
import { Browser, callbackFor } from './support/browser.js';
import { everySpelling } from './support/canary.js';
import { ScriptedLogins } from './support/scripted-logins.js';

const REDIRECT_URI = 'https://app.example.com/callback';
const ORIGIN = 'https://app.example.com';

interface App {
  logins: ScriptedLogins;
  auth: LoginHandlers;
  browser: Browser;
  /** Every error that `onError` was told. */
  told: OAuthError[];
}

function app(options: Partial<LoginHandlersOptions> = {}): App {
  const logins = new ScriptedLogins();
  const told: OAuthError[] = [];
  const auth = createLoginHandlers(logins, { redirectUri: REDIRECT_URI, scope: 'openid offline_access', onError: (error) => { told.push(error); }, ...options });
  return { logins, auth, told, browser: new Browser(auth.handle, ORIGIN) };
}

/** A browser that has been through a login. */
async function signedIn(options?: Partial<LoginHandlersOptions>): Promise<App & { session: string }> {
  const it = app(options);
  await it.browser.opens(callbackFor(await it.browser.opens('/login')));
  return { ...it, session: it.browser.session ?? 'none' };
}

const lines = (response: Response): Record<string, string> => Object.fromEntries([...response.headers].filter(([name]) => name !== 'set-cookie'));

const secure = 'Path=/; Secure; HttpOnly; SameSite=Lax';

describe('login', () => {
  test('A9 it sends the browser to the authorization server, and leaves the transaction with it in a cookie', async () => {
    const { browser, logins } = app();
    const response = await browser.opens('/login');
    expect(response.status).toBe(303);
    expect(lines(response)).toEqual({
      'location': expect.stringMatching(/^https:\/\/login\.example\.com\/authorize\?client_id=app&redirect_uri=https%3A%2F%2Fapp\.example\.com%2Fcallback&state=/) as string,
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    });
    const [cookie, ...others] = response.headers.getSetCookie();
    expect(others).toEqual([]);
    expect(cookie).toMatch(new RegExp(`^__Host-grantkeeper-login-[\\w-]{12}=transaction-1\\.[\\w-]+; ${secure}; Max-Age=600$`));
    expect(logins.started).toEqual([{ redirectUri: REDIRECT_URI, scope: 'openid offline_access', returnTo: undefined }]);
  });

  test('everything that a login may ask for is passed on, and nothing else', async () => {
    const asked = { redirectUri: new URL(REDIRECT_URI), scope: ['openid'], resource: 'https://api.example.com', audience: 'api', parameters: { access_type: 'offline' }, prompt: 'consent', maxAge: 0, loginHint: 'user', acrValues: 'gold' };
    const { browser, logins } = app(asked);
    await browser.opens('/login?prompt=none&scope=admin&redirect_uri=https://evil.example&returnTo=/inbox');
    expect(logins.started).toEqual([{ ...asked, returnTo: '/inbox' }]);
  });

  test.each<[string, string]>([
    ['/inbox', '/inbox'],
    ['/inbox?folder=1&x=%2F#top', '/inbox?folder=1&x=%2F#top'],
    ['/', '/'],
    ['/a/../b', '/b'],
    ['/\u00FC', '/%C3%BC'],
    ['', '/'],
    ['inbox', '/'],
    ['//evil.com', '/'],
    ['///evil.com', '/'],
    ['/\\evil.com', '/'],
    ['\\\\evil.com', '/'],
    ['/\t/evil.com', '/'],
    ['/\n/evil.com', '/'],
    ['\t//evil.com', '/'],
    [' //evil.com', '/'],
    ['/..//evil.com', '/'],
    ['/.//evil.com', '/'],
    ['/a/..//evil.com', '/'],
    ['/%2e%2e//evil.com', '/'],
    ['javascript:alert(1)', '/'],
    ['data:text/html,x', '/'],
    ['http://[', '/'],
    ['https://evil.com', '/'],
    ['https:/evil.com', '/'],
    ['https:evil.com', '/'],
    ['https://app.example.com/inbox', '/'],
    ['@evil.com', '/'],
    ['/%00', '/%00'],
  ])('A8 returnTo %j leads to %s', async (returnTo, path) => {
    const { browser } = app({ afterLogin: '/welcome' });
    const start = await browser.opens(`/login?${new URLSearchParams({ returnTo }).toString()}`);
    expect(start.status).toBe(303);
    const end = await browser.opens(callbackFor(start));
    expect([end.status, end.headers.get('location')]).toEqual([303, path]);
  });

  test.each(['//evil.com', '/\\evil.com', 'https://evil.com', 'javascript:alert(1)', '/..//evil.com'])('A8 a transaction that says %j leads to / all the same', async (returnTo) => {
    const { browser, logins } = app();
    logins.returnTo = returnTo;
    const end = await browser.opens(callbackFor(await browser.opens('/login')));
    expect(end.headers.get('location')).toBe('/');
  });

  test.each(['/login', '/login?returnTo=/login', '/callback?code=1', '/logout#x', '/x/../login'])('A8 returnTo %s would lead round in a circle, and leads where a login without it does', async (returnTo) => {
    const { browser } = app({ afterLogin: '/welcome?new#top' });
    const end = await browser.opens(callbackFor(await browser.opens(`/login?${new URLSearchParams({ returnTo }).toString()}`)));
    expect(end.headers.get('location')).toBe('/welcome?new#top');
  });

  test.each<[length: string, returnTo: string, passed: string | undefined]>([
    ['1,000 characters', `/${'a'.repeat(999)}`, `/${'a'.repeat(999)}`],
    ['1,001 characters', `/${'a'.repeat(1000)}`, undefined],
    ['300 letters that take six each', `/${'\u00FC'.repeat(300)}`, undefined],
  ])('a returnTo of %s: a long one is left out, since browsers drop large cookies', async (_case, returnTo, passed) => {
    const { browser, logins } = app();
    expect((await browser.opens(`/login?${new URLSearchParams({ returnTo }).toString()}`)).status).toBe(303);
    expect(logins.started.map((login) => login.returnTo)).toEqual([passed]);
  });

  test('A9 a transaction that no browser would keep is begun anew without its returnTo', async () => {
    const { browser, logins } = app();
    logins.transactionBytes = 2_800;
    const start = await browser.opens(`/login?returnTo=/${'a'.repeat(500)}`);
    expect(start.status).toBe(303);
    expect(logins.started.map(({ returnTo }) => returnTo === undefined)).toEqual([false, true]);
    const [pair = ''] = start.headers.getSetCookie()[0]?.split(';') ?? [];
    expect(pair.length - 1).toBeLessThanOrEqual(4_096);
  });

  test('A9 one that is too large by itself is an error that says so, and no login that can\'t be finished', async () => {
    const seen: unknown[] = [];
    const { browser, logins } = app({ onError: (error) => { seen.push(error); } });
    logins.transactionBytes = 3_200;
    expect((await browser.opens('/login?returnTo=/inbox')).status).toBe(500);
    expect(seen).toEqual([expect.objectContaining({ code: 'invalid_configuration', message: expect.stringContaining('ask for fewer or shorter scopes and resources') as string })]);
  });

  test('A9 20 abandoned logins leave four cookies, those of the last four, and these can be finished', async () => {
    const { browser } = app();
    const starts: Response[] = [];
    for (let login = 0; login < 20; login += 1) starts.push(await browser.opens('/login'));
    expect(browser.loginsUnderWay).toHaveLength(4);
    const outcomes: number[] = [];
    for (const start of starts) outcomes.push((await browser.opens(callbackFor(start))).status);
    expect(outcomes.slice(0, 16).every((status) => status === 400)).toBe(true);
    expect(outcomes.slice(16)).toEqual([303, 303, 303, 303]);
  });

  test('A9 what expires an abandoned login is a cookie of the same kind', async () => {
    const { browser } = app();
    for (let login = 0; login < 4; login += 1) await browser.opens('/login');
    const [oldest = ''] = browser.loginsUnderWay;
    expect((await browser.opens('/login')).headers.getSetCookie()[0]).toBe(`${oldest}=; ${secure}; Max-Age=0`);
  });

  test('A4 two tabs at once: both complete, whichever is first', async () => {
    for (const order of [[0, 1], [1, 0]]) {
      const { browser } = app();
      const tabs = [await browser.opens('/login?returnTo=/one'), await browser.opens('/login?returnTo=/two')];
      const ends: (string | null)[] = [];
      for (const tab of order) ends.push((await browser.opens(callbackFor(tabs[tab] ?? Response.error()))).headers.get('location'));
      expect(ends).toEqual(order.map((tab) => ['/one', '/two'][tab]));
      expect(browser.loginsUnderWay).toEqual([]);
    }
  });

  test('a manager whose authorization request has no `state` can\'t be used, and says so', async () => {
    const { browser, logins, told } = app();
    vi.spyOn(logins, 'startLogin').mockResolvedValue({ url: new URL('https://login.example.com/authorize'), state: '', transaction: 't' });
    expect((await browser.opens('/login')).status).toBe(500);
    expect(told).toMatchObject([{ code: 'invalid_configuration', message: 'startLogin: the authorization request must have one `state`' }]);
  });
});

describe('callback', () => {
  test('A9 it leaves the new session with the browser in a cookie, takes the transaction\'s away, and goes on', async () => {
    const { browser, logins } = app({ afterLogin: '/welcome' });
    const start = await browser.opens('/login');
    const [transaction = ''] = browser.loginsUnderWay;
    const response = await browser.opens(callbackFor(start, { code: 'c', iss: 'https://login.example.com' }));
    expect(response.status).toBe(303);
    expect(lines(response)).toEqual({ 'location': '/welcome', 'cache-control': 'no-store', 'referrer-policy': 'no-referrer', 'x-content-type-options': 'nosniff' });
    expect(response.headers.getSetCookie()).toEqual([
      `__Host-grantkeeper-session=${browser.session ?? ''}; ${secure}; Max-Age=34560000`,
      `${transaction}=; ${secure}; Max-Age=0`,
    ]);
    expect(logins.isAlive(browser.session ?? '')).toBe(true);
    expect(logins.completed).toEqual([{ callback: expect.stringMatching(/^https:\/\/app\.example\.com\/callback\?code=c&iss=https.*&state=/) as string, transaction: expect.stringMatching(/^transaction-1\./) as string }]);
  });

  test('A9 every login has a new session, and ends the one that the browser had: forgotten, but not revoked with what the new one lives on', async () => {
    const { browser, logins, session } = await signedIn();
    await browser.opens(callbackFor(await browser.opens('/login')));
    expect(browser.session).not.toBe(session);
    expect(logins.endings).toEqual([{ id: session, options: { revoke: false } }]);
    expect([logins.isAlive(session), logins.isAlive(browser.session ?? '')]).toEqual([false, true]);
  });

  test('a session that can\'t be ended stops no login', async () => {
    const { browser, logins, session, told } = await signedIn();
    logins.failsToEndWith(new OAuthError('store_failed', 'the store is away', { retryable: true }));
    expect((await browser.opens(callbackFor(await browser.opens('/login')))).status).toBe(303);
    expect(browser.session).not.toBe(session);
    expect(told).toEqual([]);
  });

  test('a login that fails leaves the session that the browser had', async () => {
    const { browser, logins, session } = await signedIn();
    logins.failsToCompleteWith(new OAuthError('authorization_failed', 'denied'));
    expect((await browser.opens(callbackFor(await browser.opens('/login')))).status).toBe(403);
    expect([browser.session, logins.isAlive(session), logins.endings]).toEqual([session, true, []]);
  });

  test.each<[string, (start: Response) => string]>([
    ['missing', () => '/callback?code=c'],
    ['wrong', () => '/callback?code=c&state=wrong'],
    ['of another length', (start) => `${callbackFor(start)}x`],
    ['there twice', (start) => `${callbackFor(start)}&${callbackFor(start).slice('/callback?code=c-1&'.length)}`],
    ['empty', () => '/callback?code=c&state='],
  ])('A2 a `state` that is %s: nothing is exchanged, and the right callback is still good', async (_case, callback) => {
    const { browser, logins, told } = app();
    const start = await browser.opens('/login');
    const response = await browser.opens(callback(start));
    expect([response.status, logins.completed, response.headers.getSetCookie()]).toEqual([400, [], []]);
    expect(told).toMatchObject([{ code: 'invalid_callback', retryable: false }]);
    expect((await browser.opens(callbackFor(start))).status).toBe(303);
  });

  test('A2 in another browser it can\'t be finished, whatever that one has under way', async () => {
    const { auth, browser, logins } = app();
    const victim = new Browser(auth.handle, ORIGIN);
    await victim.opens('/login');
    const response = await victim.opens(callbackFor(await browser.opens('/login')));
    expect([response.status, logins.completed, victim.session]).toEqual([400, [], undefined]);
    expect(await response.text()).toContain('<a href="/login">Sign in</a>');
  });

  test('A3 the back button after a login leads into the site, and the session lives on', async () => {
    const { browser, logins, told } = app({ afterLogin: '/welcome' });
    const callback = callbackFor(await browser.opens('/login'));
    await browser.opens(callback);
    const session = browser.session ?? '';
    const again = await browser.opens(callback);
    expect([again.status, again.headers.get('location'), again.headers.getSetCookie()]).toEqual([303, '/welcome', []]);
    expect([browser.session, logins.isAlive(session), logins.completed.length, told]).toEqual([session, true, 1, []]);
  });

  test('A3 two callbacks at once: one session, and the other is sent on or told, by whether its browser has it', async () => {
    const { auth, browser, logins } = app({ afterLogin: '/welcome' });
    const callback = callbackFor(await browser.opens('/login'));
    const transaction = browser.cookieHeader;
    await browser.opens(callback);
    const second = async (cookie: string): Promise<Response | undefined> => auth.handle(new Request(ORIGIN + callback, { headers: { cookie } }));

    const withSession = await second(`${transaction}; ${browser.cookieHeader}`);
    expect([withSession?.status, withSession?.headers.get('location')]).toEqual([303, '/welcome']);
    expect(withSession?.headers.getSetCookie()).toEqual([`${transaction.split('=')[0] ?? ''}=; ${secure}; Max-Age=0`]);
    expect((await second(transaction))?.status).toBe(400);
    expect([logins.endings, logins.isAlive(browser.session ?? '')]).toEqual([[], true]);
  });

  test.each<[string, (logins: ScriptedLogins, session: string) => void]>([
    ['has ended', (logins, session) => { void logins.session(session).end(); }],
    ['can\'t be looked up', (logins) => { logins.failsToLookUpWith(new OAuthError('store_failed', 'the store is away', { retryable: true })); }],
  ])('A3 a callback that is over, and a session that %s: the page, not a circle', async (_case, happens) => {
    const { browser, logins, session } = await signedIn();
    happens(logins, session);
    expect((await browser.opens('/callback?code=c&state=s')).status).toBe(400);
  });

  test.each<[OAuthErrorCode, { retryable?: boolean; status?: number }, number, 'gone' | 'kept']>([
    ['authorization_failed', {}, 403, 'gone'],
    ['authorization_failed', { retryable: true }, 503, 'kept'],
    ['login_expired', {}, 400, 'gone'],
    ['callback_already_used', {}, 400, 'gone'],
    ['invalid_callback', {}, 400, 'kept'],
    ['server_unreachable', { retryable: true }, 503, 'kept'],
    ['server_unreachable', {}, 503, 'gone'],
    ['timeout', { retryable: true }, 503, 'kept'],
    ['timeout', {}, 503, 'gone'],
    ['store_failed', { retryable: true }, 503, 'kept'],
    ['store_failed', {}, 503, 'gone'],
    ['discovery_failed', { retryable: true }, 503, 'kept'],
    ['discovery_failed', {}, 500, 'gone'],
    ['token_request_failed', { status: 400 }, 500, 'gone'],
    ['token_request_failed', { status: 401 }, 500, 'gone'],
    ['token_request_failed', { status: 429 }, 503, 'gone'],
    ['token_request_failed', { status: 500 }, 503, 'gone'],
    ['token_request_failed', { status: 503 }, 503, 'gone'],
    ['invalid_response', { status: 200 }, 500, 'gone'],
    ['invalid_response', { status: 502 }, 503, 'gone'],
    ['invalid_configuration', {}, 500, 'gone'],
  ])('A4 A5 `%s` %j: a page with %i, and the transaction is %s', async (code, details, status, cookie) => {
    const { browser, logins, told } = app();
    const error = new OAuthError(code, 'the reason', details);
    logins.failsToCompleteWith(error);
    const response = await browser.opens(callbackFor(await browser.opens('/login')));
    expect([response.status, browser.loginsUnderWay.length, browser.session]).toEqual([status, cookie === 'kept' ? 1 : 0, undefined]);
    expect(told).toEqual([error]);
    expect(await response.text()).toContain('<a href="/login">Sign in</a>');
  });

  test('A5 nothing of a callback, and nothing that the authorization server says, is in a page', async () => {
    const canary = 'canary<script>alert("1")</script>&\'';
    const { browser, logins, told } = app();
    const members = { code: canary, error: canary, error_description: canary, error_uri: canary, iss: canary, [canary]: canary };
    const texts: string[] = [];
    const keep = async (response: Response): Promise<void> => { texts.push(await response.text(), JSON.stringify([...response.headers])); };
    for (const failure of [new OAuthError('authorization_failed', canary, { error: canary, errorDescription: canary }), new OAuthError('token_request_failed', canary, { error: canary })]) {
      logins.failsToCompleteWith(failure);
      await keep(await browser.opens(callbackFor(await browser.opens('/login'), members)));
    }
    await keep(await browser.opens(`/callback?${new URLSearchParams({ ...members, state: canary }).toString()}`));
    expect(told).toHaveLength(3);
    for (const [, spelling] of everySpelling(canary)) expect(texts.join('\n')).not.toContain(spelling);
    expect(texts.join('\n')).not.toContain('canary');
  });
});

describe('what is no OAuthError is a defect, and the framework\'s to report', () => {
  test.each<[string, (logins: ScriptedLogins) => void, (browser: Browser) => Promise<Response>]>([
    ['login', (logins) => { logins.failsToStartWith(new TypeError('defect')); }, (browser) => browser.opens('/login')],
    ['callback', (logins) => { logins.failsToCompleteWith(new TypeError('defect')); }, async (browser) => browser.opens(callbackFor(await browser.opens('/login')))],
  ])('%s', async (_page, breaks, visit) => {
    const { browser, logins } = app();
    breaks(logins);
    await expect(visit(browser)).rejects.toThrow(TypeError);
  });
});

test.each<[boolean, number]>([[true, 503], [false, 500]])('a login that can\'t begin, retryable %s: a page with %i, and no cookie', async (retryable, status) => {
  const { browser, logins, told } = app();
  logins.failsToStartWith(new OAuthError('discovery_failed', 'no metadata', { retryable }));
  const response = await browser.opens('/login');
  expect([response.status, response.headers.getSetCookie()]).toEqual([status, []]);
  expect(told).toMatchObject([{ code: 'discovery_failed' }]);
});

describe('logout', () => {
  test('A12 it ends the session, takes its cookie away, and leads to the authorization server\'s logout', async () => {
    const { browser, logins, session } = await signedIn({ afterLogout: '/bye?x=1' });
    logins.logoutUrl = new URL('https://login.example.com/logout?id_token_hint=h');
    const response = await browser.submits('/logout');
    expect(response.status).toBe(303);
    expect(lines(response)).toEqual({ 'location': 'https://login.example.com/logout?id_token_hint=h', 'cache-control': 'no-store', 'referrer-policy': 'no-referrer', 'x-content-type-options': 'nosniff' });
    expect(response.headers.getSetCookie()).toEqual([`__Host-grantkeeper-session=; ${secure}; Max-Age=0`]);
    expect(logins.endings).toEqual([{ id: session, options: { postLogoutRedirectUri: 'https://app.example.com/bye?x=1' } }]);
    expect(browser.session).toBeUndefined();
  });

  test('A12 where the server has none, it leads to the site', async () => {
    const { browser } = await signedIn({ afterLogout: '/bye' });
    expect((await browser.submits('/logout')).headers.get('location')).toBe('/bye');
  });

  test('without a session it does the same', async () => {
    const { browser, logins } = app();
    const response = await browser.submits('/logout');
    expect([response.status, response.headers.get('location'), logins.endings]).toEqual([303, '/', []]);
    expect(response.headers.getSetCookie()).toEqual([`__Host-grantkeeper-session=; ${secure}; Max-Age=0`]);
  });

  test.each<[string, Record<string, string>]>([
    ['the own origin', { origin: ORIGIN }],
    ['the own origin, and what the browser says of it', { 'origin': ORIGIN, 'sec-fetch-site': 'same-origin' }],
    ['no origin, same-origin', { 'sec-fetch-site': 'same-origin' }],
    ['an origin that the page\'s referrer policy hides, same-origin', { 'origin': 'null', 'sec-fetch-site': 'same-origin' }],
  ])('A12 is taken from %s', async (_case, headers) => {
    const { browser, logins, session } = await signedIn();
    expect((await browser.submits('/logout', headers)).status).toBe(303);
    expect(logins.isAlive(session)).toBe(false);
  });

  test.each<[string, Record<string, string>]>([
    ['no origin', {}],
    ['a hidden origin', { origin: 'null' }],
    ['a hidden origin of another site', { 'origin': 'null', 'sec-fetch-site': 'cross-site' }],
    ['no origin, a sibling', { 'sec-fetch-site': 'same-site' }],
    ['no origin, another site', { 'sec-fetch-site': 'cross-site' }],
    ['no origin, typed by the user', { 'sec-fetch-site': 'none' }],
    ['another site', { origin: 'https://evil.example' }],
    ['another site that says same-origin', { 'origin': 'https://evil.example', 'sec-fetch-site': 'same-origin' }],
    ['a sibling', { origin: 'https://other.example.com' }],
    ['a subdomain', { origin: 'https://x.app.example.com' }],
    ['another port', { origin: 'https://app.example.com:8443' }],
    ['the same without encryption', { origin: 'http://app.example.com' }],
    ['a host with the same beginning', { origin: 'https://app.example.com.evil.example' }],
    ['an empty origin', { origin: '' }],
    ['two origins', { origin: `${ORIGIN}, https://evil.example` }],
  ])('A12 is refused from %s', async (_case, headers) => {
    const { browser, logins, session } = await signedIn();
    const response = await browser.submits('/logout', headers);
    expect([response.status, response.headers.getSetCookie(), browser.session, logins.endings]).toEqual([403, [], session, []]);
  });

  test('a session that can\'t be ended: the browser is signed out all the same, and told that it\'s not the whole', async () => {
    const { browser, logins, told } = await signedIn();
    const error = new OAuthError('store_failed', 'the store is away', { retryable: true });
    logins.failsToEndWith(error);
    const response = await browser.submits('/logout');
    expect([response.status, browser.session]).toEqual([503, undefined]);
    expect(await response.text()).toContain('You are signed out in this browser');
    expect(told).toEqual([error]);
  });
});

describe('methods', () => {
  test.each(['/login', '/callback?code=c&state=s', '/logout'])('%s takes one only', async (path) => {
    const { browser, logins, session } = await signedIn();
    const { started: { length: begun }, completed: { length: done } } = logins;
    const only = path === '/logout' ? 'POST' : 'GET';
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'BREW'].filter((other) => other !== only)) {
      const response = await browser.opens(path, { method, headers: { origin: ORIGIN } });
      expect([response.status, response.headers.get('allow'), response.headers.get('cache-control'), response.headers.getSetCookie()]).toEqual([405, only, 'no-store', []]);
    }
    expect([logins.started.length, logins.completed.length, logins.isAlive(session)]).toEqual([begun, done, true]);
  });

  test('a form post is no callback: browsers send no Lax cookie with it', async () => {
    const { browser, logins } = app();
    const start = await browser.opens('/login');
    const response = await browser.opens('/callback', { method: 'POST', body: callbackFor(start).slice('/callback?'.length) });
    expect([response.status, logins.completed]).toEqual([405, []]);
  });
});

describe('paths', () => {
  test.each(['/', '/logins', '/login/', '/Login', '/login/x', '/callback/', '//login', '/x/login', '/log%69n', '/inbox?returnTo=/login'])('%s is not ours', async (path) => {
    const { auth, logins } = app();
    expect(await auth.handle(new Request(ORIGIN + path))).toBeUndefined();
    expect(logins.started).toEqual([]);
  });

  test('all of them can be chosen', async () => {
    const { browser, auth } = app({ redirectUri: 'https://app.example.com/auth/back?tenant=1', loginPath: '/auth/in', logoutPath: '/auth/out' });
    const start = await browser.opens('/auth/in');
    expect((await browser.opens(callbackFor(start).replace('/callback?', '/auth/back?tenant=1&'))).status).toBe(303);
    expect((await browser.submits('/auth/out')).status).toBe(303);
    for (const path of ['/login', '/callback', '/logout']) expect(await auth.handle(new Request(ORIGIN + path))).toBeUndefined();
  });

  test('A10 behind a proxy: the inner address counts for nothing, and the callback goes on with its query', async () => {
    const { auth, logins } = app();
    const inner = new Browser((request) => auth.handle(new Request(request.url.replace(ORIGIN, 'http://10.0.0.7:3000'), request)), ORIGIN);
    const end = await inner.opens(callbackFor(await inner.opens('/login?returnTo=/inbox')));
    expect([end.status, end.headers.get('location')]).toEqual([303, '/inbox']);
    expect(logins.started[0]?.redirectUri).toBe(REDIRECT_URI);
    expect((await inner.submits('/logout', { origin: 'http://10.0.0.7:3000' })).status).toBe(403);
    expect((await inner.submits('/logout')).status).toBe(303);
    expect(logins.endings.at(-1)?.options).toEqual({ postLogoutRedirectUri: 'https://app.example.com/' });
  });
});

describe('onError', () => {
  const denied = new OAuthError('authorization_failed', 'denied');

  test('an answer of its own is sent in the page\'s place, with the cookies of the page\'s', async () => {
    const { browser, logins } = app({ onError: () => Response.redirect('https://app.example.com/sorry', 302) });
    logins.failsToCompleteWith(denied);
    const start = await browser.opens('/login');
    const [transaction = ''] = browser.loginsUnderWay;
    const response = await browser.opens(callbackFor(start));
    expect([response.status, response.headers.get('location'), response.headers.getSetCookie()]).toEqual([302, 'https://app.example.com/sorry', [`${transaction}=; ${secure}; Max-Age=0`]]);
  });

  test('it may be asynchronous, and its headers stay but for those that keep an answer', async () => {
    const { auth, logins } = app({ onError: async (error, request) => Promise.resolve(Response.json({ code: error.code, path: new URL(request.url).pathname }, { status: 418, headers: { 'cache-control': 'public', 'set-cookie': 'a=b', 'x-own': '1' } })) });
    logins.failsToStartWith(denied);
    const response = await auth.handle(new Request(`${ORIGIN}/login`));
    expect([response?.status, await response?.json()]).toEqual([418, { code: 'authorization_failed', path: '/login' }]);
    expect(['cache-control', 'set-cookie', 'x-own', 'content-type'].map((name) => response?.headers.get(name))).toEqual(['no-store', 'a=b', '1', 'application/json']);
  });

  test('one that only logs leaves the page as it is', async () => {
    const pages = await Promise.all([undefined, () => undefined, async () => Promise.resolve()].map(async (onError) => {
      const { auth, logins } = app({ onError });
      logins.failsToStartWith(denied);
      return (await auth.handle(new Request(`${ORIGIN}/login`)))?.text();
    }));
    expect(new Set(pages).size).toBe(1);
    expect(pages[0]).toContain('<h1>');
  });
});

describe('the page', () => {
  const pageOf = async (options?: Partial<LoginHandlersOptions>): Promise<Response> => app(options).browser.opens('/callback');

  test('is kept by nobody, runs nothing, and is framed by nobody', async () => {
    const response = await pageOf();
    const html = await response.text();
    const style = /<style>([^]*)<\/style>/.exec(html)?.[1] ?? '';
    expect(lines(response)).toEqual({
      'cache-control': 'no-store',
      'content-security-policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
      'content-type': 'text/html; charset=utf-8',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    });
    expect(html).toContain('<meta name="viewport" content="width=device-width, initial-scale=1">');
    expect(html).not.toMatch(/<script|<img|<link|style=|url\(/);
  });

  test('links to where a login begins, wherever that is', async () => {
    expect(await (await pageOf({ loginPath: '/sign\'in&up' })).text()).toContain('<a href="/sign\'in&amp;up">Sign in</a>');
  });
});
