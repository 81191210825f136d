import KeyvRedis from '@keyv/redis';
import { Cluster, Redis } from 'ioredis';
import { createClient, createClientPool, createCluster } from 'redis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { redisLock, type Lock, type RedisClient } from 'grantkeeper/redis';
import { failureOf, thrownBy } from './support/failure.js';
import { describeLock, exclusiveBy, fenceOnceFree, LEASE, newName } from './support/lock-contract.js';
import { describeWithRedis, startRedis, startRedisCluster, type RedisServer } from './support/redis-server.js';

interface Connection {
  readonly client: RedisClient;
  readonly close: () => void;
}

const nodeRedis = async (url: string): Promise<Connection> => {
  const client = createClient({ url });
  client.on('error', () => undefined);
  await client.connect();
  return { client, close: () => { client.destroy(); } };
};

const ioredis = async (url: string): Promise<Connection> => {
  const client = new Redis(url);
  client.on('error', () => undefined);
  await client.ping();
  return { client, close: () => { client.disconnect(); } };
};

const kinds = [['node-redis', nodeRedis], ['ioredis', ioredis]] as const;

describeWithRedis('redisLock', () => {
  let redis: RedisServer;
  let connections: Connection[] = [];

  beforeAll(async () => {
    redis = await startRedis();
  });

  afterAll(async () => {
    await redis.close();
  });

  async function connected(open: (url: string) => Promise<Connection>): Promise<Lock> {
    const connection = await open(redis.url);
    connections.push(connection);
    return redisLock(connection.client);
  }

  function disconnect(): void {
    for (const { close } of connections) close();
    connections = [];
  }

  /** Beside the lock. */
  async function asking<T>(question: (client: Redis) => Promise<T>): Promise<T> {
    const client = new Redis(redis.url);
    try {
      return await question(client);
    } finally {
      client.disconnect();
    }
  }

  describe.each(kinds)('by %s', (_kind, open) => {
    let locks: [Lock, Lock];

    beforeAll(async () => {
      locks = [await connected(open), await connected(open)];
    });

    afterAll(disconnect);

    describeLock('keeps what every lock promises', () => locks);
  });

  describe.each(kinds)('a server in trouble, by %s', (_kind, open) => {
    let lock: Lock;
    let name: string;

    beforeEach(async () => {
      lock = await connected(open);
      name = newName();
    });

    afterEach(async () => {
      disconnect();
      await redis.restart();
    });

    test('M4 gone: that is store_failed, and not "held by somebody else"', async () => {
      await redis.kill();
      const work = exclusiveBy(lock, { timeout: 200 }).run({ name, fenceAtLeast: 0 }, async () => Promise.resolve());
      expect(await failureOf(work)).toMatchObject({ code: 'store_failed', retryable: true, message: expect.stringContaining('The lock\'s acquire failed') as string });
    });

    test('M6 restarted, empty: it goes on, above the fence that is known', async () => {
      await lock.acquire(name, 'ann', LEASE, 6);
      await redis.restart();
      expect(await fenceOnceFree(lock, name, 'bob', { fenceAtLeast: 7 })).toBe(8);
      expect(await lock.renew(name, 'ann', LEASE)).toBe(false);
    });

    test('M6 frozen: that is store_failed; thawed, what came too late is not held', async () => {
      const asked = vi.spyOn(lock, 'acquire');
      await redis.freeze();
      const work = exclusiveBy(lock, { timeout: 200 }).run({ name, fenceAtLeast: 0 }, async () => Promise.resolve());
      expect(await failureOf(work)).toMatchObject({ code: 'store_failed', retryable: true });
      await redis.thaw();
      expect(await asked.mock.results[0]?.value).toEqual({ fence: 1 });
      expect(await fenceOnceFree(lock, name, 'bob')).toBe(2);
    });

    test('a server that forgot the scripts is told them again', async () => {
      await lock.acquire(name, 'ann', LEASE, 0);
      await asking(async (client) => client.script('FLUSH'));
      expect(await lock.renew(name, 'ann', LEASE)).toBe(true);
      await lock.release(name, 'ann');
      expect(await lock.acquire(name, 'bob', LEASE, 0)).toEqual({ fence: 2 });
    });

    test('what isn\'t a lock under its name is a failure', async () => {
      await asking(async (client) => client.set(`grantkeeper:lock:{${name}}`, 'somebody else\'s'));
      await expect(lock.acquire(name, 'ann', LEASE, 0)).rejects.toThrow('WRONGTYPE');
    });
  });

  describe('what it leaves in Redis', () => {
    afterEach(disconnect);

    test('is one key for each name, forgotten a day after its lease', async () => {
      const lock = await connected(nodeRedis);
      const name = newName();
      const key = `grantkeeper:lock:{${name}}`;
      const day = 24 * 60 * 60_000;
      await lock.acquire(name, 'ann', LEASE, 0);
      expect(await asking(async (client) => client.keys(`*${name}*`))).toEqual([key]);
      const acquired = await asking(async (client) => client.pttl(key));
      expect(acquired).toBeGreaterThan(day);
      expect(acquired).toBeLessThanOrEqual(day + LEASE);
      await lock.renew(name, 'ann', 2 * day);
      expect(await asking(async (client) => client.pttl(key))).toBeGreaterThan(day + acquired);
      await lock.release(name, 'ann');
      expect(await asking(async (client) => client.hgetall(key))).toEqual({ fence: '1' });
    });
  });

  describe('other clients', () => {
    async function locks(client: RedisClient): Promise<void> {
      const lock = redisLock(client);
      const name = newName();
      expect(await lock.acquire(name, 'ann', LEASE, 0)).toEqual({ fence: 1 });
      expect(await lock.acquire(name, 'bob', LEASE, 0)).toMatchObject({ busy: expect.any(Number) as number });
      expect(await lock.renew(name, 'ann', LEASE)).toBe(true);
      await lock.release(name, 'ann');
      expect(await lock.acquire(name, 'bob', LEASE, 4)).toEqual({ fence: 5 });
    }

    test('a pool of node-redis', async () => {
      const pool = createClientPool({ url: redis.url });
      await pool.connect();
      await locks(pool);
      pool.destroy();
    });

    test('the client inside a @keyv/redis', async () => {
      const store = new KeyvRedis(redis.url);
      await store.getClient();
      await locks(store.client);
      await store.disconnect(true);
    });

    test('one that gives numbers as strings', async () => {
      const client = new Redis(redis.url, { stringNumbers: true, keyPrefix: 'app:' });
      await locks(client);
      client.disconnect();
    });

    test('those of a cluster', async () => {
      await using cluster = await startRedisCluster();
      const { port } = cluster;
      const ofNodeRedis = createCluster({ rootNodes: [{ url: cluster.url }] });
      ofNodeRedis.on('error', () => undefined);
      await ofNodeRedis.connect();
      await locks(ofNodeRedis);
      ofNodeRedis.destroy();
      const ofIORedis = new Cluster([{ host: '127.0.0.1', port }]);
      await locks(ofIORedis);
      ofIORedis.disconnect();
    });
  });
});

