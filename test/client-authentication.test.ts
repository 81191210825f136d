import { clientSecretBasic, clientSecretPost, createTokenManager, none, type ClientAuthentication, type ClientSecretBasicOptions, type TokenManager, type TokenManagerOptions } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { ManualClock } from './support/clock.js';
import { deferred } from './support/deferred.js';
import { eventually } from './support/eventually.js';
import { failureOf, thrownBy } from './support/failure.js';
import type { ReceivedTokenRequest } from './support/token-request.js';

let server: AuthorizationServer;
let clock: ManualClock;

beforeEach(async () => {
  server = await startAuthorizationServer();
  clock = new ManualClock();
});

afterEach(async () => {
  await server.close();
});

function client(options: Partial<TokenManagerOptions>): TokenManager {
  return createTokenManager({ issuer: server.issuer, clientId: 'billing', clock, retry: { minDelay: 0 }, allowInsecureRequests: true, ...options });
}

async function tokenRequestOf(options: Partial<TokenManagerOptions>): Promise<ReceivedTokenRequest> {
  await client(options).clientCredentials().getToken();
  return server.lastTokenRequest;
}

/** How a request proves who sent it, and everything by which it does. */
function proofOf({ headers, parameters }: ReceivedTokenRequest): string[] {
  return [
    ...headers.authorization === undefined ? [] : ['Authorization'],
    ...['client_id', 'client_secret', 'client_assertion', 'client_assertion_type'].filter((name) => parameters.has(name)),
  ];
}

describe('T1 client credentials of any characters', () => {
  const characters: [text: string, encoded: string][] = [
    ['a:b+c%é', 'a%3Ab%2Bc%25%C3%A9'],
    ['two words', 'two+words'],
    [' at both ends ', '+at+both+ends+'],
    ['-_.!~*\'()', '-_.%21%7E*%27%28%29'],
    ['an-ordinary.secret_with*marks', 'an-ordinary.secret_with*marks'],
    ['Abc123', 'Abc123'],
    ['a&b=c/d?e#f', 'a%26b%3Dc%2Fd%3Fe%23f'],
    ['"quoted"\\and{more}', '%22quoted%22%5Cand%7Bmore%7D'],
    ['ключ💡', '%D0%BA%D0%BB%D1%8E%D1%87%F0%9F%92%A1'],
    ['a\tb\nc', 'a%09b%0Ac'],
    ['%41', '%2541'],
  ];

  test.each(characters)('T1 the secret %j is form-encoded inside Basic: %s', async (secret, encoded) => {
    const request = await tokenRequestOf({ clientSecret: secret });
    expect(request.basic).toEqual({ user: 'billing', password: encoded });
  });

  test.each(characters)('T1 so is the client id %j', async (clientId, encoded) => {
    const request = await tokenRequestOf({ clientId, clientAuthentication: clientSecretBasic('x') });
    expect(request.basic).toEqual({ user: encoded, password: 'x' });
  });

  test.each(characters)('T1 a server that decodes forms knows %j again, in either place', async (text) => {
    await using strict = await startAuthorizationServer({ clients: { [text]: text } });
    for (const clientAuthentication of [clientSecretBasic(text), clientSecretPost(text)]) {
      expect(await client({ issuer: strict.issuer, clientId: text, clientAuthentication }).clientCredentials().getToken()).toMatchObject({ type: 'Bearer' });
    }
  });

  test.each(characters)('T1 raw on request: %j', async (secret) => {
    const request = await tokenRequestOf({ clientAuthentication: clientSecretBasic(secret, { encoding: 'raw' }) });
    expect(request.basic).toEqual({ user: 'billing', password: secret });
  });

  test('T1 raw, an id with a colon would be read as another id', async () => {
    const failure = await failureOf(tokenRequestOf({ clientId: 'a:b', clientAuthentication: clientSecretBasic('x', { encoding: 'raw' }) }));
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: false });
    expect(failure.message).toContain('`clientId` with a colon');
    expect(server.tokenRequests).toEqual([]);
  });

  test('T1 form is the default, and can be said', async () => {
    const request = await tokenRequestOf({ clientAuthentication: clientSecretBasic('a b', { encoding: 'form' }) });
    expect(request.basic?.password).toBe('a+b');
  });
});

