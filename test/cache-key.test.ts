import fc from 'fast-check';
import { clientSecretBasic, clientSecretPost, none, type TokenRequest } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cacheKey, type TokenIdentity } from '../src/tokens/cache-key.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { CLIENT_SECRET, machineClient, type MachineClientOptions } from './support/machine-client.js';
import { MapStore } from './support/map-store.js';

const identity: TokenIdentity = {
  server: 'https://login.example.com',
  clientId: 'billing',
  clientAuthentication: 'client_secret',
  bindings: [],
  dialect: [],
  grant: 'client_credentials',
  subject: [],
  request: { scope: ['a', 'b'], resource: [], audience: undefined, parameters: {} },
};

function keyOf(changes: Partial<Omit<TokenIdentity, 'request'>> = {}, request: Partial<TokenIdentity['request']> = {}): string {
  return cacheKey({ ...identity, ...changes, request: { ...identity.request, ...request } });
}

// Characters that a careless join would use, so that collisions would be found quickly.
const atom = fc.oneof(fc.string({ unit: fc.constantFrom('a', 'b', ':', ' ', ',', '[', '1', '\0', 'é'), maxLength: 4 }), fc.string({ unit: 'binary', maxLength: 8 }));

const identities: fc.Arbitrary<TokenIdentity> = fc.record({
  server: atom,
  clientId: atom,
  clientAuthentication: atom,
  bindings: fc.array(atom, { maxLength: 2 }),
  dialect: fc.array(atom, { maxLength: 2 }),
  grant: atom,
  subject: fc.array(atom, { maxLength: 3 }),
  request: fc.record({
    scope: fc.uniqueArray(atom, { maxLength: 3 }),
    resource: fc.uniqueArray(atom, { maxLength: 3 }),
    audience: fc.option(atom, { nil: undefined }),
    authorizationDetails: fc.option(atom, { nil: undefined }),
    parameters: fc.dictionary(atom, atom, { maxKeys: 3 }),
  }),
});

/** The same tuple in the same words: what must share a key, and nothing else. */
function meaning({ server, clientId, clientAuthentication, bindings, dialect, grant, subject, request: { scope, resource, audience, authorizationDetails, parameters } }: TokenIdentity): string {
  return JSON.stringify([server, clientId, clientAuthentication, bindings, dialect, grant, subject, scope.toSorted(), resource.toSorted(), audience ?? null, authorizationDetails ?? null, Object.entries(parameters).sort(([a], [b]) => (a < b ? -1 : 1))]);
}

describe('the key', () => {
  test('C3 different tuples have different keys, equal ones the same', () => {
    fc.assert(fc.property(identities, identities, (one, other) => {
      expect(cacheKey(one) === cacheKey(other)).toBe(meaning(one) === meaning(other));
    }), { numRuns: 2_000 });
  });

  test('C3 text that moves from one member to the next changes the key', () => {
    fc.assert(fc.property(atom, atom.filter((text) => text !== ''), atom, (before, moved, after) => {
      expect(keyOf({ server: before + moved, clientId: after })).not.toBe(keyOf({ server: before, clientId: moved + after }));
      expect(keyOf({ clientId: before + moved, clientAuthentication: after })).not.toBe(keyOf({ clientId: before, clientAuthentication: moved + after }));
      expect(keyOf({}, { scope: [before, moved, after] })).not.toBe(keyOf({}, { scope: [before, moved], resource: [after] }));
      expect(keyOf({}, { parameters: { [before + moved]: after } })).not.toBe(keyOf({}, { parameters: { [before]: moved + after } }));
    }), { numRuns: 500 });
  });

  test('C3 the order of scopes, resources and parameters does not matter', () => {
    fc.assert(fc.property(fc.uniqueArray(atom, { maxLength: 5 }), fc.nat(), (texts, seed) => {
      const shuffled = texts.map((text, index) => ({ text, rank: (index * 7 + seed) % 5 })).sort((a, b) => a.rank - b.rank).map(({ text }) => text);
      const parametersOf = (names: string[]): Record<string, string> => Object.fromEntries(names.map((name) => [`p${name}`, name]));
      expect(keyOf({}, { scope: shuffled })).toBe(keyOf({}, { scope: texts }));
      expect(keyOf({}, { resource: shuffled })).toBe(keyOf({}, { resource: texts }));
      expect(keyOf({}, { parameters: parametersOf(shuffled) })).toBe(keyOf({}, { parameters: parametersOf(texts) }));
    }));
  });

  test('C3 it is a SHA-256, and the same tomorrow', () => {
    expect(keyOf()).toMatch(/^[\w-]{43}$/);
    expect(keyOf()).toBe(keyOf());
  });
});

