import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hang } from './support/answers.js';
import { startApi, type Api } from './support/api-server.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { runProgram, type ProgramResult } from './support/child-process.js';

/** Far more than any of these programs needs, and far less than the timeouts that they set. */
const LIMIT = 18_000;

let server: AuthorizationServer;
let api: Api;

beforeEach(async () => {
  [server, api] = await Promise.all([startAuthorizationServer(), startApi()]);
});

afterEach(async () => {
  await Promise.all([server.close(), api.close()]);
});

/** A daemon that never calls `process.exit`: it ends when nothing is left to do, or doesn't. */
async function daemon(body: string): Promise<ProgramResult> {
  return runProgram(`
    import { createFetch, createTokenManager } from 'grantkeeper';
    const clock = { skew: 0, now: () => Date.now() + clock.skew, monotonic: () => performance.now() + clock.skew };
    const options = { server: { token_endpoint: process.env['TOKEN_ENDPOINT'] }, clientId: 'billing', clientSecret: 'secret', timeout: 60_000, clock, allowInsecureRequests: true };
    const turns = async (count = 20) => { for (let turn = 0; turn < count; turn += 1) await new Promise(setImmediate); };
    ${body}
    console.log('done');
  `, { env: { TOKEN_ENDPOINT: server.tokenEndpoint, ISSUER: server.issuer, API: api.origin, KEY: randomBytes(32).toString('hex') }, limitMs: LIMIT });
}

function expectQuietEnd(result: ProgramResult, stdout = 'done\n'): void {
  expect(result).toMatchObject({ code: 0, signal: null, stderr: '', stdout, timedOut: false });
}