describe('T2 one method for each request', () => {
  test.each<[string, Partial<TokenManagerOptions>, string[]]>([
    ['a secret', { clientSecret: 's' }, ['Authorization']],
    ['clientSecretBasic', { clientAuthentication: clientSecretBasic('s') }, ['Authorization']],
    ['clientSecretPost', { clientAuthentication: clientSecretPost('s') }, ['client_id', 'client_secret']],
    ['none', { clientAuthentication: none() }, ['client_id']],
    ['no secret', {}, ['client_id']],
  ])('T2 %s', async (_case, options, expected) => {
    const request = await tokenRequestOf(options);
    expect(proofOf(request)).toEqual(expected);
    expect(request.parameters.getAll('client_id').length).toBeLessThan(2);
  });

  test.each<[string, unknown, string[]]>([
    ['says nothing', undefined, ['Authorization']],
    ['lists none', [], ['Authorization']],
    ['lists both', ['client_secret_basic', 'client_secret_post'], ['Authorization']],
    ['lists both, the other way round', ['client_secret_post', 'client_secret_basic'], ['Authorization']],
    ['lists post only', ['client_secret_post'], ['client_id', 'client_secret']],
    ['lists post among others', ['private_key_jwt', 'client_secret_post', 'none'], ['client_id', 'client_secret']],
    ['lists basic among others', ['tls_client_auth', 'client_secret_basic'], ['Authorization']],
    ['has a text where a list should be', 'client_secret_post', ['Authorization']],
  ])('T2 a secret, and the server %s', async (_case, methods, expected) => {
    server.metadata.token_endpoint_auth_methods_supported = methods as string[] | undefined;
    expect(proofOf(await tokenRequestOf({ clientSecret: 's' }))).toEqual(expected);
  });

  test('T2 the same holds for metadata that was passed', async () => {
    const metadata = { token_endpoint: server.tokenEndpoint, token_endpoint_auth_methods_supported: ['client_secret_post'] };
    await createTokenManager({ server: metadata, clientId: 'billing', clientSecret: 's', allowInsecureRequests: true }).clientCredentials().getToken();
    expect(proofOf(server.lastTokenRequest)).toEqual(['client_id', 'client_secret']);
  });

  test('T2 a server that takes no secret: said so, and nothing is sent', async () => {
    server.metadata.token_endpoint_auth_methods_supported = ['private_key_jwt', 'tls_client_auth'];
    const failure = await failureOf(tokenRequestOf({ clientSecret: 's' }));
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: false });
    expect(failure.message).toContain('`clientSecret`');
    expect(failure.message).toContain('private_key_jwt, tls_client_auth');
    expect(failure.message).toContain('`clientAuthentication`');
    expect(server.tokenRequests).toEqual([]);
  });

  test('T2 a method that was named is used, whatever the server lists', async () => {
    server.metadata.token_endpoint_auth_methods_supported = ['client_secret_basic'];
    expect(proofOf(await tokenRequestOf({ clientAuthentication: clientSecretPost('s') }))).toEqual(['client_id', 'client_secret']);
    server.metadata.token_endpoint_auth_methods_supported = ['private_key_jwt'];
    expect(proofOf(await tokenRequestOf({ clientAuthentication: clientSecretBasic('s') }))).toEqual(['Authorization']);
  });

  test.each<[string, Partial<TokenManagerOptions>, RegExp]>([
    ['Basic', { clientSecret: 's3cret-value' }, /clientSecretPost\(secret\)/],
    ['post', { clientAuthentication: clientSecretPost('s3cret-value') }, /invalid_client\)$/],
  ])('T2 no probing: %s refused is one request, and the error helps', async (_case, options, message) => {
    server.answersEvery({ status: 401, json: { error: 'invalid_client' }, headers: { 'www-authenticate': 'Basic' } });
    const failure = await failureOf(client(options).clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'token_request_failed', error: 'invalid_client', status: 401, retryable: false });
    expect(failure.message).toMatch(message);
    expect(server.tokenRequests).toHaveLength(1);
  });
});

describe('T6 a fresh authentication at every attempt', () => {
  test('T6 each retry proves anew', async () => {
    let attempt = 0;
    const authenticate = vi.fn<ClientAuthentication['authenticate']>(async ({ parameters }) => {
      parameters.set('client_assertion', `assertion-${(attempt += 1)}`);
      return Promise.resolve({ secrets: [] });
    });
    server.answersNext({ status: 503 }, { status: 503 });
    await client({ clientAuthentication: { method: 'private_key_jwt', authenticate } }).clientCredentials().getToken();
    expect(server.tokenRequests.map(({ parameters }) => parameters.getAll('client_assertion'))).toEqual([['assertion-1'], ['assertion-2'], ['assertion-3']]);
  });
});

