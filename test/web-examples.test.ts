import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startApi, type Api } from './support/api-server.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { Browser } from './support/browser.js';
import { startProgram, type RunningProgram } from './support/child-process.js';
import { followLogin } from './support/user-agent.js';
import { REDIRECT_URI } from './support/web-client.js';

let server: AuthorizationServer;
let api: Api;

beforeAll(async () => {
  server = await startAuthorizationServer({ clients: { app: 'canary-secret' } });
  api = await startApi();
  api.answersEvery({ json: ['<first>', 'second'] });
});

afterAll(async () => {
  await server.close();
  await api.close();
});

const location = (response: Response): string => response.headers.get('location') ?? '';

async function start(framework: string): Promise<{ program: RunningProgram; browser: Browser }> {
  const program = await startProgram({ file: new URL(`../examples/${framework}/server.ts`, import.meta.url) }, {
    env: { ISSUER: server.issuer, CLIENT_ID: 'app', CLIENT_SECRET: 'canary-secret', API_URL: api.origin, REDIRECT_URI, PORT: '0', ALLOW_INSECURE_REQUESTS: 'true' },
  });
  onTestFinished(() => { program.kill(); });
  await program.prints('listening on port ');
  const inner = `http://127.0.0.1:${/port (\d+)/.exec(program.stdout)?.[1] ?? ''}`;
  const browser = new Browser(async ({ url, method, headers }) => fetch(url.replace('https://app.example.com', inner), { method, headers, redirect: 'manual' }));
  return { program, browser };
}

describe.each(['express', 'fastify', 'hono', 'node-http'])('the example for %s', (framework) => {
  test('signs in, shows what the API answers, signs in again when the session has ended, signs out, and stops on SIGTERM', { timeout: 60_000 }, async () => {
    const { program, browser } = await start(framework);
    const follow = async (start: Response): Promise<string> => {
      const { pathname, search } = new URL(await followLogin(location(start)));
      return location(await browser.opens(pathname + search));
    };

    expect(location(await browser.opens('/'))).toBe('/orders');
    const login = location(await browser.opens('/orders'));
    expect(login).toBe('/login?returnTo=/orders');
    expect(await follow(await browser.opens(login))).toBe('/orders');

    const page = await browser.opens('/orders');
    expect(page.headers.get('content-type')).toMatch(/^text\/html; charset=utf-8$/i);
    expect((await page.text()).replaceAll('&quot;', '"').replaceAll('&gt;', '>')).toContain('<pre>200 ["&lt;first>","second"]</pre>');
    expect(api.lastRequest.headers.authorization).toBe(`Bearer ${server.issuedTokens.at(-1) ?? ''}`);

    // The API refuses the token, and the refresh finds the grant gone: the page shows the 401, and from then on there is no session.
    server.killAllGrants();
    api.answersNext({ status: 401 });
    expect(await (await browser.opens('/orders')).text()).toContain('<pre>401 </pre>');
    const again = location(await browser.opens('/orders'));
    expect(again).toBe('/login?returnTo=%2Forders');
    expect(await follow(await browser.opens(again))).toBe('/orders');

    expect(location(await browser.submits('/logout'))).toMatch(new RegExp(`^${server.origin}/logout\\?`));
    expect(location(await browser.opens('/orders'))).toBe('/login?returnTo=/orders');

    expect((await browser.opens('/callback?error=access_denied&state=s')).status).toBe(400);
    program.kill('SIGTERM');
    const { code, stderr } = await program.finished;
    expect(code).toBe(0);
    expect(stderr).toMatch(/^OAuthError: The callback's `state` is of no login under way in this browser.*\n$/);
  });
});
