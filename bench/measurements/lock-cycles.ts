import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import pg from 'pg';
import { createClient } from 'redis';
import type { Lock } from 'grantkeeper';
import type * as PostgresEntry from 'grantkeeper/postgres';
import type * as RedisEntry from 'grantkeeper/redis';
import { postgresAvailable, startPostgres } from '../../test/support/postgres-server.js';
import { redisAvailable, startRedis } from '../../test/support/redis-server.js';
import { count, median } from '../figures.js';
import { builtPackage } from '../grantkeeper.js';
import type { Measurement } from '../measurement.js';
import { interleave, throughput } from '../rounds.js';

const rounds = 9;
const sliceMs = 400;
const atOnce = [1, 16] as const;
const sessions = 1_000;
const lease = 13_000;

const { redisLock } = (await import(new URL('redis.js', builtPackage).href)) as typeof RedisEntry;
const { postgresLock } = (await import(new URL('postgres.js', builtPackage).href)) as typeof PostgresEntry;

/** A lock under the name of its server and client. */
interface Contestant {
  readonly name: string;
  readonly lock: Lock;
}

interface Opened {
  readonly contestants: readonly Contestant[];
  readonly close: () => Promise<void>;
}

const lockCycles: Measurement = async (progress) => {
  const opened: Opened[] = [];
  if (redisAvailable) opened.push(await onRedis());
  if (postgresAvailable) opened.push(await onPostgres());
  const contestants = opened.flatMap((each) => each.contestants);
  progress(`${rounds} rounds of ${contestants.length * atOnce.length} x ${sliceMs} ms`);
  const cycles = contestants.map(({ lock }) => new Cycles(lock));
  const slices = cycles.flatMap((each) => atOnce.map((concurrency) => ({ name: '', slice: async () => throughput(async () => each.next(), concurrency, sliceMs) })));
  const rates = (await interleave(slices, rounds)).map(median);
  for (const { close } of opened) await close();
  const wrong = cycles.reduce((sum, each) => sum + each.wrong, 0);
  return {
    title: 'Lock cycles',
    method: `One process acquires and releases the locks of ${count(sessions)} sessions in turn, one after the other and ${atOnce[1]} at a time, each server on the same machine; the PostgreSQL doesn't wait for its disk (\`fsync=off\`): two commits per cycle come on top; ${rounds} interleaved rounds of ${sliceMs} ms; medians.`,
    table: {
      columns: ['server and client', 'cycles/s, one after the other', `cycles/s, ${atOnce[1]} at a time`],
      rows: contestants.map(({ name }, index) => [name, ...atOnce.map((_, column) => count(rates[index * atOnce.length + column] ?? Number.NaN))]),
    },
    targets: [{ what: 'cycles whose lock was not free, or whose fence was not the next one', target: '0', measured: count(wrong), reached: wrong === 0 }],
    remarks: [
      ...redisAvailable ? [] : ['Not on Redis: there was no `redis-server` on the PATH.'],
      ...postgresAvailable ? [] : ['Not on PostgreSQL: there was no `postgres`.'],
    ],
  };
};

/** Takes the locks of all sessions in turn, and watches their fences. */
class Cycles {
  wrong = 0;
  #turn = 0;
  readonly #fences = Array.from({ length: sessions }, () => 0);
  readonly #names = Array.from({ length: sessions }, () => `grantkeeper:session:${randomBytes(32).toString('base64url')}`);
  readonly #lock: Lock;

  constructor(lock: Lock) {
    this.#lock = lock;
  }

  async next(): Promise<void> {
    const session = this.#turn++ % sessions;
    const [name = '', last = 0] = [this.#names[session], this.#fences[session]];
    const owner = randomBytes(16).toString('base64url');
    const answer = await this.#lock.acquire(name, owner, lease, 0);
    if ('fence' in answer) this.#fences[session] = answer.fence;
    if (this.#fences[session] !== last + 1) this.wrong += 1;
    await this.#lock.release(name, owner);
  }
}

async function onRedis(): Promise<Opened> {
  const redis = await startRedis();
  const ofNodeRedis = await createClient({ url: redis.url }).connect();
  const ofIORedis = new Redis(redis.url);
  const version = /redis_version:(\S+)/.exec(await ofIORedis.info('server'))?.[1] ?? '';
  return {
    contestants: [{ name: `Redis ${version}, node-redis`, lock: redisLock(ofNodeRedis) }, { name: `Redis ${version}, ioredis`, lock: redisLock(ofIORedis) }],
    async close() {
      ofNodeRedis.destroy();
      ofIORedis.disconnect();
      await redis.close();
    },
  };
}

async function onPostgres(): Promise<Opened> {
  const postgres = await startPostgres();
  const pool = new pg.Pool({ connectionString: postgres.url, max: atOnce[1] });
  const { rows: [row] } = await pool.query<{ server_version: string }>('show server_version');
  return {
    contestants: [{ name: `PostgreSQL ${row?.server_version.split(' ')[0] ?? ''}, pg`, lock: postgresLock(pool) }],
    async close() {
      await pool.end();
      await postgres.close();
    },
  };
}

export default lockCycles;
