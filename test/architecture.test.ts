import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import * as grantkeeper from 'grantkeeper';
import * as node from 'grantkeeper/node';
import * as postgres from 'grantkeeper/postgres';
import * as providers from 'grantkeeper/providers';
import * as redis from 'grantkeeper/redis';
import * as web from 'grantkeeper/web';

const source = fileURLToPath(new URL('../src/', import.meta.url));

interface Import {
  readonly from: string;
  /** A file of ours relative to src/, or the name of a package. */
  readonly to: string;
}

const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts')).map((name) => name.split(sep).join('/'));

const imports = files.flatMap((from): Import[] =>
  [...readFileSync(join(source, from), 'utf8').matchAll(/(?:from|import)\s*\(?'([^']+)'/g)].map(([, specifier = '']) => ({
    from,
    to: specifier.startsWith('.') ? relative(source, join(source, dirname(from), specifier)).split(sep).join('/').replace(/\.js$/, '.ts') : specifier,
  })),
);

const folderOf = (file: string): string => (file.includes('/') ? file.slice(0, file.indexOf('/')) : '.');

test('every import was read: each file of ours that is imported exists', () => {
  expect(files.length).toBeGreaterThan(30);
  expect(imports.filter(({ to }) => to.endsWith('.ts') && !files.includes(to))).toEqual([]);
});

test('tokens/ imports nothing of ours but errors.ts', () => {
  const foreign = imports.filter(({ from, to }) => folderOf(from) === 'tokens' && to.endsWith('.ts') && folderOf(to) !== 'tokens');
  expect(foreign.filter(({ to }) => to !== 'errors.ts')).toEqual([]);
});

test.each([
  { folder: 'transport', mayUse: ['.'] },
  { folder: 'retry', mayUse: ['.'] },
  { folder: 'server', mayUse: ['.', 'tokens', 'transport', 'retry'] },
  { folder: 'grants', mayUse: ['.', 'tokens', 'server', 'retry'] },
  { folder: 'cache', mayUse: ['.', 'tokens', 'grants'] },
  { folder: 'sessions', mayUse: ['.', 'tokens', 'server', 'grants', 'cache', 'retry'] },
  { folder: 'login', mayUse: ['.', 'tokens', 'server', 'grants', 'cache', 'sessions'] },
  { folder: 'web', mayUse: ['.', 'login', 'sessions', 'transport'] },
  { folder: 'node', mayUse: ['.', 'sessions', 'web'] },
  { folder: 'providers', mayUse: ['.'] },
  { folder: 'fetch', mayUse: ['.', 'tokens', 'transport', 'retry'] },
])('data flows one way: $folder/ knows only $mayUse', ({ folder, mayUse }) => {
  const crossing = imports.filter(({ from, to }) => folderOf(from) === folder && to.endsWith('.ts') && folderOf(to) !== folder);
  expect(crossing.filter(({ to }) => !mayUse.includes(folderOf(to)))).toEqual([]);
});

test('what a folder knows of the root is what all need, never what joins them', () => {
  const ofAll = ['asked.ts', 'clock.ts', 'deadline.ts', 'errors.ts', 'events.ts', 'validation.ts'];
  // Those are outside: what a token manager is, and takes, is what they are about.
  const isOutside = (file: string): boolean => ['web', 'node', 'providers'].includes(folderOf(file));
  const joining = imports.filter(({ from, to }) => folderOf(from) !== '.' && !isOutside(from) && to.endsWith('.ts') && folderOf(to) === '.' && !ofAll.includes(to));
  expect(joining).toEqual([]);
});

test('only token-manager.ts and the public surface join the folders', () => {
  const joining = files.filter((file) => folderOf(file) === '.' && new Set(imports.filter(({ from }) => from === file).map(({ to }) => folderOf(to)).filter((folder) => ['cache', 'grants', 'sessions', 'login', 'fetch', 'server'].includes(folder))).size > 1);
  expect(joining.sort()).toEqual(['discover-protected-resource.ts', 'index.ts', 'token-manager-options.ts', 'token-manager.ts']);
});

