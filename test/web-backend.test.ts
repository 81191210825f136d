import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UserAgent } from '../examples/shared-servers/user-agent.js';
import { startDemo, type Demo } from '../examples/web-backend/start-demo.js';
import { runProgram, startProgram } from './support/child-process.js';
import { eventually } from './support/eventually.js';
import { WatchedProvider } from './support/watched-provider.js';

const example = (file: string): { file: URL } => ({ file: new URL(`../examples/web-backend/${file}`, import.meta.url) });

describe('the example web backend', () => {
  let demo: Demo;
  let provider: WatchedProvider;
  let log: string[];

  beforeEach(async () => {
    log = [];
    provider = new WatchedProvider();
    demo = await startDemo({ accessTokenTtl: 600, log: (line) => log.push(line), onRequest: provider.onRequest });
    provider.watch(demo.authorizationServer.provider);
  });
  afterEach(async () => { await demo.close(); });

  /** @returns the `Cookie` header of a browser that is signed in */
  const signIn = async (name = 'Ada Lovelace'): Promise<string> => {
    const start = await fetch(`${demo.url}/login`, { redirect: 'manual' });
    const callback = await new UserAgent().signIn(start.headers.get('location') ?? '', name);
    const end = await fetch(callback, { redirect: 'manual', headers: { cookie: cookiesOf(start) } });
    return cookiesOf(end);
  };
  const get = async (path: string, cookie = ''): Promise<Response> => fetch(demo.url + path, { redirect: 'manual', headers: { cookie } });

  it('shows a page to sign in, and to those who are signed in what the API answered', async () => {
    expect(await (await get('/')).text()).toContain('Sign in to see your orders.');
    const page = await get('/', await signIn());
    expect(page.headers.get('cache-control')).toBe('no-store');
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; /);
    expect(await page.text()).toContain('&quot;total&quot;: &quot;205.40&quot;');
  });

  it('escapes what others say', async () => {
    const page = await (await get('/', await signIn('<b>&"\''))).text();
    expect(page).toContain('&lt;b&gt;&amp;&quot;&#39;');
    expect(page).not.toContain('<b>');
  });

  it('answers a script that is not signed in with 401, and an unknown address with 404', async () => {
    const answer = await get('/api/orders');
    expect([answer.status, await answer.json()]).toEqual([401, { error: 'reauthorization_required' }]);
    expect((await get('/nowhere')).status).toBe(404);
    expect((await fetch(`${demo.url}/api/orders`, { method: 'POST' })).status).toBe(404);
  });

  it('R3 sends a user whose grant is over to sign in and back, and tells a script', async () => {
    demo.authorizationServer.accessTokenTtl = 1;
    const [user, script] = await Promise.all([signIn('Ada Lovelace'), signIn('Grace Hopper')]);
    await provider.tokensExpire();
    await provider.endGrants();

    const redirect = await get('/?month=5', user);
    expect([redirect.status, redirect.headers.get('location')]).toEqual([303, '/login?returnTo=%2F%3Fmonth%3D5']);
    const answer = await get('/api/orders', script);
    expect([answer.status, await answer.json()]).toEqual([401, { error: 'reauthorization_required' }]);
    expect(provider.refusals).toHaveLength(2);

    // From then on it's known, and the page to sign in is shown at once.
    expect(await (await get('/', user)).text()).toContain('Sign in to see your orders.');
    expect(provider.refusals).toHaveLength(2);
  });

  it('says so while the API is away', async () => {
    const user = await signIn();
    await demo.api.close();
    const page = await get('/', user);
    expect(page.status).toBe(502);
    expect(await page.text()).toContain('Your orders can’t be had at the moment');
    const answer = await get('/api/orders', user);
    expect([answer.status, await answer.json()]).toEqual([502, { error: 'api_unreachable' }]);
  });

  it('says so while the authorization server fails, to those who come then as well, and goes on afterwards', async () => {
    demo.authorizationServer.accessTokenTtl = 1;
    const user = await signIn();
    await provider.tokensExpire();

    provider.isDown = true;
    const page = await get('/', user);
    expect(page.status).toBe(503);
    expect(await page.text()).toContain('You are still signed in.');
    const answer = await get('/api/orders', user);
    expect([answer.status, await answer.json()]).toEqual([503, { error: expect.any(String) as unknown }]);
    expect(log.join('\n')).toContain('/ answered with 503: ');
    expect(log.join('\n')).not.toContain('eyJ');

    provider.isDown = false;
    // After a failure the library pauses for a second; so may a user.
    await eventually(async () => (await get('/api/orders', user)).status === 200, 15_000);
  });
});

describe('npm run demo:web', () => {
  it('prints where it is, answers there, and stops with exit code 0 on Ctrl-C', async () => {
    const demo = await startProgram(example('demo.ts'), { env: { PORT: undefined } });
    await demo.prints('Ctrl-C');
    const [url = '', issuer = ''] = demo.stdout.match(/http:\/\/[\w.]+:\d+/g) ?? [];
    expect(await (await fetch(url)).text()).toContain('Sign in to see your orders.');

    demo.kill('SIGINT');
    const { code, stderr } = await demo.finished;
    expect([code, stderr]).toEqual([0, '']);
    for (const server of [url, issuer]) await expect(fetch(server)).rejects.toThrow('fetch failed');
  });
});

describe('the web backend by itself', () => {
  const environment = { APP_URL: 'http://localhost:3000', ISSUER: 'http://127.0.0.1:1', CLIENT_ID: 'shop', CLIENT_SECRET: 'canary', API_URL: 'http://127.0.0.1:1', ALLOW_INSECURE_REQUESTS: 'true', PORT: '0' };

  it('listens, and stops with exit code 0 on SIGTERM', async () => {
    const backend = await startProgram(example('main.ts'), { env: environment });
    await backend.prints('listening for http://localhost:3000');
    backend.kill('SIGTERM');
    const { code, stdout, stderr } = await backend.finished;
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('stopped');
  });

  it('names every variable that is missing', async () => {
    const { code, stderr } = await runProgram(example('main.ts'), { env: { ...environment, APP_URL: undefined, API_URL: '' } });
    expect([code, stderr]).toEqual([1, 'Error: Missing in the environment: APP_URL, API_URL\n']);
  });

  it('names an option that is wrong, without the secret', async () => {
    const { code, stderr } = await runProgram(example('main.ts'), { env: { ...environment, APP_URL: 'http://app.example.com' } });
    expect(code).toBe(1);
    expect(stderr).toContain('redirectUri');
    expect(stderr).not.toContain('canary');
  });
});

function cookiesOf(response: Response): string {
  return response.headers.getSetCookie().map((cookie) => cookie.slice(0, cookie.indexOf(';'))).join('; ');
}
