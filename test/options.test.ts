import { clientSecretBasic, createFetch, createTokenManager, none, type FetchOptions, type TokenManagerOptions, type TokenRequest, type TokenSource } from 'grantkeeper';
import { describe, expect, test, vi } from 'vitest';
import { thrownBy } from './support/failure.js';

const CANARY = 'canary-1f7Qz0x';
const KEY_IN_HEX = '0f'.repeat(32);
const KEY_IN_BASE64URL = Buffer.alloc(32, 0xfb).toString('base64url');

const store = { get: async () => Promise.resolve(), set: async () => Promise.resolve(), delete: async () => Promise.resolve() };
const dispatcher = { dispatch: () => true } as unknown as NonNullable<TokenManagerOptions['dispatcher']>;

function managerWith(options: Record<string, unknown>): unknown {
  return createTokenManager({ issuer: 'https://login.example.com', clientId: 'billing', ...options });
}

const source: TokenSource = { getToken: async () => Promise.reject(new Error('no token is asked for')) };

function fetchWith(options: Record<string, unknown>): unknown {
  return createFetch(source, { baseUrl: 'https://api.example.com', ...options });
}

/** The option, a value that it can't have, the rule, and what the message says was received. */
type Refusal = [option: string, value: unknown, rule: string, received: string];

function refuses(where: string, make: (options: Record<string, unknown>) => unknown): (...refusal: Refusal) => void {
  return (option, value, rule, received) => {
    const failure = thrownBy(() => make({ [option]: value }));
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: false });
    expect(failure.message).toContain(where);
    expect(failure.message).toContain(`\`${option}\``);
    expect(failure.message).toContain(rule);
    expect(failure.message).toContain(`received ${received}`);
  };
}

