import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import KeyvRedis from '@keyv/redis';
import { Keyv } from 'keyv';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { runProgram } from './support/child-process.js';
import { eventually } from './support/eventually.js';
import { machineClient, type MachineClient, type MachineClientOptions } from './support/machine-client.js';
import { describeWithRedis, startRedis, type RedisServer } from './support/redis-server.js';

const HOUR = 3_600_000;
/** A store call gets a quarter of it. */
const TIMEOUT = 1_200;

describeWithRedis('Redis by @keyv/redis', () => {
  let redis: RedisServer;
  let server: AuthorizationServer;
  let encryptionKeys: string[];
  const stores: Keyv[] = [];
  const unhandled: unknown[] = [];
  const noteUnhandled = (reason: unknown): void => { unhandled.push(reason); };

  beforeAll(async () => {
    redis = await startRedis();
  });

  afterAll(async () => {
    await redis.close();
  });

  beforeEach(async () => {
    server = await startAuthorizationServer();
    encryptionKeys = [randomBytes(32).toString('base64url')];
    process.on('unhandledRejection', noteUnhandled);
  });

  afterEach(async () => {
    for (const store of stores.splice(0)) void (store.store as KeyvRedis<unknown>).client.destroy();
    await redis.restart();
    await server.close();
    await nextTurn();
    process.off('unhandledRejection', noteUnhandled);
    expect(unhandled.splice(0)).toEqual([]);
  });

  /** Without a listener for its errors, as users forget it. */
  function keyv(throwOnErrors: boolean): Keyv {
    const store = new Keyv({ store: new KeyvRedis(redis.url, { throwOnErrors }), throwOnErrors });
    stores.push(store);
    return store;
  }

  function daemon(throwOnErrors: boolean, options: MachineClientOptions = {}): MachineClient {
    return machineClient(server, { store: keyv(throwOnErrors), encryptionKeys, timeout: TIMEOUT, ...options });
  }

  describe.each([['that throws', true], ['that swallows failures', false]])('a Keyv %s', (_kind, throwOnErrors) => {
    test('C11 up: the next process finds the token, whole', async () => {
      server.answersNext({ json: { access_token: 'at', token_type: 'Bearer', expires_in: 3600, scope: 'read', instance_url: 'https://eu1.example.com' } });
      const first = daemon(throwOnErrors);
      const token = await first.tokens.clientCredentials().getToken();
      const next = daemon(throwOnErrors);
      const found = await next.tokens.clientCredentials().getToken();
      expect({ ...found, value: found.value }).toEqual({ ...token, value: 'at' });
      expect(server.tokenRequests).toHaveLength(1);
      expect([...first.events['store-failed'], ...next.events['store-failed']]).toEqual([]);
    });

    test('C9 down at start: machine tokens keep coming', async () => {
      await redis.kill();
      const { tokens } = daemon(throwOnErrors);
      for (let calls = 0; calls < 5; calls += 1) expect((await tokens.clientCredentials({ scope: `s${calls}` }).getToken()).value).toBe(`at-${calls + 1}`);
    });

    test('C9 frozen, with its connection established: one deadline, then machine tokens keep coming', async () => {
      const { tokens, events } = daemon(throwOnErrors);
      await tokens.clientCredentials({ scope: 'before' }).getToken();
      await redis.freeze();
      for (let calls = 0; calls < 20; calls += 1) await tokens.clientCredentials({ scope: `s${calls}` }).getToken();
      expect(server.tokenRequests).toHaveLength(21);
      expect(events['store-failed']).toMatchObject([{ operation: 'get', error: { code: 'store_failed', retryable: true } }]);
    });

    test('C9 thawed: it is used again', async () => {
      const { tokens, clock } = daemon(throwOnErrors);
      await tokens.clientCredentials({ scope: 'before' }).getToken();
      await redis.freeze();
      await tokens.clientCredentials({ scope: 'frozen' }).getToken();
      await redis.thaw();
      clock.advance(5_000);
      await tokens.clientCredentials({ scope: 'after' }).getToken();
      expect((await daemon(throwOnErrors).tokens.clientCredentials({ scope: 'after' }).getToken()).value).toBe('at-3');
    });

    test('C9 killed and restarted, empty: tokens keep coming, and are stored again', async () => {
      const { tokens, clock } = daemon(throwOnErrors);
      const source = tokens.clientCredentials();
      expect((await source.getToken()).value).toBe('at-1');
      await redis.kill();
      clock.advance(HOUR);
      expect((await source.getToken()).value).toBe('at-2');
      await redis.restart();
      await eventually(async () => {
        clock.advance(HOUR);
        const { value } = await source.getToken();
        const store = keyv(true);
        const found = await machineClient(server, { store, encryptionKeys, clock }).tokens.clientCredentials().getToken();
        expect(found.value).toBe(value);
      }, 10_000);
    });

    test('C10 an entry that is not ours is a miss', async () => {
      const store = keyv(throwOnErrors);
      const first = machineClient(server, { store, encryptionKeys });
      await first.tokens.clientCredentials().getToken();
      const iterator = (store.store as KeyvRedis<unknown>).iterator('keyv') as AsyncGenerator<[string, unknown]>;
      const { value: [name] } = await iterator.next() as { value: [string] };
      await store.set(name.replace(/^keyv:/, ''), 'garbage');
      const { tokens, events } = daemon(throwOnErrors);
      expect((await tokens.clientCredentials().getToken()).value).toBe('at-2');
      expect(events['store-failed']).toMatchObject([{ operation: 'get', error: { code: 'store_failed' } }]);
    });
  });

  test('C9 refused: a failure that Keyv throws is reported once while it lasts', async () => {
    await redis.kill();
    const { tokens, events } = daemon(true);
    for (let calls = 0; calls < 5; calls += 1) await tokens.clientCredentials({ scope: `s${calls}` }).getToken();
    expect(events['store-failed']).toHaveLength(1);
    expect(events['store-failed'][0]?.error.code).toBe('store_failed');
  });

  test('C9 refused: a failure that Keyv swallows is reported too', async () => {
    const { tokens, events } = daemon(false);
    await tokens.clientCredentials({ scope: 'before' }).getToken();
    await redis.kill();
    await eventually(async () => {
      await tokens.clientCredentials({ scope: `s${server.tokenRequests.length}` }).getToken();
      expect(events['store-failed'].length).toBeGreaterThan(0);
    }, 3_000);
  });

  test('C9 the time to live is Redis\'s own', async () => {
    server.expiresIn = 60;
    const store = keyv(true);
    await machineClient(server, { store, encryptionKeys }).tokens.clientCredentials().getToken();
    const { client } = store.store as KeyvRedis<unknown>;
    const [name] = await (client as unknown as { keys(pattern: string): Promise<string[]> }).keys('*');
    const ttl = await (client as unknown as { pTTL(key: string): Promise<number> }).pTTL(name ?? '');
    expect(ttl).toBeGreaterThan(50_000);
    expect(ttl).toBeLessThanOrEqual(60_000);
  });

  test.each([
    ['a Keyv that throws', 'new Keyv({ store: new KeyvRedis(url, { throwOnErrors: true }), throwOnErrors: true })'],
    ['a Keyv as it comes', 'new Keyv(new KeyvRedis(url))'],
    ['the adapter itself', 'new KeyvRedis(url)'],
  ])('C12 %s without a listener for its errors never ends the process: refused, then killed under way', async (_kind, store) => {
    const result = await runProgram(`
      import KeyvRedis from '@keyv/redis';
      import { Keyv } from 'keyv';
      import { createTokenManager } from 'grantkeeper';
      import { spawn } from 'node:child_process';
      const url = process.env['REDIS_URL'];
      const manager = (url) => createTokenManager({ server: { token_endpoint: process.env['TOKEN_ENDPOINT'] }, clientId: 'billing', clientSecret: 's',
        store: ${store}, encryptionKeys: false, timeout: 6_000, allowInsecureRequests: true });
      const refused = manager('redis://127.0.0.1:1');
      for (const scope of ['a', 'b', 'c']) console.log((await refused.clientCredentials({ scope }).getToken()).value);
      const established = manager(url);
      console.log((await established.clientCredentials().getToken()).value);
      process.kill(Number(process.env['REDIS_PID']), 'SIGKILL');
      await new Promise((resolve) => setTimeout(resolve, 200));
      for (const scope of ['d', 'e']) console.log((await established.clientCredentials({ scope }).getToken()).value);
      process.exit(0);
    `, { env: { REDIS_URL: redis.url, REDIS_PID: String(redis.pid), TOKEN_ENDPOINT: server.tokenEndpoint } });
    expect(result).toMatchObject({ code: 0, signal: null, stderr: '', timedOut: false });
    expect(result.stdout.trim().split('\n')).toHaveLength(6);
  });
});
