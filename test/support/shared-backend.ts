import KeyvRedis from '@keyv/redis';
import type { KeyvLike, Lock } from 'grantkeeper';
import { postgresLock } from 'grantkeeper/postgres';
import { redisLock } from 'grantkeeper/redis';
import { Keyv } from 'keyv';
import pg from 'pg';
import { createClient } from 'redis';

export type BackendKind = 'redis' | 'postgres';

/** What one process has of a server that many share. */
export interface SharedBackend {
  readonly store: KeyvLike;
  readonly lock: Lock;
  /** All that is stored, as whoever gets hold of it sees it. */
  readonly dump: () => Promise<string>;
  readonly close: () => Promise<void>;
}

export async function openBackend(kind: BackendKind, url: string): Promise<SharedBackend> {
  return kind === 'redis' ? openRedis(url) : openPostgres(url);
}

async function openRedis(url: string): Promise<SharedBackend> {
  const client = createClient({ url });
  client.on('error', () => undefined);
  await client.connect();
  const adapter = new KeyvRedis(url);
  return {
    store: new Keyv({ store: adapter }).on('error', () => undefined),
    lock: redisLock(client),
    async dump() {
      const keys = await client.keys('*');
      const values = await Promise.all(keys.map(async (key) => (await client.type(key) === 'hash' ? JSON.stringify(await client.hGetAll(key)) : client.get(key))));
      return [...keys, ...values].join('\n');
    },
    async close() {
      client.destroy();
      // Keyv connects on first use.
      await adapter.disconnect(true).catch(() => undefined);
    },
  };
}

async function openPostgres(url: string): Promise<SharedBackend> {
  const pool = new pg.Pool({ connectionString: url, max: 5 });
  pool.on('error', () => undefined);
  await createTable(pool);
  return {
    store: new Keyv({ store: new PoolAdapter(pool) }),
    lock: postgresLock(pool),
    async dump() {
      const tables = await Promise.all(['keyv', 'grantkeeper_locks'].map(async (table) => pool.query(`select * from ${table}`)));
      return JSON.stringify(tables.map(({ rows }) => rows as unknown[]));
    },
    close: async () => pool.end(),
  };
}

/** Many at once may collide, and then it's there. */
async function createTable(pool: pg.Pool): Promise<void> {
  await pool.query('create table if not exists keyv (key text primary key, value text)').catch(() => undefined);
}

/** As @keyv/postgres is, but over a pool of one's own: that one has a single pool for a whole process, and nobody listens to its errors. */
class PoolAdapter {
  readonly opts: object = {};
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  async get(key: string): Promise<string | undefined> {
    return (await this.#pool.query<{ value: string }>('select value from keyv where key = $1', [key])).rows[0]?.value;
  }

  async set(key: string, value: string): Promise<void> {
    await this.#pool.query('insert into keyv values ($1, $2) on conflict (key) do update set value = excluded.value', [key, value]);
  }

  async delete(key: string): Promise<boolean> {
    return (await this.#pool.query('delete from keyv where key = $1', [key])).rowCount === 1;
  }

  async clear(): Promise<void> {
    await this.#pool.query('delete from keyv');
  }
}
