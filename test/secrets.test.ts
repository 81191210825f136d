import { setImmediate as nextTurn } from 'node:timers/promises';
import { clientSecretBasic, clientSecretPost, createFetch, createTokenManager, OAuthError, type ClientAuthentication, type KeyvLike, type TokenEvents, type TokenManager, type TokenManagerOptions } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { hang, redirectTo, reset, type Reply } from './support/answers.js';
import { startApi } from './support/api-server.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { everySpelling, textsOf } from './support/canary.js';
import { runProgram } from './support/child-process.js';
import { ManualClock } from './support/clock.js';
import { eventually } from './support/eventually.js';
import type { ReceivedTokenRequest } from './support/token-request.js';

const HOUR = 3_600_000;

/** Each begins with letters and digits, which no text encoding changes: they give away the ones that were not thought of. */
const canary = {
  clientSecret: `cl1entSecretCanary+w/x=&<"é ü">'\\%`,
  accessToken: 'acc3ssTokenCanary-_.~+/==',
  refreshToken: 'r3freshTokenCanary+/é',
  idToken: 'eyJ1dTokenCanary.eyJzdWIi.c2lnbmF0dXJl',
  encryptionKey: `k3yCanary${'A'.repeat(33)}E`,
  parameter: 'p4rameterCanary+/é',
};

const needles = Object.values(canary).flatMap((secret) => {
  const alphanumeric = /^\w+/.exec(secret)?.[0] ?? secret;
  const header = Buffer.from(`billing:${new URLSearchParams({ '': secret }).toString().slice(1)}`).toString('base64');
  return [alphanumeric, header, ...everySpelling(secret).map(([, spelling]) => spelling)];
});

let server: AuthorizationServer;
let clock: ManualClock;
let observed: [what: string, value: unknown][];

const onWarning = (warning: Error): void => void observed.push(['a process warning', warning]);
const onUnhandled = (reason: unknown): void => void observed.push(['an unhandled rejection', reason]);

beforeEach(async () => {
  server = await startAuthorizationServer();
  clock = new ManualClock();
  observed = [];
  process.on('warning', onWarning);
  process.on('unhandledRejection', onUnhandled);
});

afterEach(async () => {
  process.off('warning', onWarning);
  process.off('unhandledRejection', onUnhandled);
  vi.unstubAllGlobals();
  await server.close();
});

function client(options: Partial<TokenManagerOptions> = {}): TokenManager {
  const tokens = createTokenManager({
    issuer: server.issuer,
    clientId: 'billing',
    ...options.clientAuthentication === undefined && { clientSecret: canary.clientSecret },
    clock,
    retry: { minDelay: 0 },
    allowInsecureRequests: true,
    ...options,
  });
  const events: (keyof TokenEvents)[] = ['acquired', 'refreshed', 'refresh-failed', 'token-rejected', 'store-failed'];
  for (const event of events) tokens.on(event, (detail) => void observed.push([`the event ${event}`, detail]));
  if (!observed.some(([what]) => what === 'the manager')) observed.push(['the manager', tokens], ['a source', tokens.clientCredentials()]);
  return tokens;
}

async function outcomeOf(work: Promise<unknown>): Promise<unknown> {
  const outcome = await work.catch((thrown: unknown) => thrown);
  observed.push(['the outcome', outcome]);
  return outcome;
}

async function failsToGetToken(tokens: TokenManager = client()): Promise<OAuthError> {
  const outcome = await outcomeOf(tokens.clientCredentials({ scope: 'invoices:read', parameters: { api_key: canary.parameter } }).getToken());
  expect(outcome).toBeInstanceOf(OAuthError);
  return outcome as OAuthError;
}

async function expectNoCanary(): Promise<void> {
  // Unhandled rejections and warnings are told a turn later.
  await nextTurn();
  await nextTurn();
  for (const [what, value] of observed) {
    for (const text of textsOf(value)) {
      const found = needles.find((needle) => text.includes(needle));
      expect(found, `${what} shows it: ${text.slice(0, 2_000)}`).toBeUndefined();
    }
  }
  expect(observed.filter(([what]) => what === 'an unhandled rejection')).toEqual([]);
}

