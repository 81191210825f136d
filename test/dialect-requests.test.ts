import { clientSecretBasic, createTokenManager, type Dialect } from 'grantkeeper';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fillEndpoint } from '../src/server/dialect/template.js';
import { spokenTokenRequest } from '../src/server/dialect/token-request.js';
import { startAuthorizationServer } from './support/authorization-server.js';
import { machineClient } from './support/machine-client.js';
import { MapStore } from './support/map-store.js';
import { describeDialects } from './support/peculiar-checks.js';
import { asking, authorization, POST, runOf, SECRET, type Peculiar } from './support/peculiar-run.js';
import { startPeculiarServer } from './support/peculiar-server.js';
import { REDIRECT_URI } from './support/web-client.js';

const token = { access_token: 'at-1', token_type: 'bearer', expires_in: 3600, refresh_token: 'rt-1' };
const renewed = { access_token: 'at-2', token_type: 'bearer', expires_in: 3600, refresh_token: 'rt-2' };
const expected = { first: { value: 'at-1' }, second: { value: 'at-2' } };
const JSON_BODY = { basic: undefined, format: 'json' } as const;
const QUERY = { basic: undefined, format: 'query' } as const;

/** A server with one way of its own, where the login or the token requests go. */
function peculiar(dialect: Dialect | ((origin: string) => Dialect), { authorize = authorization(), code = asking('code'), refresh = asking('refresh'), ...others }: { authorize?: ReturnType<typeof authorization>; code?: ReturnType<typeof asking>; refresh?: ReturnType<typeof asking> } & Partial<Omit<Peculiar, 'refresh'>> = {}): Peculiar {
  return {
    dialect: typeof dialect === 'function' ? dialect : () => dialect,
    login: { takes: authorize, ...others.login },
    token: { takes: code, gives: { json: token } },
    refresh: { takes: refresh, gives: { json: renewed } },
    expected,
    ...others,
  };
}

const keep = { keep: ['realm'] };
const realm: Peculiar['login'] = { comesBackWith: (asked) => ({ code: 'code-1', state: asked.get('state') ?? '', realm: 'a b/c' }) };