test.each([
  { name: 'openid-client', door: /^server\// },
  { name: 'undici', door: /^transport\/agent\.ts$/, types: /^(transport\/(transport|global-dispatcher|client-certificate)|tokens\/token-binding|token-manager-options|fetch\/(fetch-options|outgoing))\.ts$/ },
  { name: 'p-retry', door: /^retry\/with-retries\.ts$/ },
  { name: 'jose', door: /^(cache\/sealing|server\/(id-token|jwks|server-jwt|authorization-response|keys\/compact-jws))\.ts$/ },
  { name: '@remix-run/node-fetch-server', door: /^node\/login-handlers\.ts$/ },
  { name: 'lru-cache', door: /^cache\/token-cache\.ts$/ },
])('$name has one door', ({ name, door, types }) => {
  const users = imports.filter(({ to }) => to === name || to.startsWith(`${name}/`)).map(({ from }) => from);
  expect(users.some((file) => door.test(file))).toBe(true);
  expect(users.filter((file) => !door.test(file) && types?.test(file) !== true)).toEqual([]);
});

test('there is no other package than those, and what Node brings', () => {
  const packages = new Set(imports.map(({ to }) => to).filter((to) => !to.endsWith('.ts') && !to.startsWith('node:')));
  expect([...new Set([...packages].map((name) => /^(@[^/]+\/)?[^/]+/.exec(name)?.[0]))].sort()).toEqual(['@remix-run/node-fetch-server', 'jose', 'lru-cache', 'openid-client', 'p-retry', 'undici']);
});

test('undici is loaded on first use only', () => {
  const eager = files.filter((file) => /^import (?!type )[^;]*from 'undici'/m.test(readFileSync(join(source, file), 'utf8')));
  expect(eager).toEqual([]);
});

test('the public names', () => {
  expect(Object.keys(grantkeeper).sort()).toEqual(['OAuthError', 'backchannelAuthentication', 'challenges', 'clientAssertion', 'clientSecretBasic', 'clientSecretJwt', 'clientSecretPost', 'createFetch', 'createTokenManager', 'deviceAuthorization', 'discoverProtectedResource', 'jwtBearer', 'none', 'privateKeyJwt', 'selfSignedTlsClientAuth', 'stepUp', 'tlsClientAuth', 'tokenExchange']);
});

test.each(Object.entries({ web, node }))('the public names of grantkeeper/%s', (_subpath, names) => {
  expect(Object.keys(names)).toEqual(['createLoginHandlers']);
});

test('the public names of the locks\' subpaths', () => {
  expect([Object.keys(redis), Object.keys(postgres)]).toEqual([['redisLock'], ['postgresLock']]);
});

test('the public names of grantkeeper/providers', () => {
  expect(Object.keys(providers).sort()).toEqual(['atlassian', 'auth0', 'cognito', 'discord', 'dropbox', 'entraId', 'facebook', 'githubApp', 'githubOAuthApp', 'gitlab', 'google', 'hubspot', 'instagram', 'keycloak', 'linkedin', 'monday', 'notion', 'okta', 'quickbooks', 'salesforce', 'shopify', 'shopifyFetch', 'slack', 'slackUser', 'spotify', 'square', 'tiktok', 'twitch', 'xero', 'zoho', 'zohoFetch', 'zoom', 'zoomServerToServer']);
});

test('a lock brings nothing of the library but the port, the errors and the validation', () => {
  const known = (entry: string): string[] => imports.filter(({ from }) => from === entry).map(({ to }) => to).filter((to) => to.endsWith('.ts'));
  for (const entry of ['redis.ts', 'postgres.ts']) expect([...new Set(known(entry))].sort()).toEqual(['cache/lock.ts', 'errors.ts', 'validation.ts']);
});

test('the public types', () => {
  const index = readFileSync(join(source, 'index.ts'), 'utf8');
  const types = [...index.matchAll(/export (type )?\{([^}]*)\}/g)].flatMap(([, all, names = '']) =>
    names.split(',').map((name) => name.trim()).filter((name) => name !== '' && (all !== undefined || name.startsWith('type '))).map((name) => name.replace('type ', '')));
  expect(types.sort()).toMatchInlineSnapshot(`
    [
      "AccessToken",
      "AuthorizationDetail",
      "AuthorizationServerMetadata",
      "BackchannelAuthenticationRequest",
      "Challenge",
      "ClientAuthentication",
      "ClientCertificate",
      "ClientSecret",
      "ClientSecretBasicOptions",
      "ClientSecretJwtOptions",
      "Clock",
      "CompletedLogin",
      "DPoPOption",
      "DecoupledFlow",
      "DecoupledLogin",
      "DecoupledLoginOptions",
      "Dialect",
      "DialectContext",
      "EndOptions",
      "ExchangedToken",
      "ExtensionGrant",
      "FetchOptions",
      "FetchRetryOptions",
      "GetTokenOptions",
      "GrantParameters",
      "GrantSubject",
      "Introspection",
      "JwtBearerRequest",
      "KeyvLike",
      "Lock",
      "LoginOptions",
      "OAuthErrorCode",
      "OAuthErrorDetails",
      "PendingLogin",
      "PreparedTokenRequest",
      "PresentedCertificate",
      "PresentedProof",
      "PrivateKey",
      "PrivateKeyJwtOptions",
      "ProtectedResource",
      "ProtectedResourceOptions",
      "RawTokenResponse",
      "RetryOptions",
      "Session",
      "SessionInfo",
      "SignedAuthorizationRequests",
      "StartedLogin",
      "StepUp",
      "TokenCallOptions",
      "TokenEvents",
      "TokenExchangeRequest",
      "TokenListener",
      "TokenManager",
      "TokenManagerOptions",
      "TokenRequest",
      "TokenRequestDialect",
      "TokenSource",
      "UnauthenticatedRequest",
    ]
  `);
});
