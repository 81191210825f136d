import { createHash } from 'node:crypto';
import type { LoginOptions, StartedLogin } from 'grantkeeper';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { failureOf } from './support/failure.js';
import type { MachineClient } from './support/machine-client.js';
import { followLogin } from './support/user-agent.js';
import { REDIRECT_URI, signIn, webClient } from './support/web-client.js';

let server: AuthorizationServer;
let client: MachineClient;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(async () => {
  await server.close();
});

beforeEach(() => {
  client = webClient(server);
});

async function start(options: Partial<LoginOptions> = {}): Promise<StartedLogin> {
  return client.tokens.startLogin({ redirectUri: REDIRECT_URI, ...options });
}

async function request(options: Partial<LoginOptions> = {}): Promise<URLSearchParams> {
  return (await start(options)).url.searchParams;
}

describe('the authorization request', () => {
  test('A1 goes to the authorization endpoint, asks for a code, and is protected three times', async () => {
    const { url } = await start({ scope: 'openid' });
    expect(url.origin + url.pathname).toBe(server.metadata.authorization_endpoint);
    expect(Object.fromEntries(url.searchParams)).toEqual({
      response_type: 'code',
      client_id: 'app',
      redirect_uri: REDIRECT_URI,
      scope: 'openid',
      state: expect.stringMatching(/^[\w-]{43}$/) as string,
      nonce: expect.stringMatching(/^[\w-]{43}$/) as string,
      code_challenge: expect.stringMatching(/^[\w-]{43}$/) as string,
      code_challenge_method: 'S256',
    });
  });

  test('A1 the challenge is the SHA-256 of a verifier that only the exchange tells', async () => {
    await signIn(client);
    const challenge = server.authorizationRequests.at(-1)?.get('code_challenge') ?? '';
    const verifier = server.lastTokenRequest.parameters.get('code_verifier') ?? '';
    expect(verifier).toMatch(/^[\w-]{43}$/);
    expect(createHash('sha256').update(verifier).digest('base64url')).toBe(challenge);
  });

  test('A1 state, nonce and challenge are 32 bytes each, and never the same', async () => {
    const logins = await Promise.all(Array.from({ length: 100 }, async () => request()));
    const secrets = logins.flatMap((parameters) => ['state', 'nonce', 'code_challenge'].map((name) => parameters.get(name) ?? ''));
    expect(new Set(secrets).size).toBe(300);
    expect(new Set(secrets.map((secret) => Buffer.from(secret, 'base64url').length))).toEqual(new Set([32]));
  });

  test('A1 state and nonce are sent without `openid` too, and without any scope', async () => {
    for (const parameters of [await request({ scope: 'read' }), await request()]) {
      expect([parameters.get('state')?.length, parameters.get('nonce')?.length, parameters.get('code_challenge_method')]).toEqual([43, 43, 'S256']);
    }
    expect((await request()).has('scope')).toBe(false);
  });

  test('A1 neither they nor the verifier can be read in the transaction', async () => {
    const { url, transaction } = await start();
    const opened = transaction.split('.').map((part) => Buffer.from(part, 'base64url').toString('latin1')).join() + transaction;
    for (const name of ['state', 'nonce', 'code_challenge', 'redirect_uri']) expect(opened).not.toContain(url.searchParams.get(name));
  });

  test('a transaction fits into a cookie', async () => {
    const { transaction } = await start({ scope: 'openid offline_access profile email', resource: ['https://a.example', 'https://b.example'], returnTo: `/reports?filter=${'x'.repeat(500)}` });
    expect(transaction).toMatch(/^[\w.-]+$/);
    expect(transaction.length).toBeLessThan(3_000);
  });

  test('parameters may say what options say, and the options win', async () => {
    const parameters = { prompt: 'consent', login_hint: 'alice', acr_values: 'phr' };
    expect(Object.fromEntries(await request({ parameters }))).toMatchObject(parameters);
    expect(Object.fromEntries(await request({ parameters, prompt: 'login', loginHint: 'bob', acrValues: 'phrh' }))).toMatchObject({ prompt: 'login', login_hint: 'bob', acr_values: 'phrh' });
  });

  test('is all that the options say', async () => {
    const parameters = await request({
      scope: ['openid', 'offline_access', 'read'],
      audience: 'https://api.example.com',
      prompt: 'login consent',
      maxAge: 300,
      loginHint: 'alice@example.com',
      acrValues: 'urn:mace:incommon:iap:silver phr',
      parameters: { access_type: 'offline', ui_locales: 'de en' },
    });
    expect(Object.fromEntries(parameters)).toMatchObject({
      scope: 'openid offline_access read',
      audience: 'https://api.example.com',
      prompt: 'login consent',
      max_age: '300',
      login_hint: 'alice@example.com',
      acr_values: 'urn:mace:incommon:iap:silver phr',
      access_type: 'offline',
      ui_locales: 'de en',
    });
  });

  test('asks for a sign-in at this moment where maxAge is 0', async () => {
    expect((await request({ maxAge: 0 })).get('max_age')).toBe('0');
  });

  test('names neither a resource nor anything else that was not asked for', async () => {
    expect([...(await request()).keys()].sort()).toEqual(['client_id', 'code_challenge', 'code_challenge_method', 'nonce', 'redirect_uri', 'response_type', 'state']);
  });

  test('keeps the query that the authorization endpoint has of its own', async () => {
    client = webClient(server, { server: { ...server.metadata, authorization_endpoint: `${server.origin}/authorize?p=b2c_1&tenant=a%2Fb` } });
    const { url } = await start({ scope: 'read' });
    expect(url.search).toMatch(/^\?p=b2c_1&tenant=a%2Fb&/);
    expect(url.searchParams.get('state')).toHaveLength(43);
  });

  test('needs no request, and nothing of the caller\'s is changed or kept', async () => {
    const options = { redirectUri: REDIRECT_URI, scope: ['b', 'a'], resource: ['https://a.example'], parameters: { x: '1' } };
    const before = JSON.stringify(options);
    const requests = server.requests.length;
    await client.tokens.startLogin(options);
    expect(JSON.stringify(options)).toBe(before);
    expect(server.requests).toHaveLength(requests);
  });
});