describe('a secret that is a function', () => {
  const refused = { status: 401, json: { error: 'invalid_client' } };
  const sent = (): (string | undefined)[] => server.tokenRequests.map(({ basic }) => basic?.password);

  test.each<[string, (give: () => string) => () => string | Promise<string>]>([
    ['at once', (give) => give],
    ['later', (give) => async () => Promise.resolve(give())],
  ])('is asked on first use and not again, answering %s', async (_case, shape) => {
    const secret = vi.fn(() => 'first');
    const tokens = client({ clientSecret: shape(secret) });
    tokens.clientCredentials();
    expect(secret).not.toHaveBeenCalled();
    await tokens.clientCredentials({ scope: 'a' }).getToken();
    await tokens.clientCredentials({ scope: 'b' }).getToken();
    expect(secret).toHaveBeenCalledTimes(1);
    expect(secret).toHaveBeenCalledWith();
    expect(sent()).toEqual(['first', 'first']);
  });

  test.each<[string, (secret: () => string) => ClientAuthentication, (request: ReceivedTokenRequest) => unknown]>([
    ['clientSecretBasic', (secret) => clientSecretBasic(secret), ({ basic }) => basic?.password],
    ['clientSecretPost', (secret) => clientSecretPost(secret), ({ parameters }) => parameters.get('client_secret')],
  ])('is asked again after invalid_client, and the new secret is sent: %s', async (_case, authentication, read) => {
    const secret = vi.fn<() => string>().mockReturnValueOnce('old').mockReturnValueOnce('new');
    const tokens = client({ clientAuthentication: authentication(secret) });
    server.answersNext(refused);
    expect(await tokens.clientCredentials().getToken()).toMatchObject({ value: 'at-1' });
    await tokens.clientCredentials({ scope: 'other' }).getToken();
    expect(server.tokenRequests.map(read)).toEqual(['old', 'new', 'new']);
    expect(secret).toHaveBeenCalledTimes(2);
  });

  test('is asked once more only: a new secret that is refused too is the end', async () => {
    let generation = 0;
    const secret = vi.fn(() => `secret-${(generation += 1)}`);
    server.answersEvery(refused);
    expect(await failureOf(client({ clientSecret: secret }).clientCredentials().getToken())).toMatchObject({ error: 'invalid_client' });
    expect(secret).toHaveBeenCalledTimes(2);
    expect(sent()).toEqual(['secret-1', 'secret-2']);
  });

  test('that gives the refused secret again costs no second request', async () => {
    const secret = vi.fn(() => 'same');
    server.answersEvery(refused);
    expect(await failureOf(client({ clientSecret: secret }).clientCredentials().getToken())).toMatchObject({ error: 'invalid_client' });
    expect(secret).toHaveBeenCalledTimes(2);
    expect(sent()).toEqual(['same']);
  });

  test('is not asked again after any other refusal', async () => {
    const secret = vi.fn(() => 's');
    server.rejectsNextWith('invalid_scope');
    await failureOf(client({ clientSecret: secret }).clientCredentials().getToken());
    expect(secret).toHaveBeenCalledTimes(1);
  });

  test('is asked once by concurrent callers, and once after concurrent refusals', async () => {
    const answers = [deferred<string>(), deferred<string>()];
    const secret = vi.fn(async () => answers[secret.mock.calls.length - 1]?.promise ?? Promise.resolve('one too many'));
    const tokens = client({ clientSecret: secret });
    const scopes = ['a', 'b', 'c', 'd'];
    const hold = server.openidConfiguration.hold();
    const asked = scopes.map(async (scope) => tokens.clientCredentials({ scope }).getToken());
    hold.release();
    await eventually(() => secret.mock.calls.length === 1);
    server.answersNext(...scopes.map(() => refused));
    answers[0]?.resolve('old');
    await eventually(() => secret.mock.calls.length === 2);
    await eventually(() => server.tokenRequests.length === 4);
    answers[1]?.resolve('new');
    await Promise.all(asked);
    expect(secret).toHaveBeenCalledTimes(2);
    expect(sent()).toEqual(['old', 'old', 'old', 'old', 'new', 'new', 'new', 'new']);
  });

  test('a late refusal of the old secret finds the new one, without asking', async () => {
    const secret = vi.fn<() => string>().mockReturnValueOnce('old').mockReturnValueOnce('new');
    const tokens = client({ clientSecret: secret });
    const late = server.hold();
    const second = tokens.clientCredentials({ scope: 'b' }).getToken();
    await late.arrived;
    server.answersNext(refused);
    await tokens.clientCredentials({ scope: 'a' }).getToken();
    late.release(refused);
    await second;
    expect(secret).toHaveBeenCalledTimes(2);
    expect(sent()).toEqual(['old', 'old', 'new', 'new']);
  });

  class VaultSealed extends Error {}

  test.each<[string, () => never | Promise<never>]>([
    ['throws', () => { throw new VaultSealed('sealed with s3cr3t'); }],
    ['rejects', async () => Promise.reject(new VaultSealed('sealed with s3cr3t'))],
  ])('that %s: invalid_configuration, retryable, with the class and nothing else', async (_case, secret) => {
    const failure = await failureOf(client({ clientSecret: secret }).clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: true });
    expect(failure.message).toContain('VaultSealed');
    expect(failure.message).not.toContain('sealed with');
    expect(failure.cause).toBeUndefined();
    expect(server.tokenRequests).toEqual([]);
  });

  test('that throws is asked by the next caller again, once the pause is over', async () => {
    const secret = vi.fn<() => string>().mockImplementationOnce(() => { throw new Error('not yet'); }).mockReturnValue('there');
    const source = client({ clientSecret: secret }).clientCredentials();
    await failureOf(source.getToken());
    expect(secret).toHaveBeenCalledTimes(1);
    clock.advance(1_000);
    expect(await source.getToken()).toMatchObject({ value: 'at-1' });
    expect(sent()).toEqual(['there']);
  });

  test('that throws when it is asked again: the failure says so', async () => {
    const secret = vi.fn<() => string>().mockReturnValueOnce('old').mockImplementationOnce(() => { throw new VaultSealed(); });
    server.answersNext(refused);
    const failure = await failureOf(client({ clientSecret: secret }).clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: true });
    expect(failure.message).toContain('VaultSealed');
    expect(sent()).toEqual(['old']);
  });

  test.each<[unknown, string]>([
    ['', 'an empty one'],
    [undefined, 'undefined'],
    [42, 'number'],
    [Buffer.from('secret'), 'object'],
    [['s'], 'object'],
    [true, 'boolean'],
  ])('that returns junk (%j): invalid_configuration that says what came', async (value, received) => {
    const failure = await failureOf(client({ clientSecret: () => value as string }).clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: true });
    expect(failure.message).toContain('must return a non-empty string');
    expect(failure.message).toContain(received);
    expect(server.tokenRequests).toEqual([]);
  });

  test('that hangs costs one timeout, and the next caller asks anew', async () => {
    const secret = vi.fn<() => Promise<string>>().mockReturnValueOnce(new Promise(() => undefined)).mockResolvedValue('late');
    const source = client({ clientSecret: secret, timeout: 60 }).clientCredentials();
    expect(await failureOf(source.getToken())).toMatchObject({ code: 'timeout', retryable: true });
    expect(server.tokenRequests).toEqual([]);
    clock.advance(1_000);
    expect(await source.getToken()).toMatchObject({ value: 'at-1' });
    expect(sent()).toEqual(['late']);
  });

  test('an answer that comes after its caller gave up does not replace a newer one', async () => {
    const slow = deferred<string>();
    const secret = vi.fn<() => Promise<string>>().mockReturnValueOnce(slow.promise).mockResolvedValueOnce('newer');
    const tokens = client({ clientSecret: secret, timeout: 60 });
    await failureOf(tokens.clientCredentials().getToken());
    clock.advance(1_000);
    await tokens.clientCredentials().getToken();
    slow.resolve('older');
    await slow.promise;
    await tokens.clientCredentials({ scope: 'next' }).getToken();
    expect(sent()).toEqual(['newer', 'newer']);
  });
});