const issued: Reply = {
  json: { access_token: canary.accessToken, token_type: 'Bearer', expires_in: 3600, refresh_token: canary.refreshToken, id_token: canary.idToken, instance_url: 'https://eu1.example.com' },
};

describe('S1 the search finds what there is to find', () => {
  test.each<[string, unknown]>([
    ['a message', new Error(`was ${canary.clientSecret}`)],
    ['a cause of a cause', new Error('a', { cause: new Error('b', { cause: new Error(canary.accessToken) }) })],
    ['a hidden member', Object.defineProperty({}, 'value', { value: canary.accessToken })],
    ['a getter', { get value() { return canary.refreshToken; } }],
    ['deep down', { a: { b: { c: { d: { e: { f: [canary.idToken] } } } } } }],
    ['a header', { authorization: `Basic ${Buffer.from(`billing:${new URLSearchParams({ '': canary.clientSecret }).toString().slice(1)}`).toString('base64')}` }],
    ['a map', new Map([['key', canary.encryptionKey]])],
  ])('S1 in %s', async (_case, value) => {
    observed.push(['a leak', value]);
    await expect(expectNoCanary()).rejects.toThrow('a leak shows it');
  });
});

describe('S1 when all goes well', () => {
  test('S1 tokens, events, managers, sources and authentications show no secret', async () => {
    server.answersEvery(issued);
    const tokens = client();
    const source = tokens.clientCredentials();
    const token = await source.getToken();
    expect(token).toMatchObject({ value: canary.accessToken, parameters: { instance_url: 'https://eu1.example.com' } });
    expect(Object.keys(token)).not.toContain('value');
    expect(JSON.stringify(token)).toContain('eu1.example.com');
    clock.advance(HOUR);
    await source.getToken();
    observed.push(['a token', token], ['tokens', { list: [token], map: new Map([[token, token]]) }], ['authentications', [clientSecretBasic(canary.clientSecret), clientSecretPost(canary.clientSecret), clientSecretBasic(() => canary.clientSecret)]]);
    observed.push(['a copy', { ...token }], ['a fetch', createFetch(source, { baseUrl: 'https://api.example.com' })]);
    expect(observed.map(([what]) => what)).toContain('the event refreshed');
    await expectNoCanary();
  });

  test('S1 a token answer that repeats its tokens elsewhere', async () => {
    server.answersEvery({ json: { ...issued.json as object, token: canary.accessToken, nested: { list: [canary.refreshToken, { id: canary.idToken }] } } });
    await outcomeOf(client().clientCredentials().getToken());
    await expectNoCanary();
  });

  test('S1 a token answer that repeats the client\'s secret', async () => {
    server.answersEvery(({ basic }) => ({ json: { ...issued.json as object, client_id: basic?.user, client_secret: canary.clientSecret } }));
    await outcomeOf(client().clientCredentials().getToken());
    await expectNoCanary();
  });
});