describe('the token request of a login', () => {
  test('has what the code needs, and nothing that only the authorization request takes', async () => {
    await signIn(client, { scope: 'openid offline_access', audience: 'https://api.example.com', prompt: 'consent', maxAge: 60, loginHint: 'alice', acrValues: 'phr', parameters: { access_type: 'offline' } });
    const { parameters, basic } = server.lastTokenRequest;
    expect(basic).toEqual({ user: 'app', password: 'correct-horse-battery-staple' });
    expect(Object.fromEntries(parameters)).toEqual({
      grant_type: 'authorization_code',
      code: expect.stringMatching(/^code-\d+$/) as string,
      redirect_uri: REDIRECT_URI,
      code_verifier: expect.any(String) as string,
    });
  });

  test.each<[string, LoginOptions['resource'], string[], string[]]>([
    ['none', undefined, [], []],
    ['an empty list', [], [], []],
    ['one', 'https://a.example', ['https://a.example'], ['https://a.example']],
    ['one, named twice', ['https://a.example', 'https://a.example'], ['https://a.example'], ['https://a.example']],
    ['two', ['https://a.example', 'https://b.example/?x=1'], ['https://a.example', 'https://b.example/?x=1'], []],
  ])('names a resource only if the login asked for exactly one: %s', async (_case, resource, asked, exchanged) => {
    await signIn(client, { resource });
    expect(server.authorizationRequests.at(-1)?.getAll('resource')).toEqual(asked);
    expect(server.lastTokenRequest.parameters.getAll('resource')).toEqual(exchanged);
  });
});

