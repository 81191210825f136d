import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Lock } from 'grantkeeper';
import { createGuard } from '../src/cache/guard.js';
import { inProcessLock } from '../src/cache/in-process-lock.js';
import { systemClock } from '../src/clock.js';
import { createExclusive, type Exclusive } from '../src/cache/exclusive.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { ManualClock } from './support/clock.js';
import { deferred } from './support/deferred.js';
import { eventually } from './support/eventually.js';
import { failureOf } from './support/failure.js';
import type { MachineClient } from './support/machine-client.js';
import { MapStore } from './support/map-store.js';
import { rejection } from './support/token-server.js';
import { signIn, webClient } from './support/web-client.js';

const HOUR = 3_600_000;

let server: AuthorizationServer;

beforeEach(async () => {
  server = await startAuthorizationServer();
});

afterEach(async () => {
  vi.useRealTimers();
  await server.close();
});

interface StoredRecord {
  readonly fence: number;
  readonly refreshToken?: string;
  readonly ended?: string;
}

/** The session's record in a store that holds it in the clear. */
function recordIn(store: MapStore): StoredRecord {
  const [, text] = [...store.entries].find(([key]) => key.startsWith('grantkeeper:session:')) ?? [];
  return JSON.parse(String(text)) as StoredRecord;
}

class LockThatIsDown implements Lock {
  calls = 0;

  acquire(): Promise<{ fence: number }> {
    return this.#refuse();
  }

  renew(): Promise<boolean> {
    return this.#refuse();
  }

  release(): Promise<void> {
    return this.#refuse();
  }

  #refuse(): Promise<never> {
    this.calls += 1;
    return Promise.reject(Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:6379'), { code: 'ECONNREFUSED', syscall: 'connect' }));
  }
}

describe('M4 the lock\'s server is down', () => {
  test('M4 valid tokens are served, rotation is refused with store_failed, machine tokens go on alone', async () => {
    const store = new MapStore();
    const { session } = await signIn(webClient(server, { store, encryptionKeys: false }));
    const { tokens, clock, events } = webClient(server, { store, encryptionKeys: false, lock: new LockThatIsDown() });
    const here = tokens.session(session.id);
    expect((await here.getToken()).value).toBe('at-1');
    clock.advance(HOUR);
    expect(await failureOf(here.getToken())).toMatchObject({ code: 'store_failed', retryable: true, message: expect.stringContaining('ECONNREFUSED') as string });
    expect(server.tokenRequests).toHaveLength(1);
    expect(events['store-failed']).toMatchObject([{ operation: 'lock', error: { code: 'store_failed' } }]);
    expect((await tokens.clientCredentials().getToken()).value).toBe('at-2');
    expect(events['session-ended']).toEqual([]);
  });

  test('M4 that is not "held by somebody else": nobody waits for it, and while it is left alone it is not asked', async () => {
    const store = new MapStore();
    const { session } = await signIn(webClient(server, { store, encryptionKeys: false }));
    const lock = new LockThatIsDown();
    const { tokens, clock } = webClient(server, { store, encryptionKeys: false, lock });
    clock.advance(HOUR);
    for (let times = 0; times < 20; times += 1) await failureOf(tokens.session(session.id).getToken());
    // One failure, and the release in case it was acquired all the same.
    expect(lock.calls).toBe(2);
  });

  test('M4 logout is refused as well, and the session is still there', async () => {
    const store = new MapStore();
    const { session } = await signIn(webClient(server, { store, encryptionKeys: false }));
    const { tokens } = webClient(server, { store, encryptionKeys: false, lock: new LockThatIsDown() });
    expect(await failureOf(tokens.session(session.id).end())).toMatchObject({ code: 'store_failed' });
    expect((await tokens.session(session.id).getToken()).value).toBe('at-1');
    expect(server.revocations).toEqual([]);
  });
});

describe('M3 a lease that ran out while its owner slept', () => {
  test('M3 the late writer overwrites nothing, and goes on with what the other has written', async () => {
    const store = new MapStore();
    const clock = new ManualClock();
    const options = { store, encryptionKeys: false as const, clock, refreshGrace: 60_000 };
    Object.assign(server, { graceMs: 60_000, idTokenOnRefresh: false });
    const sleeper = webClient(server, options);
    const { session } = await signIn(sleeper);
    clock.advance(HOUR);
    const hold = server.hold();
    const late = session.getToken();
    await hold.arrived;
    // Leases go by the system's clock, which a machine that slept finds ahead of what it knew.
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
    const other = webClient(server, options);
    const taken = await other.tokens.session(session.id).getToken();
    const written = recordIn(store);
    hold.release();
    await late;
    expect(recordIn(store)).toEqual(written);
    expect(sleeper.events['store-failed']).toMatchObject([{ operation: 'lock' }]);
    expect((await session.getToken({ rejected: await late })).value).toBe(taken.value);
    expect(server.reuses).toBe(0);
  });
});

