import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startReplicas, type Replicas } from '../examples/many-replicas/start-replicas.js';
import { UserAgent } from '../examples/shared-servers/user-agent.js';
import { Browser } from './support/browser.js';
import { runProgram, startProgram } from './support/child-process.js';
import { deferred } from './support/deferred.js';
import { eventually } from './support/eventually.js';
import { describeWithRedis } from './support/redis-server.js';
import { WatchedProvider } from './support/watched-provider.js';

const program = { file: new URL('../examples/many-replicas/demo.ts', import.meta.url) };
const names = ['replica 1', 'replica 2', 'replica 3', 'replica 4'];

const answeredBy = (response: Response): string => response.headers.get('x-answered-by') ?? '';
/** Whose turn it is after those that have answered. */
const after = (name: string): string => names[(names.indexOf(name) + 1) % names.length] ?? '';

describeWithRedis('the web backend as four replicas', () => {
  let provider: WatchedProvider;
  let site: Replicas;
  const log: string[] = [];

  beforeAll(async () => {
    provider = new WatchedProvider();
    site = await startReplicas({ accessTokenTtl: 600, log: (line) => log.push(line), onRequest: provider.onRequest });
    provider.watch(site.authorizationServer.provider);
  }, 60_000);
  afterAll(async () => {
    await site.close();
    expect(log.filter((line) => /session is over|answered with/.test(line))).toEqual([]);
  }, 60_000);

  beforeEach(() => {
    provider.refreshes = 0;
    provider.beforeToken = () => Promise.resolve();
  });

  const newBrowser = (): Browser => new Browser(async ({ url, method, headers }) => fetch(url, { method, headers, redirect: 'manual' }), site.url);

  /** @returns who the login began with, and who it ended with */
  const signIn = async (browser: Browser): Promise<[string, string]> => {
    const start = await browser.opens('/login');
    const callback = new URL(await new UserAgent().signIn(start.headers.get('location') ?? '', 'Ada Lovelace'));
    const end = await browser.opens(callback.pathname + callback.search);
    expect([end.status, end.headers.get('location')]).toEqual([303, '/']);
    return [answeredBy(start), answeredBy(end)];
  };

  /** Signed in a moment ago, with a token that is used up already; the next one lives long. */
  const signedInBefore = async (): Promise<{ browser: Browser; last: string }> => {
    const browser = newBrowser();
    site.authorizationServer.accessTokenTtl = 2;
    const [, last] = await signIn(browser);
    await provider.tokensExpire();
    site.authorizationServer.accessTokenTtl = 600;
    return { browser, last };
  };

  it('completes on one replica the login that began on another, and every replica knows the user from then on', async () => {
    const browser = newBrowser();
    const [first, second] = await signIn(browser);
    expect(second).toBe(after(first));

    for (let name = after(second), pages = 0; pages < names.length; name = after(name), pages += 1) {
      const page = await browser.opens('/');
      expect(answeredBy(page)).toBe(name);
      const text = await page.text();
      expect(text).toContain('You are signed in as <strong>Ada Lovelace</strong>');
      expect(text).toContain(`This page was made by <strong>${name}</strong>`);
    }
    expect(provider.refreshes).toBe(0);
  });

  it('M1 sends one refresh for forty calls to all four at expiry', async () => {
    const { browser } = await signedInBefore();
    const answers = await Promise.all(Array.from({ length: 40 }, async () => browser.opens('/api/orders')));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(new Set(answers.map(answeredBy))).toEqual(new Set(names));
    expect([provider.refreshes, provider.refusals]).toEqual([1, []]);
  });

  it('M2 answers all calls while one replica is killed, and started anew, in the midst of a refresh by another', { timeout: 60_000 }, async () => {
    const { browser, last } = await signedInBefore();
    const refreshing = deferred();
    const killed = deferred();
    provider.beforeToken = async () => {
      refreshing.resolve();
      await killed.promise;
    };
    const calls = [browser.opens('/api/orders')];
    await refreshing.promise;

    // By now the one whose turn it was has the lock; with the others calls wait for it.
    const victim = site.replicas[names.indexOf(after(after(last)))];
    let arrived = 0;
    site.roundRobin.on('request', () => { arrived += 1; });
    calls.push(...Array.from({ length: 12 }, async () => browser.opens('/api/orders')));
    await eventually(() => arrived === 12);
    await victim?.end('SIGKILL');
    killed.resolve();

    const answers = await Promise.all(calls);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(new Set(answers.map(answeredBy))).toEqual(new Set(names.filter((name) => name !== victim?.name)));

    await victim?.start();
    const again = await Promise.all(names.map(async () => browser.opens('/')));
    expect(new Set(again.map(answeredBy))).toEqual(new Set(names));
    for (const page of again) expect(await page.text()).toContain('You are signed in as');
    expect([provider.refreshes, provider.refusals]).toEqual([1, []]);
  });
});

describeWithRedis('npm run demo:replicas', () => {
  it('prints where it is, answers there by all replicas in turn, and leaves nothing behind on Ctrl-C', { timeout: 60_000 }, async () => {
    const demo = await startProgram(program, { env: { PORT: undefined }, limitMs: 60_000 });
    await demo.prints('Ctrl-C');
    const servers = demo.stdout.match(/(?<=http:\/\/|redis:\/\/|on port )[\w.:]+\d+/g) ?? [];
    expect(servers).toHaveLength(7);
    const [url = ''] = /http:\/\/localhost:\d+/.exec(demo.stdout) ?? [];
    const answers = await Promise.all(names.map(async () => fetch(url)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(answers.map(answeredBy).sort()).toEqual(names);

    demo.kill('SIGINT');
    const { code, stderr } = await demo.finished;
    expect([code, stderr]).toEqual([0, '']);
    for (const server of servers) await expect(fetch(`http://${server.includes(':') ? server : `127.0.0.1:${server}`}`)).rejects.toThrow('fetch failed');
  });
});

describe('npm run demo:replicas without a redis-server', () => {
  it('says what to install, and ends with exit code 1', async () => {
    const { code, stdout, stderr } = await runProgram(program, { env: { PATH: '' } });
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain('install the package redis-server');
  });
});