describe('redirect_uri goes out byte for byte, twice', () => {
  test.each<[string, string | URL, string]>([
    ['a bare origin', 'https://app.example.com', 'https://app.example.com'],
    ['a bare origin with a slash', 'https://app.example.com/', 'https://app.example.com/'],
    ['a bare origin with a query', 'https://app.example.com?tenant=1', 'https://app.example.com?tenant=1'],
    ['a query of its own', 'https://app.example.com/callback?a=%7e&b=c+d&b=&', 'https://app.example.com/callback?a=%7e&b=c+d&b=&'],
    ['capitals, a default port, odd encodings', 'HTTPS://App.Example.com:443/a/../Call%2fback/%7Euser', 'HTTPS://App.Example.com:443/a/../Call%2fback/%7Euser'],
    ['spaces', 'https://app.example.com/call back', 'https://app.example.com/call back'],
    ['an IP address and a port', 'http://127.0.0.1:3000/callback', 'http://127.0.0.1:3000/callback'],
    ['a scheme of its own', 'com.example.app:/callback', 'com.example.app:/callback'],
    ['a URL object', new URL('https://app.example.com/callback?a=1'), 'https://app.example.com/callback?a=1'],
    ['a URL object of a bare origin', new URL('https://app.example.com'), 'https://app.example.com/'],
  ])('A10 %s', async (_case, redirectUri, sent) => {
    const { url, transaction } = await start({ redirectUri });
    expect(url.search).toContain(new URLSearchParams({ redirect_uri: sent }).toString());
    await followLogin(url);
    const issued = server.grants.length;
    // What a framework behind a proxy sees of the callback's address.
    const { session } = await client.tokens.completeLogin(`/?code=code-${issued}&state=${url.searchParams.get('state') ?? ''}&iss=${server.issuer}`, transaction);
    expect(server.lastTokenRequest.parameters.get('redirect_uri')).toBe(sent);
    expect((await session.getToken()).value).toBe(server.issuedTokens.at(-1));
  });
});