describe('requests and managers', () => {
  let server: AuthorizationServer;

  beforeEach(async () => {
    server = await startAuthorizationServer();
  });

  afterEach(async () => {
    await server.close();
  });

  test.each<[string, TokenRequest, TokenRequest]>([
    ['`a b` and `b a`', { scope: 'a b' }, { scope: 'b a' }],
    ['text and list', { scope: 'a b' }, { scope: ['b', 'a'] }],
    ['a scope that is named twice', { scope: 'a b a' }, { scope: 'a b' }],
    ['more space than needed', { scope: '  a   b ' }, { scope: 'a b' }],
    ['no scope and an empty one', {}, { scope: '' }],
    ['resources in another order', { resource: ['https://a.example', 'https://b.example'] }, { resource: ['https://b.example', 'https://a.example'] }],
    ['one resource as text and as list', { resource: 'https://a.example' }, { resource: ['https://a.example'] }],
    ['parameters in another order', { parameters: { x: '1', y: '2' } }, { parameters: { y: '2', x: '1' } }],
  ])('C3 %s share an entry', async (_case, one, other) => {
    const { tokens } = machineClient(server);
    const token = await tokens.clientCredentials(one).getToken();
    expect(await tokens.clientCredentials(other).getToken()).toBe(token);
    expect(server.tokenRequests).toHaveLength(1);
    expect(tokens.clientCredentials(one)).toBe(tokens.clientCredentials(other));
  });

  test.each<[string, TokenRequest, TokenRequest]>([
    ['two scopes', { scope: 'a' }, { scope: 'b' }],
    ['a scope and two', { scope: 'a' }, { scope: 'a b' }],
    ['`a` + `b:c` and `a:b` + `c`', { scope: 'a', audience: 'b:c' }, { scope: 'a:b', audience: 'c' }],
    ['a scope and an audience of the same text', { scope: 'a' }, { audience: 'a' }],
    ['two audiences', { audience: 'one' }, { audience: 'two' }],
    ['an audience and none', { audience: 'one' }, {}],
    ['a resource and an audience', { resource: 'https://a.example' }, { audience: 'https://a.example' }],
    ['two resources', { resource: 'https://a.example' }, { resource: 'https://b.example' }],
    ['a resource with a slash and without', { resource: 'https://a.example' }, { resource: 'https://a.example/' }],
    ['one resource and two', { resource: 'https://a.example' }, { resource: ['https://a.example', 'https://b.example'] }],
    ['two values of a parameter', { parameters: { tenant: '1' } }, { parameters: { tenant: '2' } }],
    ['two names of a parameter', { parameters: { tenant: '1' } }, { parameters: { account: '1' } }],
    ['names and values that swap', { parameters: { a: 'b' } }, { parameters: { b: 'a' } }],
    ['an empty parameter and none', { parameters: { tenant: '' } }, {}],
  ])('C3 %s do not share an entry', async (_case, one, other) => {
    const { tokens } = machineClient(server);
    const [first, second] = await Promise.all([tokens.clientCredentials(one).getToken(), tokens.clientCredentials(other).getToken()]);
    expect(first.value).not.toBe(second.value);
    expect(await tokens.clientCredentials(one).getToken()).toBe(first);
    expect(await tokens.clientCredentials(other).getToken()).toBe(second);
    expect(server.tokenRequests).toHaveLength(2);
  });

  test.each<[string, MachineClientOptions, MachineClientOptions]>([
    ['two clients', { clientId: 'billing' }, { clientId: 'shipping' }],
    ['Basic and post', { clientAuthentication: clientSecretBasic(CLIENT_SECRET) }, { clientAuthentication: clientSecretPost(CLIENT_SECRET) }],
    ['a secret and none', {}, { clientAuthentication: none() }],
    ['two issuers at one token endpoint', { server: { issuer: 'https://one.example', token_endpoint: 'SERVER' } }, { server: { issuer: 'https://two.example', token_endpoint: 'SERVER' } }],
    ['two tenants', { server: { issuer: 'https://login.example/one', token_endpoint: 'SERVER' } }, { server: { issuer: 'https://login.example/two', token_endpoint: 'SERVER' } }],
    ['an issuer and none', { server: { issuer: 'https://one.example', token_endpoint: 'SERVER' } }, { server: { token_endpoint: 'SERVER' } }],
    ['two token endpoints without an issuer', { server: { token_endpoint: 'SERVER' } }, { server: { token_endpoint: 'SERVER?tenant=2' } }],
  ])('C3 on one store, %s do not share an entry', async (_case, one, other) => {
    const store = new MapStore();
    const manager = (options: MachineClientOptions): ReturnType<typeof machineClient> => {
      const placed = options.server && { server: { ...options.server, token_endpoint: options.server.token_endpoint.replace('SERVER', server.tokenEndpoint) } };
      return machineClient(server, { store, encryptionKeys: false, ...options, ...placed });
    };
    server.answersEvery(() => ({ json: { access_token: `at-${server.tokenRequests.length}`, token_type: 'Bearer', expires_in: 60 } }));
    const first = await manager(one).tokens.clientCredentials().getToken();
    const second = await manager(other).tokens.clientCredentials().getToken();
    expect(second.value).not.toBe(first.value);
    expect(store.entries.size).toBe(2);
    // The same client in another process does find its own.
    expect((await manager(one).tokens.clientCredentials().getToken()).value).toBe(first.value);
    expect((await manager(other).tokens.clientCredentials().getToken()).value).toBe(second.value);
  });

  test('C3 the caller may change its request afterwards: nothing of it is kept', async () => {
    const { tokens } = machineClient(server);
    const request = { scope: ['a'], parameters: { tenant: '1' } };
    const source = tokens.clientCredentials(request);
    request.scope.push('admin');
    request.parameters.tenant = '2';
    await source.getToken();
    expect(server.lastTokenRequest.parameters.get('scope')).toBe('a');
    expect(server.lastTokenRequest.parameters.get('tenant')).toBe('1');
  });
});