test.each([
  ['nothing', undefined, 'nothing'],
  ['an address', 'redis://127.0.0.1', '"redis://127.0.0.1"'],
  ['a client of something else', { query: () => undefined }, 'an object with query'],
])('redisLock refuses %s', (_what, client, received) => {
  expect(thrownBy(() => redisLock(client as unknown as RedisClient))).toMatchObject({
    code: 'invalid_configuration',
    message: `redisLock: the client must be one of node-redis (createClient) or of ioredis (new Redis); received ${received}`,
  });
});

test('an answer that no script of ours gives is a failure', async () => {
  const lock = redisLock({ eval: async () => Promise.resolve(true), evalSha: async () => Promise.resolve(true) });
  expect(await failureOf(lock.acquire('a', 'ann', LEASE, 0))).toMatchObject({ code: 'store_failed' });
  expect(await failureOf(lock.renew('a', 'ann', LEASE))).toMatchObject({ code: 'store_failed' });
});

test('a failure that isn\'t an unknown script is not tried again', async () => {
  const evaluate = vi.fn(async () => Promise.resolve(1));
  const lock = redisLock({ eval: evaluate, evalSha: async () => Promise.reject(new Error('READONLY You can\'t write against a read only replica.')) });
  await expect(lock.acquire('a', 'ann', LEASE, 0)).rejects.toThrow('READONLY');
  expect(evaluate).not.toHaveBeenCalled();
});
