import { randomBytes } from 'node:crypto';
import KeyvRedis from '@keyv/redis';
import { Keyv } from 'keyv';
import pg from 'pg';
import { createClient } from 'redis';
import type { KeyvLike, Lock } from 'grantkeeper';
import type * as PostgresEntry from 'grantkeeper/postgres';
import type * as RedisEntry from 'grantkeeper/redis';
import { postgresAvailable, startPostgres } from '../../test/support/postgres-server.js';
import { redisAvailable, startRedis } from '../../test/support/redis-server.js';
import { manager } from '../client.js';
import { count, median } from '../figures.js';
import { builtPackage } from '../grantkeeper.js';
import type { Measurement } from '../measurement.js';
import { interleave } from '../rounds.js';
import { startTokenEndpoint } from '../servers/start.js';

const rounds = 9;
const calls = 100_000;

const { redisLock } = (await import(new URL('redis.js', builtPackage).href)) as typeof RedisEntry;
const { postgresLock } = (await import(new URL('postgres.js', builtPackage).href)) as typeof PostgresEntry;

/** A store that counts what it's asked, and the lock beside it. */
interface Shared {
  readonly name: string;
  readonly store: CountingStore;
  readonly lock: Lock;
  readonly close: () => Promise<void>;
}

const sharedStore: Measurement = async (progress) => {
  const tokens = await startTokenEndpoint();
  const tokenEndpoint = tokens.url();
  const shared = [...redisAvailable ? [await onRedis()] : [], ...postgresAvailable ? [await onPostgres()] : []];
  const encryptionKeys = [randomBytes(32).toString('base64url')];
  const sources = [
    { name: 'memory only', source: manager(tokenEndpoint).clientCredentials({ scope: 'invoices:read' }) },
    ...shared.map(({ name, store, lock }) => ({ name, source: manager(tokenEndpoint, { store, lock, encryptionKeys }).clientCredentials({ scope: 'invoices:read' }) })),
  ];
  for (const { source } of sources) await source.getToken();
  const before = shared.reduce((sum, { store }) => sum + store.calls, 0);
  progress(`${rounds} rounds of ${sources.length} x ${count(calls)} calls`);
  const times = await interleave(sources.map(({ name, source }) => ({ name, slice: () => nanosecondsPerCall(() => source.getToken()) })), rounds);
  const asked = shared.reduce((sum, { store }) => sum + store.calls, 0) - before;
  for (const { close } of shared) await close();
  await tokens.stop();
  const medians = times.map(median);
  return {
    title: 'Warm `getToken()` with a shared store',
    method: `${count(calls)} calls, each awaited before the next, per round; ${rounds} interleaved rounds; medians.`,
    table: { columns: ['store and lock', 'ns a call'], rows: sources.map(({ name }, index) => [name, count(medians[index] ?? Number.NaN)]) },
    targets: [{ what: 'store calls of warm `getToken()`', target: '0', measured: count(asked), reached: asked === 0 && shared.length > 0 }],
    remarks: [
      ...redisAvailable ? [] : ['Not on Redis: there was no `redis-server` on the PATH.'],
      ...postgresAvailable ? [] : ['Not on PostgreSQL: there was no `postgres`.'],
    ],
  };
};

async function nanosecondsPerCall(call: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < calls; i++) await call();
  return ((performance.now() - start) * 1e6) / calls;
}

class CountingStore implements KeyvLike {
  calls = 0;
  readonly #store: KeyvLike;

  constructor(store: KeyvLike) {
    this.#store = store;
  }

  async get(key: string): Promise<unknown> {
    this.calls += 1;
    return this.#store.get(key);
  }

  async set(key: string, value: unknown, ttl?: number): Promise<unknown> {
    this.calls += 1;
    return this.#store.set(key, value, ttl);
  }

  async delete(key: string): Promise<unknown> {
    this.calls += 1;
    return this.#store.delete(key);
  }
}

async function onRedis(): Promise<Shared> {
  const redis = await startRedis();
  const client = await createClient({ url: redis.url }).connect();
  const adapter = new KeyvRedis(redis.url);
  return {
    name: 'Redis',
    store: new CountingStore(new Keyv(adapter)),
    lock: redisLock(client),
    async close() {
      client.destroy();
      await adapter.disconnect(true);
      await redis.close();
    },
  };
}

async function onPostgres(): Promise<Shared> {
  const postgres = await startPostgres();
  const pool = new pg.Pool({ connectionString: postgres.url });
  await pool.query('create table entries (key text primary key, value text)');
  const store: KeyvLike = {
    get: async (key) => (await pool.query<{ value: string }>('select value from entries where key = $1', [key])).rows[0]?.value,
    set: async (key, value) => pool.query('insert into entries values ($1, $2) on conflict (key) do update set value = excluded.value', [key, value]),
    delete: async (key) => pool.query('delete from entries where key = $1', [key]),
  };
  return {
    name: 'PostgreSQL',
    store: new CountingStore(store),
    lock: postgresLock(pool),
    async close() {
      await pool.end();
      await postgres.close();
    },
  };
}

export default sharedStore;
