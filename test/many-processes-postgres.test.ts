import KeyvPostgres from '@keyv/postgres';
import { postgresLock } from 'grantkeeper/postgres';
import { Keyv } from 'keyv';
import pg from 'pg';
import { expect, test } from 'vitest';
import { startAuthorizationServer } from './support/authorization-server.js';
import { eventually } from './support/eventually.js';
import { describeManyProcesses } from './support/many-processes.js';
import { describeWithPostgres, startPostgres } from './support/postgres-server.js';
import { openBackend } from './support/shared-backend.js';
import { signIn, webClient } from './support/web-client.js';

const HOUR = 3_600_000;

describeWithPostgres('many processes on one PostgreSQL', () => {
  describeManyProcesses('postgres', startPostgres);

  test('M6 restarted: what is stored is still there, and the session goes on', { timeout: 30_000 }, async () => {
    await using postgres = await startPostgres();
    await using server = await startAuthorizationServer();
    const { store, lock, close } = await openBackend('postgres', postgres.url);
    const { tokens, clock } = webClient(server, { store, lock, encryptionKeys: ['A'.repeat(43)] });
    const { session } = await signIn({ tokens });
    await postgres.restart();
    await eventually(async () => {
      clock.advance(HOUR);
      expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
    }, 15_000);
    expect(server.reuses).toBe(0);
    await close();
  });

  test('a session in @keyv/postgres, beside the lock in a pool of its own', { timeout: 30_000 }, async () => {
    await using postgres = await startPostgres();
    await using server = await startAuthorizationServer();
    const adapter = new KeyvPostgres({ uri: postgres.url });
    const pool = new pg.Pool({ connectionString: postgres.url });
    const options = { store: new Keyv({ store: adapter }), lock: postgresLock(pool), encryptionKeys: ['A'.repeat(43)] };
    const { tokens, clock } = webClient(server, options);
    const { session } = await signIn({ tokens });
    for (let hours = 0; hours < 3; hours += 1) {
      clock.advance(HOUR);
      const elsewhere = webClient(server, { ...options, clock });
      expect(await elsewhere.tokens.session(session.id).getToken()).toMatchObject({ type: 'Bearer' });
    }
    expect(server.reuses).toBe(0);
    const { rows } = await pool.query<{ key: string }>("select key from keyv where key like '%grantkeeper:session:%'");
    expect(rows).toHaveLength(2);
    await Promise.all([adapter.disconnect(), pool.end()]);
  });
});