describe('what can be seen to be wrong is refused when it is made', () => {
  test.each<[string, () => unknown, RegExp]>([
    ['clientSecretBasic without a secret', () => clientSecretBasic(undefined as unknown as string), /clientSecretBasic.*; received nothing$/],
    ['clientSecretBasic of an empty string', () => clientSecretBasic(''), /clientSecretBasic.*empty string/],
    ['clientSecretPost of a number', () => clientSecretPost(5 as unknown as string), /clientSecretPost.*a number/],
    ['an unknown encoding', () => clientSecretBasic('s', { encoding: 'percent' } as unknown as ClientSecretBasicOptions), /clientSecretBasic: `encoding` must be 'form' or 'raw'; received "percent"/],
    ['an unknown option', () => clientSecretBasic('s', { encodings: 'raw' } as unknown as ClientSecretBasicOptions), /unknown option `encodings`.*`encoding`/],
  ])('%s', (_case, make, message) => {
    const failure = thrownBy(make);
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: false });
    expect(failure.message).toMatch(message);
  });

  test.each([
    [clientSecretBasic('s'), 'client_secret_basic'],
    [clientSecretPost('s'), 'client_secret_post'],
    [none(), 'none'],
  ])('a method is frozen, and has its registered name: %#', (authentication, method) => {
    expect(authentication.method).toBe(method);
    expect(Object.isFrozen(authentication)).toBe(true);
  });
});
