import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { decodeProtectedHeader } from 'jose';
import * as providers from 'grantkeeper/providers';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startApi, type Api } from './support/api-server.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { startProgram, type RunningProgram } from './support/child-process.js';
import { Browser } from './support/browser.js';
import { eventually } from './support/eventually.js';
import { freePort } from './support/free-port.js';
import { describeWithRedis, startRedis } from './support/redis-server.js';
import { followLogin } from './support/user-agent.js';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const programs = [...readme.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, program = '']) => program);

let authorizationServer: AuthorizationServer;
let api: Api;

beforeAll(async () => {
  authorizationServer = await startAuthorizationServer();
  for (const [name, value] of Object.entries(authorizationServer.metadata)) {
    if (typeof value === 'string') authorizationServer.metadata[name] = value.replace(authorizationServer.origin, 'https://login.example.com');
  }
  api = await startApi();
});

afterAll(async () => {
  await authorizationServer.close();
  await api.close();
});

/** A program of the README as it stands there, with its hosts led to the servers of this test. */
async function start(program: string | undefined, env: Readonly<Record<string, string>> = {}): Promise<RunningProgram> {
  return startProgram(`import '${new URL('support/example-hosts.ts', import.meta.url).href}';\n${program ?? ''}`, {
    env: {
      CLIENT_SECRET: 'test secret',
      API_TOKEN: 'test-token',
      TOKEN_KEY: randomBytes(32).toString('base64url'),
      EXAMPLE_HOSTS: JSON.stringify({ 'https://login.example.com': authorizationServer.origin, 'https://api.example.com': api.origin }),
      ...env,
    },
  });
}

async function run(program: string | undefined): Promise<string> {
  const { code, stdout, stderr } = await (await start(program)).finished;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

describe('every program in the README runs', () => {
  test('there are twelve', () => {
    expect(programs).toHaveLength(12);
  });

  test('they compile, under `exactOptionalPropertyTypes` as well', () => {
    const folder = new URL('../.reports/readme/', import.meta.url);
    mkdirSync(folder, { recursive: true });
    programs.forEach((program, index) => { writeFileSync(new URL(`${index}.ts`, folder), program); });
    writeFileSync(new URL('tsconfig.json', folder), JSON.stringify({ extends: '../../tsconfig.json', compilerOptions: { noPropertyAccessFromIndexSignature: false, paths: { grantkeeper: ['../../src/index.ts'], 'grantkeeper/node': ['../../src/node.ts'], 'grantkeeper/redis': ['../../src/redis.ts'] } }, include: ['*.ts'] }));
    const { status, stdout } = spawnSync(process.execPath, [fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url)), '-p', fileURLToPath(folder)], { encoding: 'utf8' });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  }, 60_000);

  test('the first screen calls the API with a token', async () => {
    expect(await run(programs[0])).toContain("200 {\n  ok: true,\n  method: 'GET',\n  url: '/v1/invoices',\n  authorization: 'Bearer at-");
  });

  test('the web backend signs in, calls the API for who signed in, and signs out', async () => {
    const port = await freePort();
    const backend = await start(programs[1], { PORT: String(port) });
    onTestFinished(() => { backend.kill(); });
    const browser = new Browser(async ({ url, method, headers }) => {
      const { pathname, search } = new URL(url);
      return fetch(`http://127.0.0.1:${port}${pathname}${search}`, { method, headers, redirect: 'manual' });
    });
    const location = (response: Response): string => response.headers.get('location') ?? '';
    await eventually(async () => location(await browser.opens('/')) === '/login', 15_000);
    const toServer = location(await browser.opens('/login')).replace('https://login.example.com', authorizationServer.origin);
    const callback = new URL(await followLogin(toServer));
    expect(callback.origin).toBe('https://app.example.com');
    expect(location(await browser.opens(callback.pathname + callback.search))).toBe('/');
    expect(await (await browser.opens('/')).json()).toMatchObject({ url: '/v1/me', authorization: expect.stringMatching(/^Bearer at-/) as unknown });
    expect(location(await browser.submits('/logout'))).toMatch(/^https:\/\/login\.example\.com\/logout\?/);
    expect(location(await browser.opens('/'))).toBe('/login');
  }, 60_000);

  test('the two calls of a login give a session', async () => {
    expect(await run(programs[3])).toBe('user-1 openid offline_access /inbox\nBearer\nundefined\n');
  });

  test('a token names its type and scope, and prints without its value', async () => {
    const printed = await run(programs[2]);
    expect(printed).toContain("Bearer invoices:read invoices:write {\n  value: '[redacted]'");
    expect(authorizationServer.lastTokenRequest.parameters.get('audience')).toBe('https://api.example.com');
  });

  test('a client proves who it is with a key', async () => {
    expect(await run(programs[4])).toBe('200\n');
    const { parameters } = authorizationServer.lastTokenRequest;
    expect(decodeProtectedHeader(parameters.get('client_assertion') ?? '')).toEqual({ alg: 'ES256', kid: '2026-11' });
  });

  test('a device without a browser is told where to go, and signed in', async () => {
    authorizationServer.metadata['device_authorization_endpoint'] = 'https://login.example.com/device';
    authorizationServer.at('/device').answersNext({ json: { device_code: 'dc-1', user_code: 'WDJB-MJHT', verification_uri: 'https://login.example.com/activate', expires_in: 600, interval: 1 } });
    expect(await run(programs[5])).toBe('Go to https://login.example.com/activate and enter WDJB-MJHT\nBearer\n');
    expect(authorizationServer.lastTokenRequest.parameters.get('device_code')).toBe('dc-1');
  });

  test('a server that deviates is asked in its words, and understood', async () => {
    authorizationServer.answersNext((request) => {
      expect(JSON.parse(request.body)).toEqual({ grant_type: 'client_credentials', scope: 'invoices:read,customers:read' });
      return { json: { data: { access_token: 'at-of-the-dialect', expires_in: 60 } } };
    });
    expect(await run(programs[6])).toBe('200\n');
    expect(api.lastRequest.headers.authorization).toBe('Bearer at-of-the-dialect');
  });

  test('a challenge says which scope is missing', async () => {
    api.answersNext({ status: 403, headers: { 'www-authenticate': 'Bearer error="insufficient_scope", scope="payments:write"' } });
    expect(await run(programs[7])).toBe('ask for the scope payments:write\n');
  });

  test('a source of one\'s own is used', async () => {
    expect(await run(programs[8])).toBe('true\n');
    expect(api.lastRequest.headers.authorization).toBe('Bearer test-token');
  });

  test('listeners are registered, and nothing happens', async () => {
    expect(await run(programs[9])).toBe('');
  });

  test('a store seals what it keeps', async () => {
    expect(await run(programs[10])).toBe('Bearer\n');
  });
});