describeDialects({
  'the authorization request: every name': peculiar({ authorizationRequest: { names: { response_type: 'type', client_id: 'app_id', redirect_uri: 'callback', scope: 'perms', state: 'csrf' } }, authorizationResponse: { names: { state: 'csrf' } } }, {
    login: {
      takes: authorization({ response_type: undefined, type: 'code', client_id: undefined, app_id: 'app', redirect_uri: undefined, callback: REDIRECT_URI, scope: undefined, perms: 'a b', state: undefined, csrf: /./ }),
      comesBackWith: (asked) => ({ code: 'code-1', csrf: asked.get('csrf') ?? '' }),
    },
  }),
  'the authorization request: names that it has none of': peculiar({ authorizationRequest: { names: { scope: null, response_type: null } } }, { authorize: authorization({ scope: undefined, response_type: undefined }) }),
  'the authorization request: parameters': peculiar({ authorizationRequest: { parameters: { access_type: 'offline' } } }, { authorize: authorization({ access_type: 'offline' }) }),
  'the callback: other names': peculiar({ authorizationResponse: { names: { code: 'auth_code', state: 'token' } } }, { login: { comesBackWith: (asked) => ({ auth_code: 'code-1', token: asked.get('state') ?? '', code: 'status-200' }) } }),
  'a token endpoint for each request': peculiar((origin) => ({ tokenRequest: { endpoint: `${origin}/code` }, refreshRequest: { endpoint: `${origin}/refresh` } }), { code: asking('code', {}, { path: '/code' }), refresh: asking('refresh', {}, { path: '/refresh' }) }),
  'a token endpoint with a value of the callback in its path': peculiar((origin) => ({ authorizationResponse: keep, tokenRequest: { endpoint: `${origin}/{realm}/token` } }), { login: realm, code: asking('code', {}, { path: '/a%20b%2Fc/token' }), refresh: asking('refresh', {}, { path: '/a%20b%2Fc/token' }) }),
  'JSON': peculiar({ tokenRequest: { format: 'json' } }, { client: 'post', code: asking('code', POST, JSON_BODY), refresh: asking('refresh', POST, JSON_BODY) }),
  'a query by POST': peculiar({ tokenRequest: { format: 'query' } }, { client: 'post', code: asking('code', POST, QUERY), refresh: asking('refresh', POST, QUERY) }),
  'GET': peculiar({ tokenRequest: { method: 'GET' } }, { client: 'post', code: asking('code', POST, { ...QUERY, method: 'GET' }), refresh: asking('refresh', POST, { ...QUERY, method: 'GET' }) }),
  'names of the client authentication, and those it has none of': peculiar({ tokenRequest: { names: { client_id: 'app_id', client_secret: 'app_key', redirect_uri: null, code_verifier: 'verifier', grant_type: 'type' } } }, {
    client: 'post',
    code: asking('code', { app_id: 'app', app_key: SECRET, redirect_uri: undefined, code_verifier: undefined, verifier: /./, grant_type: undefined, type: 'authorization_code' }, { basic: undefined }),
    refresh: asking('refresh', { app_id: 'app', app_key: SECRET, grant_type: undefined, type: 'refresh_token' }, { basic: undefined }),
  }),
  'names of the refresh alone': peculiar({ refreshRequest: { names: { refresh_token: 'token' } } }, { refresh: asking('refresh', { refresh_token: undefined, token: 'rt-1' }) }),
  'grant types': peculiar({ tokenRequest: { grantType: 'code' }, refreshRequest: { grantType: 'again' } }, { code: asking('code', { grant_type: 'code' }), refresh: asking('refresh', { grant_type: 'again' }) }),
  'parameters and headers, with a value of the callback in them': peculiar({ authorizationResponse: keep, tokenRequest: { parameters: { action: 'requesttoken', realm: 'r-{realm}' }, headers: { 'x-version': '2', 'x-realm': '{realm}' } } }, {
    login: realm,
    code: asking('code', { action: 'requesttoken', realm: 'r-a b/c' }, { headers: { 'x-version': '2', 'x-realm': 'a%20b/c' } }),
    refresh: asking('refresh', { action: 'requesttoken', realm: 'r-a b/c' }, { headers: { 'x-version': '2', 'x-realm': 'a%20b/c' } }),
  }),
  'a machine\'s token: scopes, names, JSON and parameters': {
    dialect: () => ({ scopeSeparator: '+', tokenRequest: { format: 'json', names: { scope: 'perms' }, parameters: { realm: 'r' } } }),
    client: 'post',
    token: { takes: asking('machine', { ...POST, scope: undefined, perms: 'a+b', realm: 'r' }, JSON_BODY), gives: { json: { ...token, refresh_token: undefined } } },
    refresh: { takes: asking('machine', { ...POST, scope: undefined, perms: 'a+b', realm: 'r' }, JSON_BODY), gives: { json: { ...renewed, refresh_token: undefined } } },
    expected,
  },
  'all together': peculiar((origin) => ({
    scopeSeparator: ',',
    authorizationRequest: { pkce: false, names: { client_id: 'app_id', state: 'csrf' }, parameters: { access_type: 'offline' } },
    authorizationResponse: { names: { code: 'ticket', state: 'csrf' }, keep: ['realm'] },
    tokenRequest: { endpoint: `${origin}/{realm}/token`, format: 'json', names: { client_id: 'app_id', code: 'ticket' }, headers: { 'x-realm': '{realm}' } },
    refreshRequest: { grantType: 'again', method: 'GET', format: 'query', names: { client_id: 'app_id', refresh_token: 'token' }, parameters: { realm: '{realm}' } },
  }), {
    client: 'post',
    login: { takes: authorization({ scope: 'a,b', client_id: undefined, app_id: 'app', state: undefined, csrf: /./, code_challenge: undefined, code_challenge_method: undefined, access_type: 'offline' }), comesBackWith: (asked) => ({ ticket: 'code-1', csrf: asked.get('csrf') ?? '', realm: 'eu' }) },
    code: asking('code', { app_id: 'app', client_secret: SECRET, code: undefined, ticket: 'code-1', code_verifier: undefined }, { ...JSON_BODY, path: '/eu/token', headers: { 'x-realm': 'eu' } }),
    refresh: asking('refresh', { app_id: 'app', client_secret: SECRET, grant_type: 'again', refresh_token: undefined, token: 'rt-1', realm: 'eu' }, { ...QUERY, method: 'GET', path: '/eu/token', headers: { 'x-realm': 'eu' } }),
  }),
});

describe('the authorization request', () => {
  test('P1 parameters of startLogin win over the dialect\'s', async () => {
    const asked = { authorize: authorization({ access_type: 'online', prompt: 'none', hd: 'example.com' }), request: { parameters: { access_type: 'online' } }, refresh: asking('refresh') };
    const server = peculiar({ authorizationRequest: { parameters: { access_type: 'offline', prompt: 'none', hd: 'example.com', client_id: 'mine', redirect_uri: 'https://evil.example' } } }, asked);
    expect(await runOf(server)).toMatchObject(expected);
  });

  test('P1 one that is pushed is in the server\'s words too', async () => {
    await using server = await startPeculiarServer({
      takes: { ...authorization({ scope: undefined, perms: 'a,b', code_challenge: undefined, code_challenge_method: undefined, access_type: 'offline' }), path: '/par', method: 'POST', format: 'form', basic: `app:${SECRET}` },
      gives: { status: 201, json: { request_uri: 'urn:example:1', expires_in: 60 } },
    });
    const tokens = createTokenManager({
      server: { authorization_endpoint: `${server.origin}/authorize`, token_endpoint: `${server.origin}/token`, pushed_authorization_request_endpoint: `${server.origin}/par` },
      clientId: 'app', clientAuthentication: clientSecretBasic(SECRET), pushedAuthorizationRequests: true, allowInsecureRequests: true,
      dialect: { scopeSeparator: ',', authorizationRequest: { pkce: false, names: { scope: 'perms' }, parameters: { access_type: 'offline' } } },
    });
    const { url } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'a b' });
    expect(server.refusals).toEqual([]);
    expect(url.searchParams.get('request_uri')).toBe('urn:example:1');
  });
});