describe('createTokenManager: bad input is refused at once, naming the option, the rule and what was received', () => {
  test.each<Refusal>([
    ['issuer', '', 'an absolute URL such as "https://login.example.com"', '""'],
    ['issuer', 'login.example.com', 'an absolute URL such as "https://login.example.com"', '"login.example.com"'],
    ['issuer', 7, 'an absolute URL such as "https://login.example.com"', '7'],
    ['issuer', null, 'an absolute URL such as "https://login.example.com"', 'null'],
    ['issuer', ['https://login.example.com'], 'an absolute URL such as "https://login.example.com"', 'a list of 1'],
    ['issuer', 'http://login.example.com', 'https', '"http://login.example.com"'],
    ['issuer', new URL('http://login.example.com'), 'https', '"http://login.example.com"'],
    ['issuer', 'http://127.0.0.1:8080', 'https', '"http://127.0.0.1:8080"'],
    ['issuer', 'localhost:8080', 'https', '"localhost:8080"'],
    ['issuer', 'ftp://login.example.com', 'https', '"ftp://login.example.com"'],
    ['issuer', 'https://login.example.com/?a=b', 'no query', '"https://login.example.com/?a=b"'],
    ['issuer', 'https://login.example.com/#a', 'no fragment', '"https://login.example.com/#a"'],
    ['clientId', '', 'a non-empty string', '""'],
    ['clientId', 7, 'a non-empty string', '7'],
    ['clientId', null, 'a non-empty string', 'null'],
    ['clientSecret', '', 'a non-empty string, or a function', 'an empty string'],
    ['clientSecret', 7, 'a non-empty string, or a function', 'a number'],
    ['clientSecret', null, 'a non-empty string, or a function', 'null'],
    ['clientSecret', { value: 's' }, 'a non-empty string, or a function', 'an object with value'],
    ['clientSecret', Promise.resolve('s'), 'a non-empty string, or a function', 'an object'],
    ['clientAuthentication', 'client_secret_post', 'clientSecretBasic()', 'a string of 18 characters'],
    ['clientAuthentication', clientSecretBasic, 'clientSecretBasic()', 'a function'],
    ['clientAuthentication', {}, 'clientSecretBasic()', 'an object with no members'],
    ['store', 'redis://localhost', 'get(), set(), delete()', '"redis://localhost"'],
    ['store', { get: store.get, set: store.set }, 'get(), set(), delete()', 'an object with get, set'],
    ['encryptionKeys', KEY_IN_HEX, 'a list of keys of 32 bytes each', 'a string of 64 characters'],
    ['encryptionKeys', [], 'a list of keys of 32 bytes each', 'a list of 0'],
    ['encryptionKeys', [KEY_IN_HEX, 'short'], '32 bytes each, in base64url or hex', 'a list of 2'],
    ['encryptionKeys', true, 'or false', 'a boolean'],
    ['maxEntries', 0, 'a whole number above 0', '0'],
    ['maxEntries', 1.5, 'a whole number above 0', '1.5'],
    ['maxEntries', '10', 'a whole number above 0', '"10"'],
    ['maxEntries', Number.POSITIVE_INFINITY, 'a whole number', 'Infinity'],
    ['expirySkew', -1, 'milliseconds, 0 or more', '-1'],
    ['expirySkew', Number.NaN, 'milliseconds, 0 or more', 'NaN'],
    ['refreshAhead', '5m', 'milliseconds, 0 or more', '"5m"'],
    ['refreshAhead', Number.POSITIVE_INFINITY, 'milliseconds, 0 or more', 'Infinity'],
    ['assumedLifetime', 0, 'milliseconds above 0', '0'],
    ['timeout', 0, 'milliseconds above 0', '0'],
    ['timeout', -5, 'milliseconds above 0', '-5'],
    ['timeout', '10s', 'milliseconds above 0', '"10s"'],
    ['timeout', Number.NaN, 'milliseconds above 0', 'NaN'],
    ['timeout', false, 'milliseconds above 0', 'false'],
    ['retry', null, 'an object', 'null'],
    ['retry', 3, 'an object', '3'],
    ['retry', false, 'an object', 'false'],
    ['dispatcher', {}, 'dispatch()', 'an object with no members'],
    ['dispatcher', 'http://proxy.example', 'dispatch()', '"http://proxy.example"'],
    ['clock', Date, 'now(), monotonic()', 'a function'],
    ['clock', { now: () => 0 }, 'now(), monotonic()', 'an object with now'],
    ['allowInsecureRequests', 'true', 'true or false', '"true"'],
    ['allowInsecureRequests', 1, 'true or false', '1'],
  ])('`%s`: %j', refuses('createTokenManager', managerWith));

  test.each<Refusal>([
    ['limit', -1, 'a whole number, 0 or more', '-1'],
    ['limit', 1.5, 'a whole number, 0 or more', '1.5'],
    ['limit', Number.POSITIVE_INFINITY, 'a whole number, 0 or more', 'Infinity'],
    ['minDelay', -1, 'milliseconds, 0 or more', '-1'],
    ['maxDelay', '5s', 'milliseconds, 0 or more', '"5s"'],
    ['maxRetryAfter', Number.NaN, 'milliseconds, 0 or more', 'NaN'],
  ])('`retry.%s`: %j', refuses('createTokenManager: retry', (retry) => managerWith({ retry })));

  test.each<[unknown, string]>([
    [{}, '`server.token_endpoint` must be a URL; received nothing'],
    [{ token_endpoint: '/token' }, '`server.token_endpoint` must be a URL; received "/token"'],
    [{ token_endpoint: 7 }, '`server.token_endpoint` must be a URL; received 7'],
    [{ token_endpoint: 'http://login.example.com/token' }, '`server.token_endpoint` must be https; received "http://login.example.com"'],
    [{ token_endpoint: 'https://login.example.com/token', issuer: 7 }, '`server.issuer` must be a string; received 7'],
    [{ token_endpoint: 'https://login.example.com/token', issuer: '' }, '`server.issuer`'],
    ['https://login.example.com', '`server` must be an object'],
    [[], '`server` must be an object'],
    [null, '`server` must be an object'],
  ])('`server`: %j', (server, message) => {
    const failure = thrownBy(() => createTokenManager({ server, clientId: 'billing' } as TokenManagerOptions));
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: false });
    expect(failure.message).toContain(message);
  });

  test.each<[string, unknown, string]>([
    ['nothing', undefined, 'must be an object; received nothing'],
    ['null', null, 'must be an object; received null'],
    ['a list', [], 'must be an object; received a list of 0'],
    ['a number', 7, 'must be an object; received a number'],
    ['no client id', { issuer: 'https://login.example.com' }, '`clientId` is required'],
    ['no authority', { clientId: 'billing' }, 'one of `issuer` and `server` is required'],
    ['two authorities', { clientId: 'billing', issuer: 'https://login.example.com', server: { token_endpoint: 'https://login.example.com/token' } }, 'pass `issuer` or `server`, not both'],
    ['two ways to authenticate', { clientId: 'billing', issuer: 'https://login.example.com', clientSecret: CANARY, clientAuthentication: none() }, 'pass `clientSecret` or `clientAuthentication`, not both'],
    ['a store without keys', { clientId: 'billing', issuer: 'https://login.example.com', store }, '`encryptionKeys` is required with a `store`'],
  ])('%s', (_case, options, message) => {
    const failure = thrownBy(() => createTokenManager(options as TokenManagerOptions));
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: false });
    expect(failure.message).toContain('createTokenManager');
    expect(failure.message).toContain(message);
    expect(failure.message).not.toContain(CANARY);
  });

  test('a store without keys: the error says how to make one, and that works', () => {
    const { message } = thrownBy(() => managerWith({ store }));
    const expression = /node -p "(.+)"`/.exec(message)?.[1];
    expect(expression).toBe("crypto.randomBytes(32).toString('base64url')");
    expect(() => managerWith({ store, encryptionKeys: [KEY_IN_BASE64URL] })).not.toThrow();
  });

  test('more entries than memory can hold are refused like any other bad input', () => {
    const failure = thrownBy(() => managerWith({ maxEntries: Number.MAX_SAFE_INTEGER }));
    expect(failure).toMatchObject({ code: 'invalid_configuration' });
    expect(failure.message).toContain('`maxEntries`');
  });

  test('options that are inherited are checked as well', () => {
    const inherited: unknown = Object.create({ issuer: 'https://login.example.com', clientId: 'billing', timeout: -1 });
    const failure = thrownBy(() => createTokenManager(inherited as TokenManagerOptions));
    expect(failure.message).toContain('`timeout`');
  });

  test.each([
    'http://127.0.0.1.example.com', 'http://localhost.example.com', 'http://0.0.0.0', 'http://[::2]', 'http://10.0.0.1', 'http://login.example.com', 'ftp://127.0.0.1', 'ws://localhost',
  ])('allowInsecureRequests does not allow %s', (issuer) => {
    expect(thrownBy(() => managerWith({ issuer, allowInsecureRequests: true })).message).toContain('`issuer` must be https');
  });

  test.each(['http://127.0.0.1', 'http://127.8.9.10:3000', 'http://[::1]:3000', 'http://localhost', 'http://LOCALHOST:3000/tenant', 'https://login.example.com'])('allowInsecureRequests allows %s', (issuer) => {
    expect(() => managerWith({ issuer, allowInsecureRequests: true })).not.toThrow();
  });

  test.each<[string, unknown]>([
    ['issuer', new URL('https://login.example.com/tenant/')],
    ['clientSecret', () => 's'],
    ['clientSecret', async () => Promise.resolve('s')],
    ['clientAuthentication', none()],
    ['encryptionKeys', [KEY_IN_HEX, KEY_IN_BASE64URL, `${KEY_IN_BASE64URL}=`]],
    ['encryptionKeys', false],
    ['expirySkew', 0],
    ['refreshAhead', 0],
    ['timeout', 0.5],
    ['timeout', 2 ** 40],
    ['retry', {}],
    ['retry', { limit: 0, minDelay: 0, maxDelay: 0, maxRetryAfter: 0 }],
    ['dispatcher', dispatcher],
    ['clock', { now: () => 0, monotonic: () => 0 }],
    ['maxEntries', 1],
  ])('`%s` may be %j', (option, value) => {
    expect(() => managerWith({ [option]: value })).not.toThrow();
  });

  test('an option that is undefined counts as absent', () => {
    const absent = Object.fromEntries(['server', 'clientSecret', 'clientAuthentication', 'store', 'encryptionKeys', 'maxEntries', 'expirySkew', 'refreshAhead', 'assumedLifetime', 'timeout', 'retry', 'dispatcher', 'clock', 'allowInsecureRequests'].map((name) => [name, undefined]));
    expect(() => managerWith(absent)).not.toThrow();
    expect(() => managerWith({ retry: { limit: undefined, minDelay: undefined } })).not.toThrow();
  });

  test('the caller\'s options may be frozen, and stay as they are', () => {
    const options = Object.freeze({ issuer: 'https://login.example.com', clientId: 'billing', retry: Object.freeze({ limit: 1 }), encryptionKeys: Object.freeze([KEY_IN_HEX]) as string[] });
    const before = structuredClone(options);
    createTokenManager(options).clientCredentials(Object.freeze({ scope: Object.freeze(['b', 'a']) as string[] }));
    expect(options).toEqual(before);
  });

  test('nothing is sent, and no secret function is asked', () => {
    const secret = vi.fn(() => 's');
    const send = vi.spyOn(globalThis, 'fetch');
    managerWith({ clientSecret: secret });
    expect(secret).not.toHaveBeenCalled();
    expect(send).not.toHaveBeenCalled();
    send.mockRestore();
  });
});

describe('createFetch: bad input is refused at once, naming the option, the rule and what was received', () => {
  test.each<Refusal>([
    ['baseUrl', '/v1', 'an absolute URL', '"/v1"'],
    ['baseUrl', '', 'an absolute URL', '""'],
    ['baseUrl', 7, 'an absolute URL', '7'],
    ['baseUrl', 'http://api.example.com', 'https', '"http://api.example.com"'],
    ['baseUrl', 'api.example.com:443', 'https', '"api.example.com:443"'],
    ['origins', 'https://api.example.com', 'a list of non-empty strings', '"https://api.example.com"'],
    ['origins', [7], 'a list of non-empty strings', 'a list of 1'],
    ['origins', ['https://api.example.com/v1'], 'without a path', '"https://api.example.com/v1"'],
    ['origins', ['*'], 'without a path', '"*"'],
    ['origins', ['api.example.com'], 'without a path', '"api.example.com"'],
    ['origins', ['https://*.example.com/?x'], 'without a path', '"https://*.example.com/?x"'],
    ['origins', ['http://api.example.com'], 'https', '"http://api.example.com"'],
    ['replay', 'no', 'true or false', '"no"'],
    ['rejectedStatus', 401, 'a list of HTTP statuses from 400 to 599', '401'],
    ['rejectedStatus', [200], 'a list of HTTP statuses from 400 to 599', 'a list of 1'],
    ['rejectedStatus', ['401'], 'a list of HTTP statuses from 400 to 599', 'a list of 1'],
    ['retry', true, 'an object, or false', 'true'],
    ['retry', null, 'an object, or false', 'null'],
    ['tokenHeader', '', 'the name of a header', '""'],
    ['tokenHeader', 'x token', 'the name of a header', '"x token"'],
    ['tokenScheme', 'Bearer ', 'one word, such as Bearer', '"Bearer "'],
    ['secretHeaders', 'x-api-key', 'a list of header names', '"x-api-key"'],
    ['secretHeaders', ['x api key'], 'a list of header names', 'a list of 1'],
    ['timeout', 0, 'milliseconds above 0', '0'],
    ['timeout', '1s', 'milliseconds above 0', '"1s"'],
    ['allowInsecureRequests', null, 'true or false', 'null'],
    ['dispatcher', {}, 'dispatch()', 'an object with no members'],
    ['fetch', 'fetch', 'a function', '"fetch"'],
    ['fetch', null, 'a function', 'null'],
  ])('`%s`: %j', refuses('createFetch', fetchWith));

  test.each<Refusal>([
    ['limit', -1, 'a whole number, 0 or more', '-1'],
    ['minDelay', '1', 'milliseconds, 0 or more', '"1"'],
    ['maxDelay', Number.NaN, 'milliseconds, 0 or more', 'NaN'],
    ['maxRetryAfter', -1, 'milliseconds, 0 or more', '-1'],
    ['methods', 'POST', 'a list of non-empty strings', '"POST"'],
    ['methods', [''], 'a list of non-empty strings', 'a list of 1'],
  ])('`retry.%s`: %j', refuses('createFetch: retry', (retry) => fetchWith({ retry })));

  test.each<[string, unknown, string]>([
    ['nothing', undefined, 'must be an object; received nothing'],
    ['null', null, 'must be an object; received null'],
    ['a text', 'https://api.example.com', 'must be an object; received a string of 23 characters'],
    ['no origin', {}, 'one of `baseUrl` and `origins` is required'],
    ['no origin in the list', { origins: [] }, 'one of `baseUrl` and `origins` is required'],
  ])('%s', (_case, options, message) => {
    const failure = thrownBy(() => createFetch(source, options as FetchOptions));
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: false });
    expect(failure.message).toContain(message);
  });

  test.each<[string, unknown, string]>([
    ['nothing', undefined, 'nothing'],
    ['null', null, 'null'],
    ['a token manager', createTokenManager({ issuer: 'https://login.example.com', clientId: 'billing' }), 'an object with clientCredentials'],
    ['a promise', Promise.resolve(source), 'an object with no members'],
  ])('a source that is %s', (_case, notASource, received) => {
    const failure = thrownBy(() => createFetch(notASource as TokenSource, { baseUrl: 'https://api.example.com' }));
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: false });
    expect(failure.message).toContain('getToken()');
    expect(failure.message).toContain(`received ${received}`);
  });

  test('an option that is undefined counts as absent', () => {
    const absent = Object.fromEntries(['origins', 'replay', 'rejectedStatus', 'retry', 'tokenHeader', 'tokenScheme', 'secretHeaders', 'timeout', 'allowInsecureRequests', 'dispatcher', 'fetch'].map((name) => [name, undefined]));
    expect(() => fetchWith(absent)).not.toThrow();
  });
});

describe('unknown options are refused by name, with the nearest known one', () => {
  test.each([
    ['client_id', 'clientId'],
    ['clientID', 'clientId'],
    ['client_secret', 'clientSecret'],
    ['clientSecert', 'clientSecret'],
    ['clientAuth', 'clientAuthentication'],
    ['issuers', 'issuer'],
    ['encryptionKey', 'encryptionKeys'],
    ['timeOut', 'timeout'],
    ['allowInsecure', 'allowInsecureRequests'],
    ['skew', 'expirySkew'],
    ['retries', 'retry'],
    ['toString', 'store'],
    ['constructor', 'issuer'],
  ])('createTokenManager: `%s` (`%s`)', (name, nearest) => {
    const failure = thrownBy(() => managerWith({ [name]: CANARY }));
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: false });
    expect(failure.message).toContain(`createTokenManager: unknown option \`${name}\``);
    expect(failure.message).toMatch(new RegExp(`\\b${nearest}\\b`));
    expect(failure.message).not.toContain(CANARY);
  });

  test.each([
    ['baseURL', 'baseUrl'],
    ['base_url', 'baseUrl'],
    ['origin', 'origins'],
    ['retries', 'retry'],
    ['timeoutMs', 'timeout'],
    ['secretHeader', 'secretHeaders'],
    ['header', 'tokenHeader'],
  ])('createFetch: `%s` (`%s`)', (name, nearest) => {
    const failure = thrownBy(() => fetchWith({ [name]: CANARY }));
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: false });
    expect(failure.message).toContain(`createFetch: unknown option \`${name}\``);
    expect(failure.message).toMatch(new RegExp(`\\b${nearest}\\b`));
    expect(failure.message).not.toContain(CANARY);
  });

  test('a misspelling is asked about, not answered with a list', () => {
    expect(thrownBy(() => managerWith({ clientSecert: 's' })).message).toBe('createTokenManager: unknown option `clientSecert`; did you mean `clientSecret`?');
    expect(thrownBy(() => managerWith({ retry: { limits: 1 } })).message).toBe('createTokenManager: retry: unknown option `limits`; did you mean `limit`?');
    expect(thrownBy(() => fetchWith({ retry: { method: ['POST'] } })).message).toBe('createFetch: retry: unknown option `method`; did you mean `methods`?');
  });

  test('an unknown option is refused though it is undefined', () => {
    expect(thrownBy(() => managerWith({ clientSecert: undefined })).message).toContain('`clientSecert`');
  });

  test('an own `__proto__` is an unknown option like any other', () => {
    const options = JSON.parse('{"issuer":"https://login.example.com","clientId":"billing","__proto__":{"timeout":1}}') as TokenManagerOptions;
    expect(thrownBy(() => createTokenManager(options)).message).toContain('unknown option `__proto__`');
  });
});

