import type { RequestListener, ServerResponse } from 'node:http';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest';
import { startDemo, type Demo } from '../examples/web-backend/start-demo.js';
import { describeWithChromium, launchChromium } from './support/chromium.js';
import { deferred } from './support/deferred.js';
import { Visitor } from './support/visitor.js';
import { WatchedProvider } from './support/watched-provider.js';

describeWithChromium('the example web backend in a real browser', () => {
  let browser: Browser;
  let demo: Demo;
  let provider: WatchedProvider;
  let visitor: Visitor;

  beforeAll(async () => { browser = await launchChromium(); });
  afterAll(async () => { await browser.close(); });

  beforeEach(async () => {
    provider = new WatchedProvider();
    demo = await startDemo({ accessTokenTtl: 600, log: () => undefined, onRequest: provider.onRequest });
    provider.watch(demo.authorizationServer.provider);
    visitor = await Visitor.arrives(browser, demo.url);
  });
  afterEach(async () => {
    await visitor.leaves();
    await demo.close();
    expect(visitor.complaints).toEqual([]);
  });

  /** Somebody else, with another browser. */
  const arrives = async (): Promise<Visitor> => {
    const other = await Visitor.arrives(browser, demo.url);
    onTestFinished(() => other.leaves());
    return other;
  };
  const isSignedOut = async (page: Page = visitor.page): Promise<void> => page.getByText('Sign in to see your orders.').waitFor();
  const isSignedIn = async (page: Page = visitor.page): Promise<void> => page.getByRole('button', { name: 'Call it again' }).waitFor();
  const path = (page: Page = visitor.page): string => page.url().slice(demo.url.length);

  /** The address that the authorization server sends the browser back to. The backend isn't there at that moment, so it's not used up. */
  const stopsAtCallback = async (button: Locator): Promise<string> => {
    const listeners = demo.server.listeners('request') as RequestListener[];
    demo.server.removeAllListeners('request').once('request', (_request, response: ServerResponse) => { response.end('not now'); });
    await button.click();
    await button.page().getByText('not now').waitFor();
    for (const listener of listeners) demo.server.on('request', listener);
    return button.page().url();
  };

  it('signs a user in, and shows what the API answered for them', async () => {
    await visitor.opens('/');
    await isSignedOut();
    await visitor.identifies('Ada Lovelace');
    await visitor.allows();

    expect(path()).toBe('/');
    await visitor.page.getByText('You are signed in as Ada Lovelace').waitFor();
    const answer = JSON.parse(await visitor.page.locator('#answer').innerText()) as { customer: string; orders: number };
    expect(answer).toMatchObject({ customer: expect.stringMatching(/^user-/) as unknown, orders: 3 });
    await visitor.page.getByText(answer.customer, { exact: true }).waitFor();
    expect(await visitor.callsAgain()).toBe(200);
    expect(await visitor.page.locator('#calls li').count()).toBe(2);

    const other = await arrives();
    await other.signsIn('Grace Hopper');
    expect(await other.page.locator('#answer').innerText()).not.toContain(answer.customer);
  });

  it('A9 keeps the session in a __Host- cookie that no script can read, and no token in the browser', async () => {
    await visitor.opens('/');
    await visitor.identifies('Ada Lovelace');
    const [login] = await visitor.cookies();
    expect(login).toMatchObject({ name: expect.stringMatching(/^__Host-grantkeeper-login-/) as unknown, domain: 'localhost', path: '/', secure: true, httpOnly: true, sameSite: 'Lax' });
    expect(login?.expires).toBeGreaterThan(Date.now() / 1_000);
    await visitor.allows();

    const [session, ...others] = await visitor.cookies();
    expect(others).toEqual([]);
    // No leading dot: the cookie is this host's only.
    expect(session).toMatchObject({ name: '__Host-grantkeeper-session', value: expect.stringMatching(/^[\w-]{43}$/) as unknown, domain: 'localhost', path: '/', secure: true, httpOnly: true, sameSite: 'Lax' });
    expect(session?.expires).toBeGreaterThan(Date.now() / 1_000);
    expect(await visitor.page.evaluate('document.cookie')).toBe('');
    expect(await visitor.page.content()).not.toContain('eyJ');
  });

  it('shows a name that is markup as the text that it is', async () => {
    const name = '<img src=x onerror="alert(1)"><script>alert(2)</script>&amp;\'"';
    await visitor.opens('/');
    await visitor.identifies(name);
    await visitor.page.getByText(`You are signed in as ${name}`).waitFor();
    await visitor.allows();
    await visitor.page.getByText(`You are signed in as ${name}`).waitFor();
  });

  it('R1 renews the access token once, and unnoticed, while two tabs are in use', async () => {
    demo.authorizationServer.accessTokenTtl = 2;
    await visitor.signsIn();
    const other = await visitor.opensTab('/');
    await provider.tokensExpire();
    demo.authorizationServer.accessTokenTtl = 600;
    const before = provider.refreshes;

    // The answer waits until both tabs' requests have arrived, so both find the token expired.
    const arrived = requestsArrive(demo, 2);
    provider.beforeToken = () => arrived;
    const [status] = await Promise.all([visitor.callsAgain(), other.reload()]);
    await isSignedIn(other);

    expect(status).toBe(200);
    await visitor.page.getByText('new token').waitFor();
    expect(await other.locator('#expires').getAttribute('data-at')).toBe(await visitor.page.locator('#expires').getAttribute('data-at'));
    expect(provider.refreshes - before).toBe(1);
    expect(provider.refusals).toEqual([]);
  });

  it('R1 goes on through one rotation after the other, with two tabs that never stop calling', async () => {
    demo.authorizationServer.accessTokenTtl = 2;
    await visitor.signsIn();
    const other = await visitor.opensTab('/');
    const goal = provider.refreshes + 3;
    const statuses = new Set<number>();
    await Promise.all([visitor.page, other].map(async (page) => {
      while (provider.refreshes < goal) statuses.add(await visitor.callsAgain(page));
    }));
    expect([...statuses]).toEqual([200]);
    expect(provider.refusals).toEqual([]);
  });

  it('A4 completes two logins that are under way in two tabs', async () => {
    await visitor.opens('/');
    await visitor.identifies('Ada Lovelace');
    const other = await visitor.opensTab('/');
    await other.getByRole('link', { name: 'Sign in' }).click();
    await other.getByRole('heading', { name: 'Allow access?' }).waitFor();
    expect((await visitor.cookies()).filter(({ name }) => name.startsWith('__Host-grantkeeper-login-'))).toHaveLength(2);

    await visitor.allows();
    const first = await visitor.sessionCookie();
    await visitor.allows(other);
    const second = await visitor.sessionCookie();

    expect(second?.value).not.toBe(first?.value);
    expect(await visitor.callsAgain()).toBe(200);
    expect(await visitor.callsAgain(other)).toBe(200);
    await visitor.setSessionCookie(first?.value ?? '');
    await visitor.opens('/');
    await isSignedOut();
  });

  it('A9 begins a new session at every login, and ends the browser\'s earlier one', async () => {
    await visitor.signsIn();
    const first = await visitor.sessionCookie();
    await visitor.opens('/login');
    await visitor.allows();
    const second = await visitor.sessionCookie();

    expect(second?.value).not.toBe(first?.value);
    // To the authorization server both are one grant: the end of the first must leave it alone.
    expect(await provider.grantsLeft()).toBe(1);
    await visitor.setSessionCookie(first?.value ?? '');
    await visitor.opens('/');
    await isSignedOut();
  });

  it('A5 says of a denied consent that nobody is signed in, and nothing of what came back', async () => {
    await visitor.opens('/');
    await visitor.identifies('Ada Lovelace');
    const callback = await stopsAtCallback(visitor.page.getByRole('button', { name: 'Deny' }));
    const { searchParams } = new URL(callback);
    expect(searchParams.get('error')).toBe('access_denied');

    const response = await visitor.page.goto(callback);
    expect(response?.status()).toBe(403);
    const page = await visitor.page.content();
    for (const value of searchParams.values()) expect(page).not.toContain(value);
    expect(await visitor.sessionCookie()).toBeUndefined();

    await visitor.page.getByRole('link', { name: 'Sign in' }).click();
    await visitor.allows();
  });

  it('A3 sees no error on the way back and forth, nor in a callback that is opened again', async () => {
    await visitor.opens('/');
    await visitor.identifies('Ada Lovelace');
    const callback = await stopsAtCallback(visitor.page.getByRole('button', { name: 'Allow' }));
    await visitor.page.goto(callback);
    await isSignedIn();
    const session = await visitor.sessionCookie();

    await visitor.page.goto(callback);
    await isSignedIn();
    expect(path()).toBe('/');
    await visitor.page.goBack();
    await isSignedIn();
    await visitor.page.goForward();
    await isSignedIn();

    expect(await visitor.callsAgain()).toBe(200);
    expect(await visitor.sessionCookie()).toMatchObject({ value: session?.value });
    expect(provider.refusals).toEqual([]);
  });

  it('A2 finishes a login only in the browser in which it was begun', async () => {
    await visitor.opens('/');
    await visitor.identifies('Ada Lovelace');
    const callback = await stopsAtCallback(visitor.page.getByRole('button', { name: 'Allow' }));

    const other = await arrives();
    const response = await other.page.goto(callback);
    expect(response?.status()).toBe(400);
    expect(await other.cookies()).toEqual([]);
    await other.page.getByRole('link', { name: 'Sign in' }).waitFor();

    await visitor.page.goto(callback);
    await isSignedIn();
  });

  it('A8 leads back to where the user wanted to be, and never off the site', async () => {
    await visitor.opens('/login?returnTo=%2F%3Fmonth%3D5%23total');
    await visitor.page.getByLabel('Your name').fill('Ada Lovelace');
    await visitor.page.getByRole('button', { name: 'Sign in' }).click();
    await visitor.allows();
    expect(path()).toBe('/?month=5#total');

    for (const elsewhere of ['//127.0.0.1:1/', 'http://127.0.0.1:1/', '/\\127.0.0.1:1', '/login', '/logout']) {
      await visitor.opens(`/login?${new URLSearchParams({ returnTo: elsewhere }).toString()}`);
      await visitor.allows();
      expect(path(), elsewhere).toBe('/');
    }
  });

  it('A12 signs out here and at the authorization server', async () => {
    await visitor.signsIn();
    const session = await visitor.sessionCookie();
    await visitor.page.getByRole('button', { name: 'Sign out' }).click();
    await visitor.page.getByRole('heading', { name: 'Sign out here as well?' }).waitFor();
    expect(await visitor.sessionCookie()).toBeUndefined();
    expect(await provider.grantsLeft()).toBe(0);
    await visitor.page.getByRole('button', { name: 'Sign out' }).click();
    await isSignedOut();

    // Whoever has kept the cookie has nothing by it.
    await visitor.setSessionCookie(session?.value ?? '');
    await visitor.opens('/');
    await isSignedOut();
    // And the authorization server asks who it is.
    await visitor.identifies('Grace Hopper');
  });

  it('A12 stays signed in when another site sends the form of the logout', async () => {
    await visitor.signsIn();
    await visitor.opensForeignPage(`<form method="post" action="${demo.url}/logout"><button>Win a prize</button></form>`);
    const [response] = await Promise.all([
      visitor.page.waitForResponse(`${demo.url}/logout`),
      visitor.page.getByRole('button', { name: 'Win a prize' }).click(),
    ]);
    expect(response.status()).toBe(403);
    await visitor.opens('/');
    await isSignedIn();
  });

  it.each([
    ['changed', (value: string) => value.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))],
    ['cut off', (value: string) => value.slice(1)],
    ['made up', () => 'A'.repeat(43)],
    ['something else', () => 'null'],
  ])('takes nobody for signed in by a session cookie that is %s', async (_what, bend) => {
    await visitor.signsIn();
    const session = await visitor.sessionCookie();
    await visitor.setSessionCookie(bend(session?.value ?? ''));
    await visitor.opens('/');
    await isSignedOut();

    await visitor.setSessionCookie(session?.value ?? '');
    await visitor.opens('/');
    await isSignedIn();
  });

  it('R3 sends a user whose grant was ended elsewhere to sign in again, and back', async () => {
    demo.authorizationServer.accessTokenTtl = 2;
    await visitor.signsIn();
    const other = await visitor.opensTab('/?month=5');
    await provider.tokensExpire();
    await provider.endGrants();

    await other.reload();
    await visitor.allows(other);
    expect(path(other)).toBe('/?month=5');

    await visitor.opens('/');
    await isSignedIn();
  });
});

/** Resolves with the last of so many further requests to the backend. */
function requestsArrive({ server }: Demo, count: number): Promise<void> {
  const all = deferred();
  let arrived = 0;
  server.on('request', () => {
    arrived += 1;
    if (arrived === count) all.resolve();
  });
  return all.promise;
}