describe('the cache', () => {
  const variants: [string, Dialect][] = [
    ['none', {}],
    ['a grant type', { tokenRequest: { grantType: 'account_credentials' } }],
    ['a parameter', { tokenRequest: { parameters: { realm: '1' } } }],
    ['the same with another value', { tokenRequest: { parameters: { realm: '2' } } }],
    ['a header of that name', { tokenRequest: { headers: { realm: '1' } } }],
    ['name and value the other way round', { tokenRequest: { parameters: { 1: 'realm' } } }],
    ['a grant type of a parameter\'s name', { tokenRequest: { grantType: 'realm' } }],
    ['an empty parameter', { tokenRequest: { parameters: { realm: '' } } }],
  ];

  test('C3 grant type, parameters and headers of the dialect separate entries of one store', async () => {
    await using server = await startAuthorizationServer();
    server.answersEvery(() => ({ json: { access_token: `at-${server.tokenRequests.length}`, token_type: 'Bearer', expires_in: 60 } }));
    const store = new MapStore();
    const values = new Set<string>();
    for (const [, dialect] of [...variants, ...variants]) {
      const { tokens } = machineClient(server, { dialect, store, encryptionKeys: false });
      values.add((await tokens.clientCredentials().getToken()).value);
    }
    expect(values.size).toBe(variants.length);
    expect(store.entries.size).toBe(variants.length);
  });
});

const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.string({ unit: fc.constantFrom('a', '.', '/', '\\', '@', ':', '%', '?', '#', '2', 'e', '[', ']', '\t', '\n', '{', '}', 'é', '。'), maxLength: 10 }),
  fc.constantFrom('https://evil.example', 'evil.example', 'https://login.example.com@evil.example', 'https://login.example.com.evil.example', 'https://login.example.com:8443', 'https://login.example.com:443', 'https://LOGIN.example.com', '//evil.example', '..', '%2e%2e', 'a.b', 'a/b', 'a%2fb'),
);

describe('the address of a template', () => {
  test('P1 `origins` are for what the callback chooses: an address that is written down may be elsewhere', () => {
    expect(fillEndpoint('https://refresh.example.com/{x}', { x: 'eu' }, ['https://login.example.com']).href).toBe('https://refresh.example.com/eu');
  });

  test.each<[string, string, readonly string[] | undefined, RegExp]>([
    ['in the place of the origin', '{x}/token', ['https://login.example.com'], /^https:\/\/login\.example\.com\/token$/],
    ['as a label', 'https://{x}.example.com/token', undefined, /^https:\/\/[a-z0-9-]+\.example\.com\/token$/],
    ['as a part of a label', 'https://login-{x}.example.com/token', undefined, /^https:\/\/login-[a-z0-9-]+\.example\.com\/token$/],
    ['as a segment of the path', 'https://login.example.com/{x}/token', undefined, /^https:\/\/login\.example\.com\/[^/]+\/token$/],
    ['in the query', 'https://login.example.com/token?realm={x}', undefined, /^https:\/\/login\.example\.com\/token\?realm=[^&#]+$/],
  ])('P3 %s never leads elsewhere, whatever the callback says', (_where, template, origins, allowed) => {
    fc.assert(fc.property(hostile, (x) => {
      let url: URL;
      try {
        url = fillEndpoint(template, { x }, origins);
      } catch (thrown) {
        expect(thrown).toMatchObject({ code: 'invalid_callback' });
        return;
      }
      expect(url.href).toMatch(allowed);
      expect([url.username, url.password, url.port]).toEqual(['', '', '']);
    }), { numRuns: 2_000 });
  });
});

describe('a token request', () => {
  const texts = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }).map((text) => Buffer.from(text).toString());
  const renames = fc.constantFrom('one', 'two', 'three');

  test('P1 nothing is lost or made up, in whatever form it goes', () => {
    fc.assert(fc.property(fc.dictionary(fc.constantFrom('code', 'client_id', 'client_secret', 'redirect_uri'), texts), renames, fc.constantFrom('json', 'query', undefined), (parameters, other, format) => {
      const asked = { url: new URL('https://login.example.com/token'), parameters: new URLSearchParams(parameters), headers: new Headers() };
      const { url, body = '' } = spokenTokenRequest(asked, { format, names: { code: other } }, ' ', {});
      const sent = format === 'json' ? JSON.parse(body) as Record<string, string> : Object.fromEntries(format === 'query' ? url.searchParams : new URLSearchParams(body));
      expect(sent).toEqual(Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name === 'code' ? other : name, value])));
    }));
  });

  test('P1 a parameter that is there several times is a list in JSON', () => {
    const parameters = new URLSearchParams([['resource', 'https://a.example'], ['resource', 'https://b.example'], ['scope', 'a']]);
    const { body = '' } = spokenTokenRequest({ url: new URL('https://login.example.com'), parameters, headers: new Headers() }, { format: 'json' }, ' ', {});
    expect(JSON.parse(body)).toEqual({ resource: ['https://a.example', 'https://b.example'], scope: 'a' });
  });
});
