import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

let folder: string;
let packed: string[];

const run = (command: string, ...args: string[]): string => execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'grantkeeper-package-'));
  const [tarball] = JSON.parse(execFileSync('npm', ['pack', '--json', '--pack-destination', folder], { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })) as [{ filename: string; files: { path: string }[] }];
  packed = tarball.files.map(({ path }) => path);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'user', private: true }));
  run('npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', join(folder, tarball.filename));
}, 120_000);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('the tarball holds what users need and nothing else', () => {
  const entries = ['index', 'node', 'postgres', 'providers', 'redis', 'web'].flatMap((entry) => [`dist/${entry}.d.ts`, `dist/${entry}.js`, `dist/${entry}.js.map`]);
  // What the entries share, in code and in types, has names with a hash.
  const shared = /^dist\/[\w-]+-[\w-]{8}\.(js|js\.map|d\.ts)$/;
  expect(packed.filter((path) => !shared.test(path)).sort()).toEqual(['CHANGELOG.md', 'LICENSE', 'README.md', ...entries, 'package.json'].sort());
});

const program = `
  const tokens = createTokenManager({ issuer: 'https://login.example.com', clientId: 'billing', clientSecret: 'test' });
  const api = createFetch(tokens.clientCredentials({ scope: 'invoices:read' }), { baseUrl: 'https://api.example.com' });
  api('https://elsewhere.example.net/').catch((error) => console.log(error.code, error instanceof OAuthError));
`;

test('an ESM program imports it', () => {
  writeFileSync(join(folder, 'program.mjs'), `import { createFetch, createTokenManager, OAuthError } from 'grantkeeper';${program}`);
  expect(run('node', 'program.mjs').trim()).toBe('origin_not_allowed true');
});

test('a CommonJS program requires it', () => {
  writeFileSync(join(folder, 'program.cjs'), `const { createFetch, createTokenManager, OAuthError } = require('grantkeeper');${program}`);
  expect(run('node', '--no-warnings', 'program.cjs').trim()).toBe('origin_not_allowed true');
});

test('both get the same classes', () => {
  writeFileSync(join(folder, 'both.mjs'), `
    import { createRequire } from 'node:module';
    import { OAuthError } from 'grantkeeper';
    console.log(createRequire(import.meta.url)('grantkeeper').OAuthError === OAuthError);`);
  expect(run('node', '--no-warnings', 'both.mjs').trim()).toBe('true');
});

test.each(['web', 'node'])('grantkeeper/%s throws the same class', (subpath) => {
  writeFileSync(join(folder, `${subpath}.mjs`), `
    import { OAuthError } from 'grantkeeper';
    import { createLoginHandlers } from 'grantkeeper/${subpath}';
    try { createLoginHandlers(undefined, {}); } catch (error) { console.log(error.code, error instanceof OAuthError); }`);
  expect(run('node', `${subpath}.mjs`).trim()).toBe('invalid_configuration true');
});

test.each([['redis', 'redisLock'], ['postgres', 'postgresLock']])('grantkeeper/%s throws the same class, and brings nothing but %s', (subpath, lock) => {
  writeFileSync(join(folder, `${subpath}.mjs`), `
    import { OAuthError } from 'grantkeeper';
    import * as names from 'grantkeeper/${subpath}';
    try { names.${lock}({}); } catch (error) { console.log(error.code, error instanceof OAuthError, Object.keys(names).join()); }`);
  expect(run('node', `${subpath}.mjs`).trim()).toBe(`invalid_configuration true ${lock}`);
});

test('importing it loads no undici', () => {
  writeFileSync(join(folder, 'lazy.mjs'), `
    import 'grantkeeper';
    import { createRequire } from 'node:module';
    const require = createRequire(import.meta.url);
    console.log(Object.keys(require.cache).some((path) => path.includes('undici')));`);
  expect(run('node', 'lazy.mjs').trim()).toBe('false');
});

test('the lockfile holds no download address', () => {
  expect(readFileSync(join(root, 'package-lock.json'), 'utf8')).not.toMatch(/"resolved":|https?:\/\/[^"]*\.tgz/);
});
