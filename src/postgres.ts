import type { Lock } from './cache/lock.js';
import { OAuthError } from './errors.js';
import { having, invalid, shapeOf } from './validation.js';

export type { Lock } from './cache/lock.js';

/** What is used of a `Pool` of the package `pg`. */
export interface PostgresPool {
  query(text: string, values: unknown[]): Promise<{ rows: unknown[] }>;
}

const tableDefinition = 'create table if not exists grantkeeper_locks (name text primary key, owner text, expires_at timestamptz not null, fence bigint not null)';

/**
 * Each of these is a statement of its own that leaves nothing behind in its connection. Leases go by the server's clock, the only one that all processes
 * share. A name keeps its row when it's released, so that its fences go on growing.
 *
 * Who finds the lock held only reads: even an upsert whose condition fails locks the row, and so writes. No row means that somebody was faster.
 */
const acquiring = `
  with held as (
    select expires_at from grantkeeper_locks where name = $1 and owner <> $2 and expires_at > clock_timestamp()
  ), acquired as (
    insert into grantkeeper_locks as lock (name, owner, expires_at, fence)
    select $1, $2, clock_timestamp() + $3 * interval '1 millisecond', $4::bigint + 1 where not exists (select from held)
    on conflict (name) do update set owner = excluded.owner, expires_at = excluded.expires_at,
      fence = case when lock.owner = $2 and lock.expires_at > clock_timestamp() then lock.fence else greatest(lock.fence + 1, excluded.fence) end
    where lock.owner is null or lock.owner = $2 or lock.expires_at <= clock_timestamp()
    returning fence
  )
  select fence, null as busy from acquired
  union all select null, greatest(0, ceil(extract(epoch from expires_at - clock_timestamp()) * 1000)) from held`;

const renewing = `
  update grantkeeper_locks set expires_at = clock_timestamp() + $3 * interval '1 millisecond'
  where name = $1 and owner = $2 and expires_at > clock_timestamp() returning name`;

/**
 * Who releases looks at the next two rows in the order of names, and deletes what nobody used for a day: names are hashes, so all rows come up in time.
 * It waits for no other row than its own: no two releases can wait for each other.
 */
const releasing = `
  with forgotten as (
    delete from grantkeeper_locks where name in (
      select name from grantkeeper_locks
      where name in (select name from grantkeeper_locks where name > $1 order by name limit 2) and expires_at < clock_timestamp() - interval '1 day'
      for update skip locked
    )
  )
  update grantkeeper_locks set owner = null, expires_at = clock_timestamp() where name = $1 and owner = $2`;

/**
 * The lock of processes that share a PostgreSQL (9.5 or later), a pooler in front of it included.
 *
 * The pool is yours: closed by you, and `pg` ends the process unless the pool has a listener for `error`. The table is made on first use; where the role
 * may create none, create it once: `create table grantkeeper_locks (name text primary key, owner text, expires_at timestamptz not null, fence bigint not null)`,
 * and grant the role `select, insert, update, delete` on it. Each name that was locked within a day takes one row of some 200 bytes.
 *
 * @param pool of `pg`
 * @throws OAuthError `invalid_configuration`
 */
export function postgresLock(pool: PostgresPool): Lock {
  const rule = having('query');
  if (!rule.accepts(pool)) throw invalid(`postgresLock: the pool must be ${rule.expected}, as a Pool of pg has; received ${shapeOf(pool)}`);

  const run = async (statement: string, values: unknown[]): Promise<unknown[]> => {
    try {
      return (await pool.query(statement, values)).rows;
    } catch (thrown) {
      if (codeOf(thrown) !== sqlState.undefinedTable) throw thrown;
      await createTable(pool);
      return (await pool.query(statement, values)).rows;
    }
  };

  return {
    async acquire(name, owner, leaseMs, fenceAtLeast) {
      const [row] = await run(acquiring, [name, owner, leaseMs, fenceAtLeast]).catch(nothingIfOutrun) as { fence: string | null; busy: string | null }[];
      // Somebody was faster, whose lease has just begun.
      if (row === undefined) return { busy: leaseMs };
      return row.fence === null ? { busy: Number(row.busy) } : { fence: Number(row.fence) };
    },
    renew: async (name, owner, leaseMs) => (await run(renewing, [name, owner, leaseMs])).length === 1,
    async release(name, owner) {
      await run(releasing, [name, owner]);
    },
  };
}

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const sqlState = { serializationFailure: '40001', undefinedTable: '42P01', duplicateTable: '42P07', duplicateObject: '42710', uniqueViolation: '23505', insufficientPrivilege: '42501' };

/** Many processes may create it at once: `if not exists` doesn't keep them from colliding, and then it's there. */
async function createTable(pool: PostgresPool): Promise<void> {
  try {
    await pool.query(tableDefinition, []);
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === sqlState.insufficientPrivilege) {
      throw new OAuthError('store_failed', `the table of locks is missing, and this role may not create it; let another one run: ${tableDefinition}`, { cause: thrown });
    }
    if (code !== sqlState.duplicateTable && code !== sqlState.duplicateObject && code !== sqlState.uniqueViolation) throw thrown;
  }
}

/** Where a database is set to more than `read committed`, who was faster is no empty answer but an error. */
function nothingIfOutrun(thrown: unknown): [] {
  if (codeOf(thrown) !== sqlState.serializationFailure) throw thrown;
  return [];
}

function codeOf(thrown: unknown): unknown {
  return typeof thrown === 'object' && thrown !== null ? Reflect.get(thrown, 'code') : undefined;
}