describeWithRedis('the program of many processes', () => {
  test('gets a token by the lock, and leaves it in the store', async () => {
    await using redis = await startRedis();
    const program = await start(programs[11], { REDIS_URL: redis.url });
    await program.prints('Bearer\n');
    program.kill();
    const { stderr } = await program.finished;
    expect(stderr).toBe('');
    const client = await createClient({ url: redis.url }).connect();
    expect((await client.keys('*')).map((key) => key.replace(/[\w-]{43}/, '<hash>')).sort()).toEqual(['grantkeeper:lock:{grantkeeper:token:<hash>}', 'keyv::keyv:grantkeeper:token:<hash>']);
    client.destroy();
  });
});

test('every declared server is in the page of providers, and the README counts them', () => {
  const page = readFileSync(new URL('../docs/providers.md', import.meta.url), 'utf8');
  expect(Object.keys(providers).filter((name) => !new RegExp(`\`${name}[\`(]`).test(page))).toEqual([]);
  const servers = readdirSync(new URL('../src/providers/', import.meta.url)).filter((name) => !['arguments.ts', 'provider.ts'].includes(name));
  expect(readme).toContain(`Slack, Shopify, Zoho, Xero and ${servers.length - 4} more are declared`);
});

test('every relative link in the documents leads somewhere', () => {
  const documents = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'docs/threats.md', 'docs/refresh-grace.md', 'docs/many-processes.md', 'docs/fapi.md', 'docs/gateways.md', 'docs/providers.md'].map((name) => new URL(`../${name}`, import.meta.url));
  const links = documents.flatMap((document) => [...readFileSync(document, 'utf8').matchAll(/\]\(([^)#:]+)\)/g)].map(([, target = '']) => new URL(target, document)));
  expect(links.length).toBeGreaterThan(8);
  for (const link of links) expect(existsSync(link), link.href).toBe(true);
});
