import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { challenges, createFetch, createTokenManager } from 'grantkeeper';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { Servers } from '../examples/demo/servers.js';

interface Run {
  child: ChildProcess;
  output: () => string;
  exited: Promise<number | null>;
  /** Resolves once the output contains `text`, behind what was waited for before. */
  says: (text: string) => Promise<void>;
}

function run(file: string, env: Record<string, string>): Run {
  const child = spawn(process.execPath, ['--import', 'tsx', fileURLToPath(new URL(`../examples/${file}`, import.meta.url))], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => { child.kill('SIGKILL'); });
  let output = '';
  let heard = 0;
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => { output += chunk.toString(); });
  }
  const exited = once(child, 'close').then(([code]) => code as number | null);
  return {
    child,
    output: () => output,
    exited,
    async says(text) {
      let at: number;
      while ((at = output.indexOf(text, heard)) === -1) {
        const more = await Promise.race([once(child.stdout, 'data'), exited.then(() => false as const)]);
        if (more === false) throw new Error(`ended without saying "${text}":\n${output}`);
      }
      heard = at + text.length;
    },
  };
}

/** The figures of the table, by their claim. */
function table(output: string): Map<string, { measured: number; ok: string }> {
  const rows = output.matchAll(/^ {3}(\S.*?) {3,}([\d,.]+)(?: s)? {3}([✓✗])$/gmu);
  return new Map([...rows].map(([, claim = '', measured = '', ok = '']) => [claim, { measured: Number(measured.replaceAll(',', '')), ok }]));
}

describe('the demo', () => {
  it('calls thousands of times on a handful of tokens, and keeps a login through expiry and a lost answer, without a failed call', { timeout: 90_000 }, async () => {
    const demo = run('demo/main.ts', {});
    expect(await demo.exited, demo.output()).toBe(0);

    const rows = table(demo.output());
    const measured = (claim: string): number | undefined => [...rows].find(([name]) => name.startsWith(claim))?.[1].measured;
    expect([...rows.values()].map(({ ok }) => ok)).toEqual(Array.from({ length: 22 }, () => '✓'));
    expect(measured('calls, at least')).toBeGreaterThanOrEqual(2_000);
    expect(measured('failed calls')).toBe(0);
    expect(measured('token requests in')).toBeLessThan(14);
    expect(measured('replays')).toBeGreaterThan(0);
    expect(measured('token requests for the revoked token')).toBe(1);
    expect(measured('calls while the authorization server was away')).toBeGreaterThan(0);
    expect(measured('code exchanges for a callback that came twice')).toBe(1);
    expect(measured('refresh requests for 100 calls at expiry')).toBe(1);
    expect(measured('refresh requests, the one without an answer included')).toBe(2);
    expect(measured('failed calls while an answer was lost')).toBe(0);
    expect(measured('calls that ended in reauthorization_required')).toBe(200);
    expect(measured('refresh requests for the other 100')).toBe(0);

    // Not a terminal: plain lines, no escape codes.
    // eslint-disable-next-line no-control-regex -- that there are none is the point
    expect(demo.output()).not.toMatch(/[\u001B\r]/);
    expect(Math.max(...demo.output().split('\n').map((line) => line.length))).toBeLessThanOrEqual(88);
  });

  it('ends with 130 when it is interrupted, and leaves no server behind', async () => {
    const demo = run('demo/main.ts', {});
    await demo.says('Discovery and the first token');
    demo.child.kill('SIGINT');
    expect(await demo.exited, demo.output()).toBe(130);

    const urls = demo.output().match(/http:\/\/127\.0\.0\.1:\d+/g) ?? [];
    expect(urls).toHaveLength(2);
    for (const url of urls) await expect(fetch(url)).rejects.toThrow('fetch failed');
  });
});

describe('the example daemon', () => {
  let servers: Servers;
  let environment: Record<string, string>;

  beforeAll(async () => {
    servers = await Servers.start((error) => { throw error; });
    environment = {
      ISSUER: servers.issuer,
      CLIENT_ID: servers.config.clientId,
      CLIENT_SECRET: servers.config.clientSecret,
      API_URL: servers.apiUrl,
      ALLOW_INSECURE_REQUESTS: 'true',
    };
  });
  afterAll(async () => { await servers.stop(); });

  it('reads orders with a token that it got by itself, and stops with exit code 0 on SIGTERM', async () => {
    const daemon = run('daemon/daemon.ts', environment);
    await daemon.says('3 orders');
    daemon.child.kill('SIGTERM');
    expect(await daemon.exited, daemon.output()).toBe(0);
    expect(daemon.output()).toMatch(/token acquired in \d+ ms/);
    expect(daemon.output()).toMatch(/stopped\n$/);
  });

  it('replaces a revoked token and goes on', async () => {
    const daemon = run('daemon/daemon.ts', environment);
    await daemon.says('3 orders');
    const { refused } = await servers.apiFigures();
    await servers.revokeCurrentToken();
    await daemon.says(`${servers.apiUrl} refused the token with 401`);
    await daemon.says('3 orders');
    daemon.child.kill('SIGTERM');
    expect(await daemon.exited, daemon.output()).toBe(0);
    expect(daemon.output()).not.toContain('the API answered');
    expect((await servers.apiFigures()).refused).toBe(refused + 1);
  });

  it('ends with exit code 1 and the reason, but not the secret, when the secret is wrong', async () => {
    const daemon = run('daemon/daemon.ts', { ...environment, CLIENT_SECRET: 'canary-of-a-wrong-secret' });
    expect(await daemon.exited).toBe(1);
    expect(daemon.output()).toContain('invalid_client');
    expect(daemon.output()).not.toContain('canary');
  });

  it('names every variable that is missing', async () => {
    const daemon = run('daemon/daemon.ts', { ISSUER: 'https://login.example.com', CLIENT_ID: 'billing' });
    expect(await daemon.exited).toBe(1);
    expect(daemon.output()).toBe('Error: Missing in the environment: CLIENT_SECRET, API_URL\n');
  });

  describe('meets an API that', () => {
    it('refuses a request without a token and one with a forged token', async () => {
      const url = `${servers.apiUrl}/v1/orders`;
      const anonymous = await fetch(url);
      expect([anonymous.status, anonymous.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);

      const [header, payload] = ['{"alg":"none","typ":"at+jwt"}', `{"iss":"${servers.issuer}","scope":"orders:read"}`].map((part) => Buffer.from(part).toString('base64url'));
      const forged = await fetch(url, { headers: { authorization: `Bearer ${header ?? ''}.${payload ?? ''}.` } });
      expect([forged.status, forged.headers.get('www-authenticate')]).toEqual([401, 'Bearer error="invalid_token"']);
    });

    it('answers a token without the scope with 403 and a challenge that names it', async () => {
      const { clientId, clientSecret } = servers.config;
      const tokens = createTokenManager({ issuer: servers.issuer, clientId, clientSecret, allowInsecureRequests: true });
      const api = createFetch(tokens.clientCredentials(), { baseUrl: servers.apiUrl, allowInsecureRequests: true });
      const response = await api('/v1/orders');
      expect(response.status).toBe(403);
      expect(challenges(response)).toMatchObject([{ error: 'insufficient_scope', scope: servers.config.scope }]);
      await tokens.close();
    });
  });
});