test('a closed manager that waited for somebody else sends no refresh token', async () => {
  const store = new MapStore();
  const clock = new ManualClock();
  const lock = inProcessLock(systemClock);
  const options = { store, encryptionKeys: false as const, clock, lock };
  const one = webClient(server, options);
  const { session } = await signIn(one);
  clock.advance(HOUR);
  const hold = server.hold();
  const refused = failureOf(session.getToken());
  await hold.arrived;
  const other = webClient(server, options);
  const gets = store.count('get');
  const waiting = failureOf(other.tokens.session(session.id).getToken());
  await eventually(() => { expect(store.count('get')).toBeGreaterThan(gets + 2); });
  const closed = other.tokens.close();
  hold.release(rejection('invalid_request'));
  await refused;
  expect(await waiting).toMatchObject({ code: 'invalid_configuration' });
  await closed;
  expect(server.tokenRequests).toHaveLength(2);
});

describe('fences', () => {
  test('a process that knows nothing of a session writes its end above what the record has', async () => {
    const store = new MapStore();
    const clock = new ManualClock();
    const lock = (): Lock => inProcessLock(systemClock);
    const { session } = await signIn(webClient(server, { store, encryptionKeys: false, clock, lock: lock() }));
    for (let hours = 0; hours < 3; hours += 1) {
      clock.advance(HOUR);
      await session.getToken();
    }
    const { fence } = recordIn(store);
    expect(fence).toBeGreaterThanOrEqual(3);
    await webClient(server, { store, encryptionKeys: false, clock, lock: lock() }).tokens.session(session.id).end();
    expect(recordIn(store)).toMatchObject({ ended: 'ended' });
    expect(recordIn(store).fence).toBeGreaterThan(fence);
  });

  test('they grow with every refresh, whichever manager makes it', async () => {
    const store = new MapStore();
    const clock = new ManualClock();
    const managers = [webClient(server, { store, encryptionKeys: false, clock }), webClient(server, { store, encryptionKeys: false, clock })];
    const { session } = await signIn(managers[0] ?? webClient(server));
    const fences = [recordIn(store).fence];
    for (const { tokens } of [...managers, ...managers]) {
      clock.advance(HOUR);
      await tokens.session(session.id).getToken();
      fences.push(recordIn(store).fence);
    }
    expect(fences).toEqual([...new Set(fences)].sort((a, b) => a - b));
  });
});

test('R3 managers that were given no common lock: who is refused adopts what the other got', async () => {
  const store = new MapStore();
  const clock = new ManualClock();
  const options = (): Parameters<typeof webClient>[1] => ({ store, encryptionKeys: false, clock, lock: inProcessLock(systemClock) });
  const loser = webClient(server, options());
  const { session } = await signIn(loser);
  clock.advance(HOUR);
  const hold = server.hold();
  const refused = session.getToken();
  await hold.arrived;
  const won = await webClient(server, options()).tokens.session(session.id).getToken();
  hold.release(rejection('invalid_grant'));
  expect((await refused).value).toBe(won.value);
  expect(loser.events['session-ended']).toEqual([]);
});

test('fences that are given twice, by locks that know nothing of each other, don\'t make two processes write one entry', async () => {
  const store = new MapStore();
  const clock = new ManualClock();
  const client = (): MachineClient => webClient(server, { store, encryptionKeys: false, clock, lock: inProcessLock(systemClock) });
  const [one, other] = [client(), client()];
  const { session } = await signIn(one);
  clock.advance(HOUR);
  const hold = server.hold();
  const refused = session.getToken();
  await hold.arrived;
  const theirs = await other.tokens.session(session.id).getToken();
  hold.release(rejection('invalid_grant'));
  expect((await refused).value).toBe(theirs.value);
  expect(one.events['session-ended']).toEqual([]);
  clock.advance(HOUR);
  await session.getToken();
  expect(server.reuses).toBe(0);
});

