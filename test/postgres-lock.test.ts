import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { postgresLock, type Lock, type PostgresPool } from 'grantkeeper/postgres';
import { eventually } from './support/eventually.js';
import { failureOf, thrownBy } from './support/failure.js';
import { describeLock, exclusiveBy, fenceOnceFree, LEASE, newName } from './support/lock-contract.js';
import { describeWithPostgres, startPostgres, type PostgresServer } from './support/postgres-server.js';

describeWithPostgres('postgresLock', () => {
  let postgres: PostgresServer;
  let pools: pg.Pool[] = [];

  beforeAll(async () => {
    postgres = await startPostgres();
  });

  afterAll(async () => {
    await postgres.close();
  });

  function pool(options: pg.PoolConfig = {}): pg.Pool {
    const made = new pg.Pool({ connectionString: postgres.url, ...options });
    made.on('error', () => undefined);
    pools.push(made);
    return made;
  }

  async function disconnect(): Promise<void> {
    await Promise.all(pools.map(async (each) => each.end()));
    pools = [];
  }

  describe('by pg', () => {
    let locks: [Lock, Lock];

    beforeAll(() => {
      locks = [postgresLock(pool()), postgresLock(pool())];
    });

    afterAll(disconnect);

    describeLock('keeps what every lock promises', () => locks);
  });

  describe('a server in trouble', () => {
    let lock: Lock;
    let name: string;

    beforeEach(() => {
      lock = postgresLock(pool());
      name = newName();
    });

    afterEach(async () => {
      await disconnect();
      if (postgres.pid === undefined) await postgres.restart();
    });

    test('M4 gone: that is store_failed, and not "held by somebody else"', async () => {
      await postgres.kill();
      const work = exclusiveBy(lock).run({ name, fenceAtLeast: 0 }, async () => Promise.resolve());
      expect(await failureOf(work)).toMatchObject({ code: 'store_failed', retryable: true, message: expect.stringMatching(/^The lock's acquire failed: .*ECONNREFUSED/) as string });
    });

    test('M6 restarted: leases and fences are still there', async () => {
      await lock.acquire(name, 'ann', LEASE, 6);
      await postgres.restart();
      expect(await eventually(async () => lock.acquire(name, 'bob', LEASE, 0))).toMatchObject({ busy: expect.any(Number) as number });
      expect(await lock.renew(name, 'ann', LEASE)).toBe(true);
      await lock.release(name, 'ann');
      expect(await lock.acquire(name, 'bob', LEASE, 0)).toEqual({ fence: 8 });
    });

    test('M6 restarted, empty: it goes on, above the fence that is known', async () => {
      await lock.acquire(name, 'ann', LEASE, 6);
      await postgres.restart({ empty: true });
      expect(await fenceOnceFree(lock, name, 'bob', { fenceAtLeast: 7 })).toBe(8);
      expect(await lock.renew(name, 'ann', LEASE)).toBe(false);
    });

    test('M6 frozen: that is store_failed; thawed, what came too late is not held', async () => {
      await lock.acquire(newName(), 'somebody', LEASE, 0);
      const asked = vi.spyOn(lock, 'acquire');
      await postgres.freeze();
      const work = exclusiveBy(lock, { timeout: 200 }).run({ name, fenceAtLeast: 0 }, async () => Promise.resolve());
      expect(await failureOf(work)).toMatchObject({ code: 'store_failed', retryable: true });
      await postgres.thaw();
      expect(await asked.mock.results[0]?.value).toEqual({ fence: 1 });
      expect(await fenceOnceFree(lock, name, 'bob')).toBe(2);
    });
  });

  describe('its table', () => {
    let owner: pg.Pool;

    beforeEach(async () => {
      owner = pool();
      await owner.query('drop table if exists grantkeeper_locks');
    });

    afterEach(disconnect);

    test('is made on first use, by however many processes at once', async () => {
      const each = Array.from({ length: 20 }, () => pool({ max: 1 }));
      await Promise.all(each.map(async (one) => one.query('select 1')));
      for (let round = 0; round < 5; round += 1) {
        await owner.query('drop table if exists grantkeeper_locks');
        expect(await Promise.all(each.map(async (one) => postgresLock(one).acquire(newName(), 'ann', LEASE, 0)))).toEqual(each.map(() => ({ fence: 1 })));
      }
    });

    test('is missed by nobody who has nothing in it', async () => {
      const lock = postgresLock(owner);
      expect(await lock.renew('a', 'ann', LEASE)).toBe(false);
      await owner.query('drop table grantkeeper_locks');
      await lock.release('a', 'ann');
    });

    test('has to be made by somebody else where the role may make none: the error says how', async () => {
      await owner.query('revoke create on schema public from public; drop role if exists app; create role app login');
      const lock = postgresLock(pool({ connectionString: postgres.url.replace('postgres@', 'app@') }));
      const failure = await failureOf(lock.acquire('a', 'ann', LEASE, 0));
      expect(failure).toMatchObject({ code: 'store_failed', message: expect.stringContaining('create table if not exists grantkeeper_locks (') as string });
      const [, definition = ''] = /run: (.*)/.exec(failure.message) ?? [];
      await owner.query(`${definition}; grant select, insert, update, delete on grantkeeper_locks to app`);
      expect(await lock.acquire('a', 'ann', LEASE, 0)).toEqual({ fence: 1 });
      expect(await lock.renew('a', 'ann', LEASE)).toBe(true);
      await lock.release('a', 'ann');
      expect(await lock.acquire('a', 'bob', LEASE, 0)).toEqual({ fence: 2 });
    });

    test('keeps no name for long: who releases deletes a few that nobody used for a day', async () => {
      const lock = postgresLock(owner);
      await lock.renew('a', 'ann', LEASE);
      await owner.query(`insert into grantkeeper_locks (name, owner, expires_at, fence)
        select 'old ' || n, 'ann', clock_timestamp() - interval '25 hours', 1 from generate_series(1, 30) n
        union all select 'young ' || n, null, clock_timestamp() - interval '23 hours', 1 from generate_series(1, 3) n`);
      for (let count = 0; count < 20; count += 1) {
        await lock.acquire('a', 'ann', LEASE, 0);
        await lock.release('a', 'ann');
      }
      const { rows } = await owner.query('select name from grantkeeper_locks order by name');
      expect(rows).toEqual(['a', 'young 1', 'young 2', 'young 3'].map((name) => ({ name })));
    });

    test('a row that somebody else is at is neither deleted nor waited for', async () => {
      const lock = postgresLock(owner);
      await lock.acquire('a', 'ann', LEASE, 0);
      await owner.query('insert into grantkeeper_locks (name, owner, expires_at, fence) values (\'old\', \'ann\', clock_timestamp() - interval \'25 hours\', 1)');
      const busy = await owner.connect();
      await busy.query('begin; select from grantkeeper_locks where name = \'old\' for update');
      await lock.release('a', 'ann');
      await busy.query('commit');
      busy.release();
      expect(await lock.acquire('old', 'bob', LEASE, 0)).toEqual({ fence: 2 });
    });
  });

  describe('other ways to set up a pool', () => {
    afterEach(disconnect);

    test('a connection for each call, as a pooler in front of the server may give', async () => {
      const lock = postgresLock(pool({ maxUses: 1 }));
      const name = newName();
      expect(await lock.acquire(name, 'ann', LEASE, 0)).toEqual({ fence: 1 });
      expect(await lock.renew(name, 'ann', LEASE)).toBe(true);
      await lock.release(name, 'ann');
      expect(await lock.acquire(name, 'bob', LEASE, 0)).toEqual({ fence: 2 });
    });

    test.each(['read committed', 'repeatable read', 'serializable'])('%s: who was outrun finds it busy', async (isolation) => {
      const lock = postgresLock(pool({ options: `-c default_transaction_isolation=${isolation.replace(' ', '\\ ')}` }));
      const name = newName();
      await lock.acquire(name, 'ann', LEASE, 0);
      await lock.release(name, 'ann');
      const faster = await pool().connect();
      await faster.query('begin');
      await faster.query('update grantkeeper_locks set owner = \'bob\', fence = 2, expires_at = clock_timestamp() + interval \'1 hour\' where name = $1', [name]);
      const outrun = lock.acquire(name, 'cleo', LEASE, 0);
      await eventually(async () => (await faster.query('select from pg_stat_activity where wait_event_type = \'Lock\' and query like \'%grantkeeper_locks%\'')).rowCount === 1);
      await faster.query('commit');
      faster.release();
      expect(await outrun).toEqual({ busy: LEASE });
    });
  });
});

test.each([
  ['nothing', undefined, 'nothing'],
  ['an address', 'postgres://127.0.0.1', '"postgres://127.0.0.1"'],
  ['a client of something else', { eval: () => undefined }, 'an object with eval'],
])('postgresLock refuses %s', (_what, pool, received) => {
  expect(thrownBy(() => postgresLock(pool as unknown as PostgresPool))).toMatchObject({
    code: 'invalid_configuration',
    message: `postgresLock: the pool must be an object with query(), as a Pool of pg has; received ${received}`,
  });
});