describe('clientCredentials', () => {
  const request = (value: unknown): (() => unknown) => () => createTokenManager({ issuer: 'https://login.example.com', clientId: 'billing' }).clientCredentials(value as TokenRequest);

  test.each<[unknown, string]>([
    [null, 'must be an object; received null'],
    ['invoices:read', 'must be an object; received "invoices:read"'],
    [{ scope: 7 }, '`scope` must be a string or a list of non-empty strings; received 7'],
    [{ scope: ['a', ''] }, '`scope` must be a string or a list of non-empty strings; received a list of 2'],
    [{ scopes: 'a' }, 'unknown option `scopes`; did you mean `scope`?'],
    [{ resource: [''] }, '`resource` must be a string or a list of non-empty strings; received a list of 1'],
    [{ audience: '' }, '`audience` must be a non-empty string; received ""'],
    [{ audience: ['a', 'b'] }, '`audience` must be a non-empty string; received a list of 2'],
    [{ parameters: 'a=b' }, '`parameters` must be an object whose values are strings; received a string of 3 characters'],
    [{ parameters: { a: 1 } }, '`parameters` must be an object whose values are strings'],
    [{ parameters: new URLSearchParams('a=b') }, '`parameters` must be an object whose values are strings'],
    [{ parameters: new Map([['a', 'b']]) }, '`parameters` must be an object whose values are strings'],
  ])('%j is refused at once', (value, message) => {
    const failure = thrownBy(request(value));
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: false });
    expect(failure.message).toContain('clientCredentials');
    expect(failure.message).toContain(message);
  });

  test.each([
    ['scope', '`scope`'],
    ['resource', '`resource`'],
    ['audience', '`audience`'],
    ['client_id', '`clientId`'],
    ['client_secret', '`clientSecret`'],
    ['grant_type', 'the library sends it'],
    ['client_assertion', 'the library sends it'],
    ['client_assertion_type', 'the library sends it'],
    ['code', 'the library sends it'],
    ['code_verifier', 'the library sends it'],
    ['redirect_uri', 'the library sends it'],
    ['refresh_token', 'the library sends it'],
  ])('the parameter `%s` is reserved (%s)', (name, instead) => {
    const failure = thrownBy(request({ parameters: { [name]: CANARY } }));
    expect(failure).toMatchObject({ code: 'invalid_configuration' });
    expect(failure.message).toContain(`\`parameters.${name}\` is reserved`);
    expect(failure.message).toContain(instead);
    expect(failure.message).not.toContain(CANARY);
  });

  test('names of Object.prototype are parameters like any other', () => {
    expect(request({ parameters: { constructor: 'x', toString: 'y' } })).not.toThrow();
  });
});

