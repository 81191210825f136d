import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApi, type Api } from './support/api-server.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { runProgram } from './support/child-process.js';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const programs = [...readme.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, program = '']) => program);

let authorizationServer: AuthorizationServer;
let api: Api;

beforeAll(async () => {
  authorizationServer = await startAuthorizationServer();
  Object.assign(authorizationServer.metadata, { issuer: 'https://login.example.com', token_endpoint: 'https://login.example.com/token' });
  api = await startApi();
});

afterAll(async () => {
  await authorizationServer.close();
  await api.close();
});

/** Runs a program of the README as it stands there, with its hosts led to the servers of this test. */
async function run(program: string | undefined): Promise<string> {
  const { code, stdout, stderr } = await runProgram(`import '${new URL('support/example-hosts.ts', import.meta.url).href}';\n${program ?? ''}`, {
    env: { CLIENT_SECRET: 'test secret', API_TOKEN: 'test-token', TOKEN_KEY: randomBytes(32).toString('base64url'), EXAMPLE_HOSTS: JSON.stringify({ 'https://login.example.com': authorizationServer.origin, 'https://api.example.com': api.origin }) },
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

describe('every program in the README runs', () => {
  test('there are six', () => {
    expect(programs).toHaveLength(6);
  });

  test('they compile, under `exactOptionalPropertyTypes` as well', () => {
    const folder = new URL('../.reports/readme/', import.meta.url);
    mkdirSync(folder, { recursive: true });
    programs.forEach((program, index) => { writeFileSync(new URL(`${index}.ts`, folder), program); });
    writeFileSync(new URL('tsconfig.json', folder), JSON.stringify({ extends: '../../tsconfig.json', compilerOptions: { noPropertyAccessFromIndexSignature: false, paths: { grantkeeper: ['../../src/index.ts'] } }, include: ['*.ts'] }));
    const { status, stdout } = spawnSync(process.execPath, [fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url)), '-p', fileURLToPath(folder)], { encoding: 'utf8' });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  }, 60_000);

  test('the first screen calls the API with a token', async () => {
    expect(await run(programs[0])).toContain("200 {\n  ok: true,\n  method: 'GET',\n  url: '/v1/invoices',\n  authorization: 'Bearer at-");
  });

  test('a token names its type and scope, and prints without its value', async () => {
    const printed = await run(programs[1]);
    expect(printed).toContain("Bearer invoices:read invoices:write {\n  value: '[redacted]'");
    expect(authorizationServer.lastTokenRequest.parameters.get('audience')).toBe('https://api.example.com');
  });

  test('a challenge says which scope is missing', async () => {
    api.answersNext({ status: 403, headers: { 'www-authenticate': 'Bearer error="insufficient_scope", scope="payments:write"' } });
    expect(await run(programs[2])).toBe('ask for the scope payments:write\n');
  });

  test('a source of one\'s own is used', async () => {
    expect(await run(programs[3])).toBe('true\n');
    expect(api.lastRequest.headers.authorization).toBe('Bearer test-token');
  });

  test('listeners are registered, and nothing happens', async () => {
    expect(await run(programs[4])).toBe('');
  });

  test('a store seals what it keeps', async () => {
    expect(await run(programs[5])).toBe('Bearer\n');
  });
});

test('every relative link in the documents leads somewhere', () => {
  const links = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'].flatMap((name) =>
    [...readFileSync(new URL(`../${name}`, import.meta.url), 'utf8').matchAll(/\]\(([^)#:]+)\)/g)].map(([, target = '']) => target));
  expect(links.length).toBeGreaterThan(2);
  for (const link of links) expect(() => readFileSync(new URL(`../${link}`, import.meta.url))).not.toThrow();
});