describe('S1 servers that echo what they were sent', () => {
  const echoes: [string, (request: ReceivedTokenRequest) => string][] = [
    ...everySpelling(canary.clientSecret)
      .filter(([encoding]) => ['as it is', 'percent-encoded', 'form-encoded', 'in JSON', 'in an HTML attribute', 'in HTML, all by number', 'in base64', 'in base64url', 'in hexadecimal'].includes(encoding))
      .map(([encoding, spelling]): [string, () => string] => [`the secret ${encoding}`, () => spelling]),
    ['the Authorization header', ({ headers }) => `bad header ${String(headers.authorization)}`],
    ['what it read from it', ({ basic }) => `bad client ${String(basic?.user)}:${String(basic?.password)}`],
    ['the whole body', ({ body }) => body],
    ['the decoded parameters', ({ parameters }) => JSON.stringify([...parameters])],
    ['everything it got', ({ rawHeaders, body }) => JSON.stringify({ rawHeaders, body })],
  ];
  const authentications: [string, () => ClientAuthentication][] = [
    ['Basic', () => clientSecretBasic(canary.clientSecret)],
    ['raw Basic', () => clientSecretBasic(canary.clientSecret, { encoding: 'raw' })],
    ['post', () => clientSecretPost(canary.clientSecret)],
  ];

  describe.each(authentications)('S1 with %s', (_method, authentication) => {
    test.each(echoes)('S1 %s', async (_case, echo) => {
      for (const status of [401, 200]) {
        const shapes: ((text: string) => Reply)[] = [
          (text) => ({ status, json: { error: 'invalid_client', error_description: text } }),
          (text) => ({ status, json: { error: text } }),
          (text) => ({ status, json: { error: { message: text }, error_description: [text] } }),
          (text) => ({ status, json: { error: 'invalid_client', error_uri: text, hint: text } }),
          (text) => ({ status, body: new URLSearchParams({ error: 'invalid_request', error_description: text }).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' } }),
          (text) => ({ status, body: `<h1>${text}</h1>`, headers: { 'content-type': 'text/html' } }),
        ];
        for (const shape of shapes) {
          server.answersEvery((request) => shape(echo(request)));
          await failsToGetToken(client({ clientAuthentication: authentication(), retry: { limit: 0 } }));
        }
      }
      await expectNoCanary();
    });
  });

  test('S1 in a header', async () => {
    const text = encodeURIComponent(canary.clientSecret);
    for (const headers of [{ 'www-authenticate': `Basic realm="${text}", error="${text}"` }, { 'retry-after': text }, { 'content-type': text }]) {
      server.answersEvery({ status: 401, json: { error: 'invalid_client' }, headers });
      await failsToGetToken();
    }
    await expectNoCanary();
  });

  test('S1 in the target of a redirect', async () => {
    server.answersEvery(redirectTo(`/login?client_secret=${encodeURIComponent(canary.clientSecret)}`));
    await failsToGetToken();
    await expectNoCanary();
  });
});

describe('S1 token answers that can\'t be accepted', () => {
  test.each<[string, Record<string, unknown>]>([
    ['an access token that no header may carry', { access_token: `${canary.accessToken}\r\nx: y` }],
    ['an access token in a list', { access_token: [canary.accessToken] }],
    ['no token type', { token_type: undefined }],
    ['a token for a token type', { token_type: canary.accessToken }],
    ['a token bound to a key', { token_type: 'DPoP' }],
    ['an error beside the tokens', { error: 'server_error', error_description: `issued ${canary.accessToken} and ${canary.refreshToken} with ${canary.idToken}` }],
    ['a token for an error', { error: canary.accessToken }],
  ])('S1 %s', async (_case, change) => {
    server.answersEvery({ json: { ...issued.json as object, ...change } });
    await failsToGetToken();
    await expectNoCanary();
  });

  test.each<[string, Reply]>([
    ['half of it', { body: JSON.stringify(issued.json).slice(0, -5) }],
    ['text before it', { body: `<!-- -->${JSON.stringify(issued.json)}` }],
    ['a list of it', { json: [issued.json] }],
    ['it, as a text', { json: JSON.stringify(issued.json) }],
    ['a megabyte of it', { body: canary.accessToken.repeat(80_000) }],
    ['it with 400', { ...issued, status: 400 }],
    ['it with 503', { ...issued, status: 503 }],
  ])('S1 %s', async (_case, reply) => {
    server.answersEvery(reply);
    await failsToGetToken();
    await expectNoCanary();
  });
});

describe('S1 code of the user\'s that fails', () => {
  const thrown = (): Error => Object.assign(new Error(`vault: ${canary.clientSecret}`, { cause: new Error(canary.clientSecret) }), { secret: canary.clientSecret, code: canary.clientSecret });

  test.each<[string, () => unknown]>([
    ['throws', () => { throw thrown(); }],
    ['rejects', async () => Promise.reject(thrown())],
    // eslint-disable-next-line @typescript-eslint/only-throw-error
    ['throws the secret itself', () => { throw canary.clientSecret; }],
    ['gives an object', () => ({ secret: canary.clientSecret })],
    ['gives a list', () => [canary.clientSecret]],
    ['never answers', async () => new Promise(() => undefined)],
  ])('S1 a secret function that %s', async (_case, secret) => {
    await failsToGetToken(client({ clientSecret: secret as () => string, timeout: 50 }));
    await expectNoCanary();
  });

  test.each<[string, ClientAuthentication['authenticate']]>([
    ['throws', () => { throw thrown(); }],
    ['rejects', async () => Promise.reject(thrown())],
    ['answers nonsense', async () => Promise.resolve({ secrets: 5, secret: canary.clientSecret } as never)],
    ['sets a header that can\'t be', async ({ headers }) => { headers.set('authorization', `${canary.clientSecret}\r\n`); return Promise.resolve({ secrets: [canary.clientSecret] }); }],
  ])('S1 an authentication of the user\'s own that %s', async (_case, authenticate) => {
    server.answersEvery(issued);
    await outcomeOf(client({ clientAuthentication: { method: 'own', authenticate } }).clientCredentials().getToken());
    await expectNoCanary();
  });

  const broken: [string, Partial<Record<keyof KeyvLike, (...values: unknown[]) => unknown>>][] = [
    ['throws at once', { get: (...values) => { throw new Error(`get ${JSON.stringify(values)} ${canary.encryptionKey}`); }, set: (...values) => { throw new Error(`set ${JSON.stringify(values)}`); } }],
    ['rejects', { get: async (...values) => Promise.reject(new Error(`get ${JSON.stringify(values)}`)), set: async (...values) => Promise.reject(Object.assign(new Error(`set ${JSON.stringify(values)}`, { cause: new Error(JSON.stringify(values)) }), { command: values })) }],
    ['refuses what it is given', { set: async () => Promise.resolve(false) }],
    ['gives a text that is no entry', { get: async () => Promise.resolve(canary.accessToken) }],
    ['gives an object', { get: async () => Promise.resolve({ value: canary.accessToken }) }],
    ['gives half an entry', { get: async () => Promise.resolve(`{"version":1,"value":"${canary.accessToken}"`) }],
    ['gives an entry of another shape', { get: async () => Promise.resolve(`{"version":1,"value":"${canary.accessToken}","type":7}`) }],
    ['hangs', { get: async () => new Promise(() => undefined) }],
  ];

  describe.each<[string, string[] | false]>([['sealed', [canary.encryptionKey]], ['in the clear', false]])('S1 %s', (_sealing, encryptionKeys) => {
    test.each(broken)('S1 a store that %s', async (_case, methods) => {
      server.answersEvery(issued);
      const store = { get: async () => Promise.resolve(), set: async () => Promise.resolve(), delete: async () => Promise.resolve(), ...methods } as KeyvLike;
      const token = await outcomeOf(client({ store, encryptionKeys, timeout: 2_000 }).clientCredentials().getToken());
      expect(token).toMatchObject({ value: canary.accessToken });
      await eventually(() => observed.some(([what]) => what === 'the event store-failed'));
      await expectNoCanary();
    });
  });

  test.each<[string, () => unknown]>([
    ['throws', () => { throw thrown(); }],
    ['rejects', async () => Promise.reject(thrown())],
  ])('S1 a listener that %s', async (_case, listener) => {
    server.answersEvery(issued);
    const tokens = client();
    tokens.on('acquired', listener);
    await outcomeOf(tokens.clientCredentials().getToken());
    await eventually(() => observed.some(([what]) => what === 'a process warning'));
    await expectNoCanary();
  });
});

describe('S1 the network', () => {
  const lost = (): TypeError => new TypeError(`fetch failed: ${canary.clientSecret}`, {
    cause: Object.assign(new Error(`socket of ${canary.accessToken}`), { code: 'ECONNRESET', headers: { authorization: canary.clientSecret }, cause: new Error(canary.refreshToken) }),
  });

  test('S1 a fetch whose error holds what was sent', async () => {
    const tokens = client();
    vi.stubGlobal('fetch', async () => Promise.reject(lost()));
    expect((await failsToGetToken(tokens)).code).toBe('server_unreachable');
    await expectNoCanary();
  });

  test('S1 a body that breaks with such an error', async () => {
    const tokens = client();
    await tokens.clientCredentials({ scope: 'discovers first' }).getToken();
    vi.stubGlobal('fetch', async () => Promise.resolve(new Response(new ReadableStream({ pull: (controller) => { controller.error(lost()); } }))));
    expect((await failsToGetToken(tokens)).code).toBe('server_unreachable');
    await expectNoCanary();
  });

  test('S1 a dispatcher that throws what it was given', async () => {
    const dispatcher = { dispatch: (options: unknown) => { throw new Error(JSON.stringify(options) + canary.clientSecret); } } as unknown as NonNullable<TokenManagerOptions['dispatcher']>;
    await failsToGetToken(client({ dispatcher }));
    await expectNoCanary();
  });

  test.each([
    ['reset', reset()],
    ['hang', hang()],
  ])('S1 connections that %s', async (_case, answer) => {
    server.answersEvery(answer);
    await failsToGetToken(client({ timeout: 80 }));
    await expectNoCanary();
  });

  test('S1 a token endpoint with a secret in its URL', async () => {
    server.metadata.token_endpoint = `${server.origin}/token?key=${encodeURIComponent(canary.clientSecret)}`;
    server.answersEvery({ status: 400 });
    await failsToGetToken();
    server.answersEvery(reset());
    await failsToGetToken();
    await expectNoCanary();
  });
});

describe('S1 a token in use', () => {
  test('S1 an API that refuses it, and a refresh that fails', async () => {
    await using api = await startApi();
    server.answersNext(issued);
    const tokens = client();
    const fetch = createFetch(tokens.clientCredentials(), { baseUrl: api.origin, allowInsecureRequests: true });
    api.answersEvery(({ headers }) => ({ status: 401, json: headers, headers: { 'www-authenticate': 'Bearer error="invalid_token"' } }));
    server.answersEvery(({ headers }) => ({ status: 400, json: { error: 'invalid_grant', error_description: JSON.stringify(headers) } }));
    expect((await fetch('/')).status).toBe(401);
    expect(observed.map(([what]) => what)).toEqual(expect.arrayContaining(['the event token-rejected', 'the event refresh-failed']));
    await expectNoCanary();
  });

  test('S1 an API that can\'t be reached, and a URL that may not have it', async () => {
    server.answersEvery(issued);
    const api = await startApi();
    const fetch = createFetch(client().clientCredentials(), { baseUrl: api.origin, allowInsecureRequests: true, retry: false });
    await fetch('/');
    await api.close();
    expect(await outcomeOf(fetch('/'))).toBeInstanceOf(TypeError);
    expect(await outcomeOf(fetch('https://evil.example/'))).toMatchObject({ code: 'origin_not_allowed' });
    await expectNoCanary();
  });

  test('S1 a background refresh that fails', async () => {
    server.answersNext(issued);
    const source = client().clientCredentials();
    await source.getToken();
    clock.advance(HOUR - 60_000);
    server.answersEvery(({ headers, body }) => ({ status: 400, json: { error: 'invalid_request', error_description: JSON.stringify(headers) + body } }));
    await source.getToken();
    await eventually(() => observed.some(([what]) => what === 'the event refresh-failed'));
    await expectNoCanary();
  });
});

test('S1 a process that dies of such an error prints no secret', async () => {
  const { code, stdout, stderr } = await runProgram(`
    import { createServer } from 'node:http';
    import { createTokenManager } from 'grantkeeper';
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk) => chunks.push(chunk)).on('end', () => {
        response.statusCode = 400;
        response.end(JSON.stringify({ error: 'invalid_client', error_description: JSON.stringify(request.headers) + Buffer.concat(chunks).toString() }));
      });
    });
    server.listen(0, '127.0.0.1', async () => {
      const { port } = server.address() as { port: number };
      const tokens = createTokenManager({ server: { token_endpoint: \`http://127.0.0.1:\${port}/token\` }, clientId: 'billing', clientSecret: process.env['CLIENT_SECRET'], allowInsecureRequests: true });
      server.unref();
      console.log(tokens);
      await tokens.clientCredentials().getToken();
    });
  `, { env: { CLIENT_SECRET: canary.clientSecret } });
  expect(code).toBe(1);
  expect(stderr).toContain("code: 'token_request_failed'");
  expect(stderr).toContain("error: 'invalid_client'");
  for (const needle of needles) expect(stdout + stderr).not.toContain(needle);
});