describe('C12 nothing keeps the process alive', () => {
  test('C12 a token of 30 days, and a manager that nobody closed', async () => {
    server.expiresIn = 30 * 24 * 3600;
    expectQuietEnd(await daemon(`
      const tokens = createTokenManager(options);
      await tokens.clientCredentials().getToken();
    `));
  });

  test('C12 a failure in the background', async () => {
    server.answersNext({ json: { access_token: 'at', token_type: 'Bearer', expires_in: 3600 } }, { status: 503, headers: { 'retry-after': '50' } });
    expectQuietEnd(await daemon(`
      const tokens = createTokenManager(options);
      const source = tokens.clientCredentials();
      await source.getToken();
      clock.skew = 3_590_000 - 60_000;
      await source.getToken();
    `));
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('C12 a request ahead of time that the server never answers', async () => {
    server.answersNext({ json: { access_token: 'at', token_type: 'Bearer', expires_in: 3600 } }, hang());
    expectQuietEnd(await daemon(`
      const tokens = createTokenManager(options);
      const source = tokens.clientCredentials();
      await source.getToken();
      clock.skew = 3_590_000 - 60_000;
      await source.getToken();
    `));
  });

  test('C12 the same where the lock of many processes is held for it', async () => {
    server.answersNext({ json: { access_token: 'at', token_type: 'Bearer', expires_in: 3600 } }, hang());
    expectQuietEnd(await daemon(`
      const lock = { acquire: async () => ({ fence: 1 }), renew: async () => true, release: async () => undefined };
      const source = createTokenManager({ ...options, store: new Map(), encryptionKeys: false, lock }).clientCredentials();
      await source.getToken();
      clock.skew = 3_590_000 - 60_000;
      await source.getToken();
    `));
  });

  test('C12 a caller that stopped waiting, while the request is being repeated', async () => {
    server.answersEvery({ status: 503, headers: { 'retry-after': '30' } });
    expectQuietEnd(await daemon(`
      const tokens = createTokenManager(options);
      const controller = new AbortController();
      const waiting = tokens.clientCredentials().getToken({ signal: controller.signal }).catch((reason) => reason);
      await turns(200);
      controller.abort();
      await waiting;
    `));
  });

  test('C12 a store that hangs, and one that is missing', async () => {
    expectQuietEnd(await daemon(`
      const never = () => new Promise(() => undefined);
      const tokens = createTokenManager({ ...options, timeout: 4_000, store: { get: never, set: never, delete: never }, encryptionKeys: [process.env['KEY']] });
      await tokens.clientCredentials().getToken();
      await createTokenManager(options).clientCredentials().getToken();
    `));
  });

  test('C12 a body that nobody read: small, large, of a call with a timeout and a signal', async () => {
    api.answersNext({ body: 'x' });
    api.answersEvery({ body: 'x'.repeat(4_000_000) });
    expectQuietEnd(await daemon(`
      const source = createTokenManager(options).clientCredentials();
      const api = createFetch(source, { baseUrl: process.env['API'], allowInsecureRequests: true });
      const limited = createFetch(source, { baseUrl: process.env['API'], allowInsecureRequests: true, timeout: 60_000 });
      const responses = [await api('/'), await api('/'), await limited('/', { signal: new AbortController().signal })];
      console.log(responses.map(({ status }) => status).join());
    `), '200,200,200\ndone\n');
  });

  test('C12 the large body of a refused token, and of an error answer', async () => {
    server.answersNext({ status: 400, body: 'x'.repeat(900_000) });
    api.answersEvery({ status: 401, body: 'x'.repeat(4_000_000) });
    expectQuietEnd(await daemon(`
      const source = createTokenManager(options).clientCredentials();
      const api = createFetch(source, { baseUrl: process.env['API'], allowInsecureRequests: true });
      console.log(await api('/').catch((error) => error.code));
      console.log((await api('/')).status);
    `), 'token_request_failed\n401\ndone\n');
  });
});

describe('C12 nothing ends the process', () => {
  test('C12 failures in the background: of the server, of the store, of a listener', async () => {
    server.answersNext({ json: { access_token: 'at', token_type: 'Bearer', expires_in: 3600 } });
    server.answersEvery({ status: 500 });
    expectQuietEnd(await daemon(`
      const alive = setInterval(() => undefined, 1000);
      const broken = () => { throw new Error('broken'); };
      const tokens = createTokenManager({ ...options, store: { get: broken, set: broken, delete: broken }, encryptionKeys: false });
      const source = tokens.clientCredentials();
      await source.getToken();
      clock.skew = 3_590_000 - 60_000;
      const failed = new Promise((resolve) => tokens.on('refresh-failed', resolve));
      console.log((await source.getToken()).value, (await failed).background);
      await turns();
      clearInterval(alive);
    `), 'at true\ndone\n');
  });

  test('C12 callers that were all aborted, and the failure that came after', async () => {
    server.answersEvery({ status: 400, json: { error: 'invalid_request' } });
    expectQuietEnd(await daemon(`
      const tokens = createTokenManager(options);
      const waiting = Array.from({ length: 5 }, () => tokens.clientCredentials().getToken({ signal: AbortSignal.timeout(1) }).catch(() => undefined));
      await Promise.all(waiting);
      await tokens.close();
    `));
  });

  test('C12 a listener that rejects', async () => {
    const result = await daemon(`
      const tokens = createTokenManager(options);
      tokens.on('acquired', async () => { throw new Error('listener'); });
      console.log((await tokens.clientCredentials().getToken()).value);
      await turns();
    `);
    expect(result).toMatchObject({ code: 0, stdout: 'at-1\ndone\n' });
    expect(result.stderr).toContain('GrantkeeperWarning');
  });
});

describe('C12 who waits keeps the process alive', () => {
  test('C12 a top-level await on getToken completes while the server needs retries', async () => {
    server.answersNext({ status: 503, headers: { 'retry-after': '1' } }, { status: 429 });
    expectQuietEnd(await daemon(`
      console.log((await createTokenManager(options).clientCredentials().getToken()).value);
    `), 'at-1\ndone\n');
    expect(server.tokenRequests).toHaveLength(3);
  });

  test('C12 so does one on an authorized fetch', async () => {
    server.answersNext({ status: 503, headers: { 'retry-after': '1' } });
    api.answersNext({ status: 503, headers: { 'retry-after': '1' } });
    expectQuietEnd(await daemon(`
      const api = createFetch(createTokenManager(options).clientCredentials(), { baseUrl: process.env['API'], allowInsecureRequests: true });
      console.log((await api('/')).status);
    `), '200\ndone\n');
  });

  test('C12 so does one on an API that takes its time, on a connection that was used before', async () => {
    api.answersNext({ body: 'x' }, async () => {
      await new Promise((resolve) => setTimeout(resolve, 300));
      return { status: 202, body: 'y' };
    });
    expectQuietEnd(await daemon(`
      const api = createFetch(createTokenManager(options).clientCredentials(), { baseUrl: process.env['API'], allowInsecureRequests: true });
      console.log(await (await api('/')).text());
      await turns();
      const response = await api('/');
      console.log(response.status, await response.text());
    `), 'x\n202 y\ndone\n');
  });

  test('C12 and one whose store, or whose secret, does not come: it ends with an error, not with code 13', async () => {
    expectQuietEnd(await daemon(`
      const never = () => new Promise(() => undefined);
      const hanging = { get: never, set: never, delete: never };
      console.log((await createTokenManager({ ...options, timeout: 4_000, store: hanging, encryptionKeys: false }).clientCredentials().getToken()).value);
      console.log(await createTokenManager({ ...options, timeout: 200, clientSecret: never }).clientCredentials().getToken().catch((error) => error.code));
    `), 'at-1\ntimeout\ndone\n');
  });

  test('C12 and one on close, while a request is being repeated', async () => {
    const hold = server.hold();
    const running = daemon(`
      const tokens = createTokenManager(options);
      const controller = new AbortController();
      const waiting = tokens.clientCredentials().getToken({ signal: controller.signal }).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 1000));
      controller.abort();
      await waiting;
      await tokens.close();
    `);
    await hold.arrived;
    hold.release({ status: 503, headers: { 'retry-after': '2' } });
    expectQuietEnd(await running);
  });

  test('C12 and one on close, while a store hangs', async () => {
    expectQuietEnd(await daemon(`
      const never = () => new Promise(() => undefined);
      const tokens = createTokenManager({ ...options, timeout: 4_000, store: { get: never, set: never, delete: never }, encryptionKeys: false });
      const controller = new AbortController();
      const waiting = tokens.clientCredentials().getToken({ signal: controller.signal }).catch(() => undefined);
      controller.abort();
      await waiting;
      await tokens.close();
    `));
  });

  test('C12 and one on discovery that never answers', async () => {
    server.openidConfiguration.answersEvery(hang());
    expectQuietEnd(await daemon(`
      const { server, ...others } = options;
      console.log(await createTokenManager({ ...others, issuer: process.env['ISSUER'], timeout: 200 }).clientCredentials().getToken().catch((error) => error.code));
    `), 'timeout\ndone\n');
  });
});
