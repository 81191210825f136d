import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Lock } from 'grantkeeper';
import { inProcessLock } from '../src/cache/in-process-lock.js';
import { systemClock } from '../src/clock.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { ManualClock } from './support/clock.js';
import { failureOf } from './support/failure.js';
import type { MachineClient, MachineClientOptions } from './support/machine-client.js';
import { MapStore } from './support/map-store.js';
import { signIn, webClient } from './support/web-client.js';

const HOUR = 3_600_000;

let server: AuthorizationServer;
let store: MapStore;
let clock: ManualClock;

beforeEach(async () => {
  server = await startAuthorizationServer();
  server.idTokenOnRefresh = false;
  store = new MapStore();
  clock = new ManualClock();
});

afterEach(async () => {
  await server.close();
});

function processWith(lock: Lock, options: MachineClientOptions = {}): MachineClient {
  return webClient(server, { store, encryptionKeys: false, clock, lock, ...options });
}

/** A lock whose every answer is bent before it's given. */
function bent(answer: (given: Awaited<ReturnType<Lock['acquire']>>) => unknown): Lock {
  const inner = inProcessLock(systemClock);
  return {
    acquire: async (...call) => answer(await inner.acquire(...call)) as ReturnType<Lock['acquire']>,
    renew: async (...call) => inner.renew(...call),
    release: async (...call) => inner.release(...call),
  };
}

describe('a store that can\'t delete', () => {
  class UndeletingStore extends MapStore {
    override async delete(): Promise<unknown> {
      return Promise.reject(Object.assign(new Error('NOPERM'), { code: 'NOPERM' }));
    }
  }

  class HangingStore extends MapStore {
    override async delete(): Promise<unknown> {
      return new Promise(() => undefined);
    }
  }

  test('is told to the listeners, and is no reason to leave it alone: other sessions are read as before', async () => {
    store = new UndeletingStore();
    const client = processWith(inProcessLock(systemClock));
    const [first, second] = [await signIn(client), await signIn(client)];
    for (let hours = 0; hours < 2; hours += 1) {
      clock.advance(HOUR);
      await first.session.getToken();
    }
    expect(await second.session.info()).toMatchObject({ id: second.session.id });
    expect(client.events['store-failed'].map(({ operation }) => operation)).toContain('delete');
  });

  test('keeps nobody waiting for a token where a delete hangs', async () => {
    store = new HangingStore();
    const { session } = await signIn(processWith(inProcessLock(systemClock), { timeout: 60_000 }));
    for (let hours = 0; hours < 3; hours += 1) {
      clock.advance(HOUR);
      expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
    }
  });
});

describe('a lock that answers what no lock may', () => {
  const answers: [string, unknown][] = [['undefined', undefined], ['null', null], ['false', false], ['text', 'OK'], ['a fence that is a text, as pg gives a bigint', { fence: '7' }]];

  test.each(answers)('%s is store_failed for a session, which is as good as before', async (_name, answer) => {
    const { session } = await signIn(processWith(inProcessLock(systemClock)));
    clock.advance(HOUR);
    const wrong = processWith(bent(() => answer));
    expect(await failureOf(wrong.tokens.session(session.id).getToken())).toMatchObject({ code: 'store_failed', message: expect.stringContaining('`fence`') as string });
    expect(await processWith(inProcessLock(systemClock)).tokens.session(session.id).getToken()).toMatchObject({ type: 'Bearer' });
  });

  test.each(answers)('M4 %s costs no machine token', async (_name, answer) => {
    expect((await processWith(bent(() => answer)).tokens.clientCredentials().getToken()).value).toBe('at-1');
  });
});

test('M1 a session that is in use in many processes is touched by one of them', async () => {
  const lock = inProcessLock(systemClock);
  const all = Array.from({ length: 8 }, () => processWith(lock, { sessionLifetime: HOUR }));
  const [first] = all;
  if (first === undefined) throw new Error('there are none');
  const { session } = await signIn(first);
  for (const { tokens } of all) await tokens.session(session.id).getToken();
  clock.advance(HOUR / 3);
  const sets = store.count('set');
  for (const { tokens } of all) {
    await tokens.session(session.id).getToken();
    // What keeps the session goes on beside the call.
    await tokens.close();
  }
  // A slot and a head.
  expect(store.count('set') - sets).toBe(2);
});
