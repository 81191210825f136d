import { generateKeyPairSync, webcrypto } from 'node:crypto';
import { decodeJwt } from 'jose';
import { createFetch, createTokenManager, type TokenManager } from 'grantkeeper';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startApi, type Api } from './support/api-server.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { proofOf, demandsProofs, hashOf } from './support/dpop.js';
import { failureOf, thrownBy } from './support/failure.js';
import { machineClient, type MachineClientOptions } from './support/machine-client.js';
import { MapStore } from './support/map-store.js';
import { startOidcProvider, type OidcProvider } from './support/oidc-provider.js';

let server: AuthorizationServer;
let api: Api;

beforeEach(async () => {
  [server, api] = await Promise.all([startAuthorizationServer(), startApi()]);
  server.tokenType = 'DPoP';
});

afterEach(async () => {
  await Promise.all([server.close(), api.close()]);
});

function client(options: MachineClientOptions = {}): TokenManager {
  return machineClient(server, { dpop: true, ...options }).tokens;
}

function fetchOf(tokens: TokenManager, options: object = {}): typeof fetch {
  return createFetch(tokens.clientCredentials(), { baseUrl: api.origin, allowInsecureRequests: true, retry: { minDelay: 0 }, ...options });
}

describe('the proof at the token endpoint', () => {
  test('says what is asked, when, and by which key', async () => {
    const { tokens, clock } = machineClient(server, { dpop: true });
    const token = await tokens.clientCredentials().getToken();
    expect(token.type).toBe('DPoP');
    const { header, claims } = await proofOf(server.lastTokenRequest, new Date(clock.now()));
    expect(header).toMatchObject({ typ: 'dpop+jwt', alg: 'ES256', jwk: { kty: 'EC', crv: 'P-256' } });
    expect(claims).toEqual({ jti: expect.stringMatching(/^[\w-]{22}$/) as string, htm: 'POST', htu: server.tokenEndpoint, iat: Math.floor(clock.now() / 1_000) });
  });

  test('T6 is another one at every attempt', async () => {
    const tokens = client();
    server.answersNext({ status: 503 }, { status: 503 });
    await tokens.clientCredentials().getToken();
    const proofs = await Promise.all(server.tokenRequests.map(async (request) => proofOf(request)));
    expect(proofs).toHaveLength(3);
    expect(new Set(proofs.map(({ claims }) => claims.jti)).size).toBe(3);
    expect(new Set(proofs.map(({ jkt }) => jkt)).size).toBe(1);
  });

  test('has the nonce that the server asks for, and that of its last answer from then on', async () => {
    const tokens = client();
    server.answersNext({ status: 400, json: { error: 'use_dpop_nonce' }, headers: { 'dpop-nonce': 'nonce-1' } });
    server.tokenHeaders = { 'dpop-nonce': 'nonce-2' };
    await tokens.clientCredentials({ scope: 'a' }).getToken();
    await tokens.clientCredentials({ scope: 'b' }).getToken();
    const nonces = await Promise.all(server.tokenRequests.map(async (request) => (await proofOf(request)).claims['nonce']));
    expect(nonces).toEqual([undefined, 'nonce-1', 'nonce-2']);
  });

  test('that is refused says what to look at', async () => {
    server.metadata['dpop_signing_alg_values_supported'] = ['EdDSA'];
    server.rejectsNextWith('invalid_dpop_proof');
    const failure = await failureOf(client({ issuer: server.issuer }).clientCredentials().getToken());
    expect(failure.message).toMatch(/Look at this machine's clock, and at the algorithms of proofs that the server takes: EdDSA$/);
  });

  test('is not sent again and again to a server that is never content', async () => {
    const tokens = client();
    server.answersEvery({ status: 400, json: { error: 'use_dpop_nonce' }, headers: { 'dpop-nonce': 'nonce' } });
    expect(await failureOf(tokens.clientCredentials().getToken())).toMatchObject({ code: 'token_request_failed', error: 'use_dpop_nonce', status: 400 });
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('nor where the answer has no nonce, or one that no header may carry', async () => {
    const tokens = client();
    server.answersEvery({ status: 400, json: { error: 'use_dpop_nonce' } });
    await failureOf(tokens.clientCredentials().getToken());
    server.answersEvery({ status: 400, json: { error: 'use_dpop_nonce' }, headers: { 'dpop-nonce': 'not one "word"' } });
    await failureOf(tokens.clientCredentials().getToken());
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('a nonce and another secret, each asked for once', async () => {
    let secret = 0;
    const tokens = client({ clientSecret: () => `secret-${(secret += 1)}` });
    server.answersNext({ status: 400, json: { error: 'use_dpop_nonce' }, headers: { 'dpop-nonce': 'nonce-1' } }, { status: 401, json: { error: 'invalid_client' }, headers: { 'dpop-nonce': 'nonce-2' } });
    await tokens.clientCredentials().getToken();
    expect(server.tokenRequests.map(({ basic }) => basic?.password)).toEqual(['secret-1', 'secret-1', 'secret-2']);
    expect((await proofOf(server.lastTokenRequest)).claims['nonce']).toBe('nonce-2');
  });

  test('comes with no client that has no key', async () => {
    server.tokenType = 'Bearer';
    await machineClient(server).tokens.clientCredentials().getToken();
    expect(server.lastTokenRequest.headers).not.toHaveProperty('dpop');
  });
});

describe('never less than was asked for', () => {
  test.each(['Bearer', 'bearer'])('L6 a token of type %s, where a proof was sent, is refused', async (type) => {
    const { tokens } = machineClient(server, { dpop: true });
    server.nextTokenAnswerWith({ token_type: type });
    const failure = await failureOf(tokens.clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'invalid_response', status: 200 });
    expect(failure.message).toContain('Leave the option `dpop` out');
  });

  test.each(['dpop', 'DPOP'])('L6 `%s` is DPoP', async (type) => {
    const { tokens } = machineClient(server, { dpop: true });
    server.nextTokenAnswerWith({ token_type: type });
    expect(await tokens.clientCredentials().getToken()).toMatchObject({ type: 'DPoP' });
  });

  test('L6 a bound token is refused where there is no key', async () => {
    const { tokens } = machineClient(server);
    server.nextTokenAnswerWith({ token_type: 'DPoP' });
    const failure = await failureOf(tokens.clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'invalid_response' });
    expect(failure.message).toContain('Set the option `dpop`');
  });

  test('a DPoP token of somebody else, for which there is no key, is not sent', async () => {
    const source = { getToken: async () => Promise.resolve({ value: 'at', type: 'DPoP' as const, parameters: {} }) };
    const failure = await failureOf(createFetch(source, { baseUrl: api.origin, allowInsecureRequests: true })('/'));
    expect(failure).toMatchObject({ code: 'invalid_configuration' });
    expect(api.requests).toEqual([]);
  });
});

describe('keys', () => {
  const thumbprint = async (tokens: TokenManager): Promise<string> => {
    await tokens.clientCredentials().getToken();
    return (await proofOf(server.lastTokenRequest)).jkt;
  };

  test('each manager makes one of its own, and keeps it', async () => {
    const one = client();
    const first = await thumbprint(one);
    await one.clientCredentials({ scope: 'other' }).getToken();
    expect((await proofOf(server.lastTokenRequest)).jkt).toBe(first);
    expect(await thumbprint(client())).not.toBe(first);
  });

  test('one that is configured may not be extractable', async () => {
    const { privateKey } = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-384' }, false, ['sign', 'verify']);
    const tokens = client({ dpop: { privateKey } });
    expect(await thumbprint(client({ dpop: { privateKey } }))).toBe(await thumbprint(tokens));
    expect((await proofOf(server.lastTokenRequest)).header.alg).toBe('ES384');
  });

  test('C3 tokens of two keys are never shared, those of one are', async () => {
    const store = new MapStore();
    const [one, other] = [1, 2].map(() => generateKeyPairSync('ed25519').privateKey);
    const withKey = (privateKey: typeof one): TokenManager => client({ store, encryptionKeys: false, ...privateKey && { dpop: { privateKey } } });
    const token = await withKey(one).clientCredentials().getToken();
    expect((await withKey(other).clientCredentials().getToken()).value).not.toBe(token.value);
    expect((await client({ store, encryptionKeys: false }).clientCredentials().getToken()).value).not.toBe(token.value);
    const found = await withKey(one).clientCredentials().getToken();
    expect(found).toMatchObject({ value: token.value, type: 'DPoP' });
    expect(server.tokenRequests).toHaveLength(3);
  });

  test('the algorithm may be named, where the key has several', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    await thumbprint(client({ dpop: { privateKey, alg: 'PS256' } }));
    expect((await proofOf(server.lastTokenRequest)).header.alg).toBe('PS256');
    expect(thrownBy(() => client({ dpop: { privateKey, alg: 'ES256' } }))).toMatchObject({ code: 'invalid_configuration' });
  });

  test('C10 an entry of the store that is bound to nothing is not taken for one that is', async () => {
    const store = new MapStore();
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const bound = (): MachineClientOptions => ({ store, encryptionKeys: false, dpop: { privateKey } });
    await client(bound()).clientCredentials().getToken();
    const { key, value } = store.only;
    store.entries.set(key, String(value).replace('"DPoP"', '"Bearer"'));
    expect(await client(bound()).clientCredentials().getToken()).toMatchObject({ type: 'DPoP' });
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('C3 nor does a bound token serve who has no key', async () => {
    const store = new MapStore();
    const bound = await client({ store, encryptionKeys: false }).clientCredentials().getToken();
    server.tokenType = 'Bearer';
    const bare = await machineClient(server, { store, encryptionKeys: false }).tokens.clientCredentials().getToken();
    expect(bare).toMatchObject({ type: 'Bearer' });
    expect(bare.value).not.toBe(bound.value);
  });

  test('a token that was found in the store is sent with a proof', async () => {
    const store = new MapStore();
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const options = { store, encryptionKeys: false as const, dpop: { privateKey } };
    const jkt = await thumbprint(client(options));
    demandsProofs(api, { keyOf: () => jkt });
    expect((await fetchOf(client(options))('/')).status).toBe(200);
    expect(server.tokenRequests).toHaveLength(1);
  });

  test.each<[string, unknown, string]>([
    ['false', false, 'must be true, or an object with a `privateKey`'],
    ['a whole pair', generateKeyPairSync('ed25519'), 'and nothing else'],
    ['a key outside of the object', generateKeyPairSync('ed25519').privateKey, 'must be true, or an object with a `privateKey`'],
    ['a public key', { privateKey: generateKeyPairSync('ed25519').publicKey }, '`dpop.privateKey`'],
    ['a text that is no key', { privateKey: 'secret text' }, '`dpop.privateKey`'],
    ['a key that signs nothing', { privateKey: generateKeyPairSync('x25519').privateKey }, '`dpop.privateKey`'],
  ])('%s is refused, and said why', (_case, dpop, text) => {
    const failure = thrownBy(() => machineClient(server, { dpop: dpop as true }));
    expect(failure).toMatchObject({ code: 'invalid_configuration' });
    expect(failure.message).toContain(text);
    expect(failure.message).not.toContain('secret text');
  });
});

describe('the proof at an API', () => {
  let jkt: string;
  let tokens: TokenManager;

  beforeEach(async () => {
    tokens = client();
    await tokens.clientCredentials().getToken();
    ({ jkt } = await proofOf(server.lastTokenRequest));
  });

  test('is made for this request: method, address without query and fragment, token', async () => {
    demandsProofs(api, { keyOf: () => jkt });
    const response = await fetchOf(tokens)('/v1/invoices?page=2#top', { method: 'POST', body: '{}', headers: { DPoP: 'one of the caller\'s' } });
    expect(response.status).toBe(200);
    const { claims } = await proofOf(api.lastRequest);
    const { value } = await tokens.clientCredentials().getToken();
    expect(claims).toMatchObject({ htm: 'POST', htu: `${api.origin}/v1/invoices`, ath: hashOf(value) });
    expect(api.lastRequest.headers.authorization).toBe(`DPoP ${value}`);
  });

  test('is signed as the authorization server takes it, where its metadata say so', async () => {
    server.metadata['dpop_signing_alg_values_supported'] = ['PS256'];
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    await fetchOf(client({ issuer: server.issuer, dpop: { privateKey } }))('/');
    expect((await proofOf(server.lastTokenRequest)).header.alg).toBe('PS256');
    expect((await proofOf(api.lastRequest)).header.alg).toBe('PS256');
  });

  test('T6 is another one at every try', async () => {
    api.answersNext({ status: 503 }, { status: 503 });
    demandsProofs(api, { keyOf: () => jkt });
    expect((await fetchOf(tokens)('/')).status).toBe(200);
    const proofs = await Promise.all(api.requests.map(async (request) => proofOf(request)));
    expect(new Set(proofs.map(({ claims }) => claims.jti)).size).toBe(3);
  });

  test('has the nonce that the API asks for, after one refusal, and from then on the newest', async () => {
    let nonce = 1;
    demandsProofs(api, { keyOf: () => jkt, nonce: () => `nonce-${nonce}` });
    const fetch = fetchOf(tokens);
    expect((await fetch('/a')).status).toBe(200);
    expect((await fetch('/b')).status).toBe(200);
    expect(api.requests.map(({ path }) => path)).toEqual(['/a', '/a', '/b']);
    nonce = 2;
    expect((await fetch('/c', { method: 'POST', body: 'again' })).status).toBe(200);
    expect(api.requests.map(({ path }) => path)).toEqual(['/a', '/a', '/b', '/c', '/c']);
    expect(api.lastRequest.body.toString()).toBe('again');
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('the answer to the repetition may have the next one', async () => {
    let nonce = 1;
    demandsProofs(api, { keyOf: () => jkt, nonce: () => `nonce-${nonce}` });
    const fetch = fetchOf(tokens);
    api.answersNext({ status: 401, headers: { 'www-authenticate': 'DPoP error="use_dpop_nonce"', 'dpop-nonce': 'nonce-0' } }, { json: {}, headers: { 'dpop-nonce': 'nonce-1' } });
    await fetch('/');
    expect((await fetch('/')).status).toBe(200);
    expect(api.requests).toHaveLength(3);
    nonce = 2;
    expect((await fetch('/')).status).toBe(200);
  });

  test('a nonce may come with any answer', async () => {
    api.answersNext({ json: {}, headers: { 'dpop-nonce': 'nonce-1' } });
    demandsProofs(api, { keyOf: () => jkt, nonce: () => 'nonce-1' });
    const fetch = fetchOf(tokens);
    await fetch('/a');
    expect((await fetch('/b')).status).toBe(200);
    expect(api.requests).toHaveLength(2);
  });

  test('each of a hundred calls that are refused for want of a nonce is sent once more', async () => {
    demandsProofs(api, { keyOf: () => jkt, nonce: () => 'nonce-1' });
    const fetch = fetchOf(tokens);
    const responses = await Promise.all(Array.from({ length: 100 }, async () => fetch('/')));
    expect(responses.filter(({ status }) => status !== 200)).toEqual([]);
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('an API that is never content gets two requests, and its 401 is handed out', async () => {
    api.answersEvery({ status: 401, headers: { 'www-authenticate': 'DPoP error="use_dpop_nonce"', 'dpop-nonce': 'again' } });
    expect((await fetchOf(tokens)('/')).status).toBe(401);
    expect(api.requests).toHaveLength(2);
    expect(server.tokenRequests).toHaveLength(1);
  });

  test.each(['use_dpop_nonce', 'invalid_dpop_proof'])('a refusal of the proof (%s) is not one of the token', async (error) => {
    api.answersEvery({ status: 401, headers: { 'www-authenticate': `DPoP error="${error}"` } });
    expect((await fetchOf(tokens)('/')).status).toBe(401);
    expect([api.requests.length, server.tokenRequests.length]).toEqual([1, 1]);
  });

  test('F8 a body that can be sent once is not sent again; the nonce is known to the next call', async () => {
    demandsProofs(api, { keyOf: () => jkt, nonce: () => 'nonce-1' });
    const fetch = fetchOf(tokens);
    const body = new ReadableStream({ start(controller) { controller.enqueue(new TextEncoder().encode('once')); controller.close(); } });
    expect((await fetch('/', { method: 'POST', body, duplex: 'half' })).status).toBe(401);
    expect((await fetch('/')).status).toBe(200);
    expect(api.requests).toHaveLength(2);
  });

  test('with `replay: false` neither', async () => {
    demandsProofs(api, { keyOf: () => jkt, nonce: () => 'nonce-1' });
    expect((await fetchOf(tokens, { replay: false })('/')).status).toBe(401);
    expect(api.requests).toHaveLength(1);
  });

  test('F5 a refused token is replaced, and the next one proven anew', async () => {
    const { value: first } = await tokens.clientCredentials().getToken();
    demandsProofs(api, { keyOf: (token) => (token === first ? undefined : jkt), nonce: () => 'nonce-1' });
    expect((await fetchOf(tokens)('/')).status).toBe(200);
    expect(server.tokenRequests).toHaveLength(2);
    const { claims } = await proofOf(api.lastRequest);
    expect(claims['ath']).not.toBe(hashOf(first));
  });

  test('F3 a redirect to an allowed origin has a proof of its own, one elsewhere has neither token nor proof', async () => {
    await using allowed = await startApi();
    await using foreign = await startApi();
    demandsProofs(allowed, { keyOf: () => jkt, nonce: () => 'nonce-of-the-other' });
    const fetch = fetchOf(tokens, { origins: [allowed.origin] });
    api.redirectTo(`${allowed.origin}/there?x=1`);
    expect((await fetch('/here')).status).toBe(200);
    expect((await proofOf(allowed.lastRequest)).claims).toMatchObject({ htu: `${allowed.origin}/there`, nonce: 'nonce-of-the-other' });
    api.redirectTo(`${foreign.origin}/elsewhere`);
    expect((await fetch('/here')).status).toBe(200);
    expect(foreign.lastRequest.headers).not.toHaveProperty('dpop');
    expect(foreign.lastRequest.headers).not.toHaveProperty('authorization');
  });

  test('nonces of one origin are not shown to another, nor those of the authorization server to an API', async () => {
    await using other = await startApi();
    server.tokenHeaders = { 'dpop-nonce': 'nonce-of-the-server' };
    const fetch = fetchOf(client(), { origins: [other.origin] });
    api.answersNext({ json: {}, headers: { 'dpop-nonce': 'nonce-of-the-api' } });
    await fetch('/');
    await fetch(`${other.origin}/`);
    expect((await proofOf(api.lastRequest)).claims).not.toHaveProperty('nonce');
    expect((await proofOf(other.lastRequest)).claims).not.toHaveProperty('nonce');
  });

  test('F4 a call with an authorization of its own has no proof', async () => {
    await fetchOf(tokens)('/', { headers: { authorization: 'Basic abc' } });
    expect(api.lastRequest.headers).not.toHaveProperty('dpop');
  });
});

describe('a real authorization server', () => {
  let provider: OidcProvider;

  beforeAll(async () => {
    provider = await startOidcProvider({
      clients: [{ client_id: 'billing', client_secret: 'an-ordinary.secret_1', dpop_bound_access_tokens: true }],
      configuration: { features: { dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 7), requireNonce: () => true } } },
    });
  });

  afterAll(async () => {
    await provider.close();
  });

  test('that demands nonces binds its tokens to the key', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const tokens = createTokenManager({ issuer: provider.issuer, clientId: 'billing', clientSecret: 'an-ordinary.secret_1', dpop: { privateKey }, allowInsecureRequests: true, retry: { minDelay: 0 } });
    const token = await tokens.clientCredentials({ scope: 'read' }).getToken();
    expect(token.type).toBe('DPoP');
    const { cnf } = decodeJwt<{ cnf: { jkt: string } }>(token.value);
    demandsProofs(api, { keyOf: () => cnf.jkt });
    expect((await fetchOf(tokens)('/')).status).toBe(200);
  });

  test('refuses a client that sends none', async () => {
    const tokens = createTokenManager({ issuer: provider.issuer, clientId: 'billing', clientSecret: 'an-ordinary.secret_1', allowInsecureRequests: true });
    expect(await failureOf(tokens.clientCredentials().getToken())).toMatchObject({ code: 'token_request_failed', status: 400 });
  });
});
