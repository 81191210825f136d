import KeyvPostgres from '@keyv/postgres';
import KeyvRedis from '@keyv/redis';
import type { KeyvLike, Lock } from 'grantkeeper';
import { postgresLock } from 'grantkeeper/postgres';
import { redisLock } from 'grantkeeper/redis';
import { Keyv } from 'keyv';
import pg from 'pg';
import { createClient } from 'redis';
import type { StoreAddress } from './protocol.js';

export interface OpenStore {
  readonly store: KeyvLike;
  readonly lock: Lock;
}

/** Both on one server, with clients as they come: no option is set that a user might forget. */
export async function openStore({ kind, url }: StoreAddress): Promise<OpenStore> {
  return kind === 'redis' ? openRedis(url) : openPostgres(url);
}

async function openRedis(url: string): Promise<OpenStore> {
  const client = createClient({ url });
  client.on('error', () => undefined);
  await client.connect();
  return { store: heard(new Keyv(new KeyvRedis(url))), lock: redisLock(client) };
}

/** Connections are few: a hundred are all that a Postgres has. */
const connections = { max: 5 };

async function openPostgres(url: string): Promise<OpenStore> {
  surviveBrokenConnections();
  const pool = new pg.Pool({ connectionString: url, ...connections });
  pool.on('error', () => undefined);
  return Promise.resolve({ store: heard(new Keyv(new KeyvPostgres({ uri: url, ...connections }))), lock: postgresLock(pool) });
}

function heard(store: Keyv): Keyv {
  return store.on('error', () => undefined);
}

/** The pool inside of @keyv/postgres has no listener, and nobody outside can add one: an idle connection that breaks would end the process. */
function surviveBrokenConnections(): void {
  process.on('uncaughtException', (error) => {
    if ('client' in error) return;
    process.stderr.write(`${error.stack ?? error.message}\n`);
    process.exit(1);
  });
}