describe('what startLogin refuses, by name', () => {
  const cases: [string, unknown, string][] = [
    ['no options', undefined, 'the options must be an object; received nothing'],
    ['no redirectUri', {}, '`redirectUri` is required'],
    ['an undefined redirectUri', { redirectUri: undefined }, '`redirectUri` is required'],
    ['a relative redirectUri', { redirectUri: '/callback' }, '`redirectUri` must be an absolute URL without a fragment (RFC 6749 section 3.1.2); received "/callback"'],
    ['a redirectUri with a fragment', { redirectUri: `${REDIRECT_URI}#` }, '`redirectUri` must be an absolute URL without a fragment'],
    ['a redirectUri object with a fragment', { redirectUri: new URL(`${REDIRECT_URI}#a`) }, '`redirectUri` must be'],
    ['a redirectUri that is a number', { redirectUri: 5 }, '`redirectUri` must be'],
    ['a redirectUri that can\'t be read', { redirectUri: 'http://[' }, '`redirectUri` must be'],
    ['a misspelled option', { redirectUri: REDIRECT_URI, returnto: '/' }, 'unknown option `returnto`; did you mean `returnTo`?'],
    ['a returnTo that is no text', { redirectUri: REDIRECT_URI, returnTo: 5 }, '`returnTo` must be a string; received 5'],
    ['an empty prompt', { redirectUri: REDIRECT_URI, prompt: '' }, '`prompt` must be a non-empty string'],
    ['a maxAge that is negative', { redirectUri: REDIRECT_URI, maxAge: -1 }, '`maxAge` must be a whole number of seconds, 0 or more; received -1'],
    ['a maxAge that is no whole number', { redirectUri: REDIRECT_URI, maxAge: 1.5 }, '`maxAge` must be'],
    ['a maxAge that is a text', { redirectUri: REDIRECT_URI, maxAge: '60' }, '`maxAge` must be'],
    ['a loginHint that is a list', { redirectUri: REDIRECT_URI, loginHint: ['a'] }, '`loginHint` must be'],
    ['acrValues that are a list', { redirectUri: REDIRECT_URI, acrValues: ['a'] }, '`acrValues` must be'],
    ['a scope that is a number', { redirectUri: REDIRECT_URI, scope: 5 }, '`scope` must be'],
    ['parameters that aren\'t texts', { redirectUri: REDIRECT_URI, parameters: { a: 1 } }, '`parameters` must be an object whose values are strings'],
  ];

  test.each(cases)('%s', async (_case, options, message) => {
    const failure = await failureOf(client.tokens.startLogin(options as LoginOptions));
    expect(failure.code).toBe('invalid_configuration');
    expect(failure.message).toContain(`startLogin: ${message}`);
  });

  test.each([
    ['scope', 'use the option `scope`'],
    ['resource', 'use the option `resource`'],
    ['audience', 'use the option `audience`'],
    ['client_id', 'use the option `clientId` of createTokenManager'],
    ['client_secret', 'use the option `clientSecret` of createTokenManager'],
    ['max_age', 'use the option `maxAge`, which is checked in the ID token'],
    ...['redirect_uri', 'response_type', 'state', 'nonce', 'code_challenge', 'code_challenge_method', 'code_verifier', 'code', 'grant_type', 'client_assertion', 'refresh_token'].map((name) => [name, 'the library sends it'] as [string, string]),
  ])('the reserved parameter %s', async (name, instead) => {
    const failure = await failureOf(start({ parameters: { [name]: 's3cret-value' } }));
    expect(failure).toMatchObject({ code: 'invalid_configuration', message: `startLogin: \`parameters.${name}\` is reserved: ${instead}` });
  });

  test.each<[string, Record<string, unknown>, LoginOptions['scope'], string]>([
    ['no authorization endpoint', { authorization_endpoint: undefined }, 'read', 'have no `authorization_endpoint`, which a login needs: pass it in the option `server`'],
    ['an issuer that is not known, with `openid`', { issuer: undefined }, 'openid', 'the scope `openid` needs the `issuer` that ID tokens must name: pass it in the option `server`'],
    ['keys that are not known, with `openid`', { jwks_uri: undefined }, 'read openid', 'have no `jwks_uri`, which the scope `openid` needs: pass it in the option `server`'],
  ])('a server with %s: before the browser leaves', async (_case, change, scope, message) => {
    client = webClient(server, { server: { ...server.metadata, ...change } });
    const failure = await failureOf(start({ scope }));
    expect(failure.code).toBe('invalid_configuration');
    expect(failure.message).toContain(message);
  });

  test.each([
    ['on http elsewhere than on loopback', 'http://login.example.com/authorize'],
    ['one with user and password', 'https://user:pass@login.example.com/authorize'],
    ['not a URL', 'authorize'],
    ['a script', 'javascript:alert(1)'],
  ])('a discovered authorization endpoint that is %s', async (_case, endpoint) => {
    client = webClient(server, { issuer: server.issuer });
    server.openidConfiguration.answersNext({ json: { ...server.metadata, authorization_endpoint: endpoint } });
    const failure = await failureOf(start());
    expect(failure).toMatchObject({ code: 'discovery_failed' });
    expect(failure.message).toContain('no usable `authorization_endpoint`');
    expect(failure.message).not.toContain('pass@');
  });
});

describe('discovery', () => {
  test('happens at the first login, once', async () => {
    client = webClient(server, { issuer: server.issuer });
    const before = server.discoveryRequests.length;
    const { session } = await signIn(client);
    await signIn(client);
    expect(server.discoveryRequests.length - before).toBe(1);
    expect(await session.info()).toMatchObject({ claims: { iss: server.issuer } });
  });

  test('that fails is the login\'s failure; the next login tries anew', async () => {
    client = webClient(server, { issuer: server.issuer });
    server.openidConfiguration.answersNext({ status: 503 });
    server.oauthMetadata.answersNext({ status: 503 });
    expect(await failureOf(start())).toMatchObject({ code: 'discovery_failed', status: 503, retryable: true });
    expect((await request()).get('response_type')).toBe('code');
  });
});