describe('a secret in the wrong place is not repeated', () => {
  test.each<[string, Record<string, unknown>]>([
    ['in a list', { clientSecret: [CANARY] }],
    ['in an object', { clientSecret: { secret: CANARY } }],
    ['as the method', { clientAuthentication: CANARY }],
    ['as an encryption key', { encryptionKeys: [CANARY] }],
    ['as encryption keys', { encryptionKeys: CANARY }],
    ['in the URL of a store', { store: `redis://user:${CANARY}@localhost` }],
    ['in the URL of a proxy', { dispatcher: `http://user:${CANARY}@proxy.example` }],
    ['in the issuer', { issuer: `https://user:${CANARY}@login.example.com` }],
    ['in an issuer on http', { issuer: `http://user:${CANARY}@login.example.com` }],
    ['in a proxy without a scheme', { dispatcher: `user:${CANARY}@proxy.example:8080` }],
    ['with a method', { clientSecret: CANARY, clientAuthentication: none() }],
  ])('%s', (_case, options) => {
    const failure = thrownBy(() => managerWith(options));
    expect(failure).toMatchObject({ code: 'invalid_configuration' });
    expect(failure.message).not.toContain(CANARY);
  });

  test.each<[string, Record<string, unknown>]>([
    ['in the base URL', { baseUrl: `https://user:${CANARY}@api.example.com` }],
    ['in an origin', { origins: [`https://user:${CANARY}@api.example.com`] }],
  ])('createFetch: %s', (_case, options) => {
    expect(thrownBy(() => fetchWith(options)).message).not.toContain(CANARY);
  });
});