describe('one thing at a time', () => {
  const wanted = { name: 'a', fenceAtLeast: 0 };

  function exclusive(lock: Lock, timeout = 50): Exclusive {
    return createExclusive({ lock, guard: createGuard('The lock', { timeout, clock: new ManualClock() }), leaseMs: 60_000 });
  }

  /** Whether nobody has it. */
  async function isFree(lock: Lock): Promise<boolean> {
    const answer = await lock.acquire('a', 'who asks', 60_000, 0);
    await lock.release('a', 'who asks');
    return 'fence' in answer;
  }

  test('within the process who wants the same name waits in line; other names don\'t', async () => {
    const line = exclusive(inProcessLock(systemClock));
    const [first, second] = [deferred(), deferred()];
    const order: string[] = [];
    const work = (name: string, until: Promise<unknown>) => async (): Promise<void> => {
      order.push(`${name} begins`);
      await until;
      order.push(`${name} ends`);
    };
    const all = [line.run(wanted, work('first', first.promise)), line.run(wanted, work('second', second.promise))];
    await line.run({ ...wanted, name: 'b' }, work('other', Promise.resolve()));
    expect([order, line.isBusy('a')]).toEqual([['first begins', 'other begins', 'other ends'], true]);
    second.resolve();
    first.resolve();
    await Promise.all(all);
    await line.settled();
    expect(order.slice(3)).toEqual(['first ends', 'second begins', 'second ends']);
    expect([line.isBusy('a'), line.isBusy('b')]).toEqual([false, false]);
  });

  test('work that fails lets the next one in, and its failure is its own', async () => {
    const lock = inProcessLock(systemClock);
    const line = exclusive(lock);
    const failed = line.run(wanted, async () => Promise.reject(new RangeError('mine')));
    const next = line.run(wanted, async () => Promise.resolve('next'));
    await expect(failed).rejects.toThrow('mine');
    expect(await next).toBe('next');
    await eventually(() => isFree(lock));
  });

  test('runIfFree does nothing while somebody is at it, here or elsewhere', async () => {
    const lock = inProcessLock(systemClock);
    const line = exclusive(lock);
    const begun = deferred();
    const until = deferred();
    const running = line.run(wanted, async () => {
      begun.resolve();
      await until.promise;
    });
    await begun.promise;
    const work = vi.fn(async () => Promise.resolve('done'));
    expect(await line.runIfFree(wanted, work)).toBeUndefined();
    until.resolve();
    await running;
    await line.settled();
    await lock.acquire('a', 'another process', 60_000, 0);
    expect(await line.runIfFree(wanted, work)).toBeUndefined();
    expect(work).not.toHaveBeenCalled();
    await lock.release('a', 'another process');
    expect(await line.runIfFree(wanted, work)).toBe('done');
  });

  test('a lock that somebody else has is waited for', async () => {
    const lock = inProcessLock(systemClock);
    await lock.acquire('a', 'another process', 60_000, 0);
    const waiting = exclusive(lock).run(wanted, async ({ fence }) => Promise.resolve(fence));
    await lock.release('a', 'another process');
    expect(await waiting).toBe(2);
  });

  test('and not for ever: then it is store_failed, retryable', async () => {
    const lock = inProcessLock(systemClock);
    await lock.acquire('a', 'another process', 60_000, 0);
    const work = vi.fn(async () => Promise.resolve());
    expect(await failureOf(exclusive(lock).run({ ...wanted, patience: 1 }, work))).toMatchObject({ code: 'store_failed', retryable: true });
    expect(work).not.toHaveBeenCalled();
  });

  test('a lock that comes after its deadline is released at once: clients run queued commands later', async () => {
    const lock = inProcessLock(systemClock);
    const late = deferred();
    const slow: Lock = {
      ...lock,
      acquire: async (...parameters) => {
        await late.promise;
        return lock.acquire(...parameters);
      },
    };
    expect(await failureOf(exclusive(slow, 1).run(wanted, async () => Promise.resolve()))).toMatchObject({ code: 'store_failed', retryable: true });
    const acquired = vi.spyOn(lock, 'acquire');
    late.resolve();
    await eventually(() => { expect(acquired).toHaveBeenCalledTimes(1); });
    await eventually(() => isFree(lock));
  });

  test('so is one whose answer was lost', async () => {
    const lock = inProcessLock(systemClock);
    const losing: Lock = {
      ...lock,
      acquire: async (...parameters) => {
        await lock.acquire(...parameters);
        throw new Error('the answer was lost');
      },
    };
    expect(await failureOf(exclusive(losing).run(wanted, async () => Promise.resolve()))).toMatchObject({ code: 'store_failed' });
    await eventually(() => isFree(lock));
  });

  test('a release that fails once is tried again, though the lock is left alone otherwise', async () => {
    const lock = inProcessLock(systemClock);
    let failures = 0;
    const shaky: Lock = {
      ...lock,
      release: async (...parameters) => {
        failures += 1;
        if (failures === 1) throw new Error('it failed');
        return lock.release(...parameters);
      },
    };
    const line = exclusive(shaky);
    await line.run(wanted, async () => Promise.resolve());
    await line.settled();
    expect(await isFree(lock)).toBe(true);
  });

  test('a lease that was lost can\'t be renewed; one whose lock doesn\'t answer counts as lost', async () => {
    const lock = inProcessLock(systemClock);
    let owner = '';
    const shaky: Lock = {
      acquire: async (name, asking, ...others) => {
        owner = asking;
        return lock.acquire(name, asking, ...others);
      },
      renew: async (...parameters) => (owner === '' ? Promise.reject(new Error('it failed')) : lock.renew(...parameters)),
      release: async (...parameters) => lock.release(...parameters),
    };
    await exclusive(shaky).run(wanted, async (lease) => {
      expect(lease.remaining()).toBeGreaterThan(0);
      expect(await lease.renew()).toBe(true);
      await lock.release('a', owner);
      await lock.acquire('a', 'another process', 60_000, 0);
      expect(await lease.renew()).toBe(false);
      owner = '';
      expect(await lease.renew()).toBe(false);
    });
    expect(await isFree(lock)).toBe(false);
  });
});
