import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Lock, TokenManager } from 'grantkeeper';
import { createExclusive } from '../src/cache/exclusive.js';
import { createGuard } from '../src/cache/guard.js';
import { inProcessLock } from '../src/cache/in-process-lock.js';
import { systemClock } from '../src/clock.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { ManualClock } from './support/clock.js';
import { deferred } from './support/deferred.js';
import { eventually } from './support/eventually.js';
import { failureOf } from './support/failure.js';
import { FaultyStore } from './support/faulty-store.js';
import { machineClient, type MachineClient, type MachineClientOptions } from './support/machine-client.js';
import { rejection } from './support/token-server.js';

const HOUR = 3_600_000;
const PROCESSES = 8;

let server: AuthorizationServer;
let store: FaultyStore;
let lock: Lock;
let clock: ManualClock;

beforeEach(async () => {
  server = await startAuthorizationServer();
  store = new FaultyStore();
  lock = inProcessLock(systemClock);
  clock = new ManualClock();
});

afterEach(async () => {
  await server.close();
});

/** One manager stands for a process: they share a store and a lock, and nothing else. */
function processWith(options: MachineClientOptions = {}): MachineClient {
  return machineClient(server, { store, encryptionKeys: false, lock, clock, ...options });
}

function processes(options: MachineClientOptions = {}): MachineClient[] {
  return Array.from({ length: PROCESSES }, () => processWith(options));
}

async function tokenOf({ tokens }: { tokens: TokenManager }): Promise<string> {
  return (await tokens.clientCredentials().getToken()).value;
}

describe('M1 machine tokens of processes on one store', () => {
  test('M1 eight cold processes with a hundred callers each cost one token request', async () => {
    const hold = server.hold();
    const all = Promise.all(processes().flatMap((process) => Array.from({ length: 100 }, async () => tokenOf(process))));
    await hold.arrived;
    hold.release();
    expect(new Set(await all)).toEqual(new Set(['at-1']));
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('M1 tokens without a lifetime can\'t be shared: once that is known nobody queues for them, however often their source is made', async () => {
    server.expiresIn = 0;
    let acquired = 0;
    const counting: Lock = { ...lock, acquire: async (...parameters) => { acquired += 1; return lock.acquire(...parameters); } };
    const process = processWith({ lock: counting });
    for (let calls = 0; calls < 4; calls += 1) await tokenOf(process);
    expect([acquired, server.tokenRequests.length]).toEqual([1, 4]);
  });

  test('M1 at renewal one process asks, and the others take what it got', async () => {
    const all = processes();
    await Promise.all(all.map(tokenOf));
    clock.advance(HOUR);
    expect(new Set(await Promise.all(all.map(tokenOf)))).toEqual(new Set(['at-2']));
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('M1 ahead of expiry too: each serves what it has, one asks, and each comes to the next', async () => {
    const all = processes();
    await Promise.all(all.map(tokenOf));
    clock.advance(0.95 * HOUR);
    expect(new Set(await Promise.all(all.map(tokenOf)))).toEqual(new Set(['at-1']));
    await eventually(async () => { expect(new Set(await Promise.all(all.map(tokenOf)))).toEqual(new Set(['at-2'])); });
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('M1 a token that a process finds due is served, and renewed at once: its next call may be far away', async () => {
    await tokenOf(processWith());
    clock.advance(0.95 * HOUR);
    const cold = processWith();
    expect(await tokenOf(cold)).toBe('at-1');
    await eventually(() => { expect(server.tokenRequests).toHaveLength(2); });
    await cold.tokens.close();
  });

  test('R8 a token that a process finds with little left is served while the server is down', async () => {
    await tokenOf(processWith());
    clock.advance(HOUR - 10_000);
    server.answersNext(...Array.from({ length: 3 }, () => ({ status: 503 })));
    expect(await tokenOf(processWith())).toBe('at-1');
    expect(await tokenOf(processWith())).toBe('at-2');
  });

  test('M1 a process with a good token asks neither the store nor the lock', async () => {
    const process = processWith();
    await tokenOf(process);
    const calls = store.calls.length;
    for (let times = 0; times < 1_000; times += 1) await tokenOf(process);
    expect(store.calls).toHaveLength(calls);
  });

  test('M1 a refused token\'s successor is learnt from the store before the server is asked', async () => {
    const [one, other] = [processWith(), processWith()];
    const source = one.tokens.clientCredentials();
    const refused = await source.getToken();
    expect(await tokenOf(other)).toBe('at-1');
    await source.getToken({ rejected: refused });
    expect((await other.tokens.clientCredentials().getToken({ rejected: refused })).value).toBe('at-2');
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('M1 refused in all processes at once, it costs one token request', async () => {
    const all = processes();
    const tokens = await Promise.all(all.map(async ({ tokens: manager }) => manager.clientCredentials().getToken()));
    const next = await Promise.all(all.map(async ({ tokens: manager }, index) => manager.clientCredentials().getToken({ rejected: tokens[index] })));
    expect(new Set(next.map(({ value }) => value))).toEqual(new Set(['at-2']));
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('M1 who gets the lock looks once more: somebody may have been there since it looked', async () => {
    const [asked, goesOn] = [deferred(), deferred()];
    const slow: Lock = {
      acquire: async (...call) => {
        asked.resolve();
        await goesOn.promise;
        return lock.acquire(...call);
      },
      renew: async (...call) => lock.renew(...call),
      release: async (...call) => lock.release(...call),
    };
    const waiting = tokenOf(processWith({ lock: slow }));
    await asked.promise;
    await tokenOf(processWith());
    goesOn.resolve();
    expect(await waiting).toBe('at-1');
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('without a lock of its own each process asks for itself, as it does without a store', async () => {
    const hold = server.hold();
    const one = tokenOf(processWith({ lock: undefined }));
    await hold.arrived;
    await tokenOf(processWith({ lock: undefined }));
    hold.release();
    await one;
    expect(server.tokenRequests).toHaveLength(2);
  });
});

describe('M4 a token that can be had again is not worth a failure', () => {
  test('M4 a lock that stays somebody else\'s holds a process up for half its time, and no longer', async () => {
    const holder = createExclusive({ lock, guard: createGuard('The lock', { timeout: 1_000, clock: systemClock }), leaseMs: HOUR });
    const process = processWith({ timeout: 400 });
    const end = deferred();
    await tokenOf(processWith());
    const [name = ''] = [...store.entries.keys()];
    store.entries.clear();
    const held = holder.run({ name, fenceAtLeast: 0 }, async () => end.promise);
    expect(await tokenOf(process)).toBe('at-2');
    expect(process.events['store-failed']).toEqual([]);
    end.resolve();
    await held;
  });

  test('M4 a lock whose server is down: alone, and said once', async () => {
    const down = async (): Promise<never> => Promise.reject(new Error('down'));
    const process = processWith({ lock: { acquire: down, renew: down, release: down } });
    await tokenOf(process);
    clock.advance(100);
    await process.tokens.clientCredentials({ scope: 'other' }).getToken();
    expect(server.tokenRequests).toHaveLength(2);
    expect(process.events['store-failed']).toHaveLength(1);
  });

  test('M4 a refusal by the server is no failure of the lock: it is not asked twice', async () => {
    server.answersNext(rejection('invalid_client', 401));
    const process = processWith();
    expect(await failureOf(tokenOf(process))).toMatchObject({ code: 'token_request_failed', error: 'invalid_client' });
    expect(server.tokenRequests).toHaveLength(1);
    expect(process.events['store-failed']).toEqual([]);
  });

  test('M4 a store that is down while the lock works: each asks for itself, one after the other', async () => {
    store.isDown = true;
    const all = processes();
    await Promise.all(all.map(tokenOf));
    expect(server.tokenRequests).toHaveLength(PROCESSES);
  });

  test('a lease is renewed for as long as the work takes', async () => {
    let renewals = 0;
    const counting: Lock = {
      acquire: async (...call) => lock.acquire(...call),
      release: async (...call) => lock.release(...call),
      renew: async (...call) => {
        renewals += 1;
        return lock.renew(...call);
      },
    };
    const exclusive = createExclusive({ lock: counting, guard: createGuard('The lock', { timeout: 1_000, clock: systemClock }), leaseMs: HOUR });
    await exclusive.run({ name: 'a', fenceAtLeast: 0, renewedLeaseMs: 60 }, async () => eventually(() => { expect(renewals).toBeGreaterThan(5); }));
    const then = renewals;
    await exclusive.run({ name: 'a', fenceAtLeast: 0 }, async () => Promise.resolve());
    expect(renewals).toBe(then);
  });

  test('a closed manager that waited for somebody else sends nothing', async () => {
    const hold = server.hold();
    const first = tokenOf(processWith());
    await hold.arrived;
    const process = processWith();
    const waiting = failureOf(tokenOf(process));
    const gets = store.count('get');
    await eventually(() => { expect(store.count('get')).toBeGreaterThan(gets + 1); });
    const closed = process.tokens.close();
    server.answersNext(rejection('temporarily_unavailable', 400));
    hold.release(rejection('invalid_scope'));
    await failureOf(first);
    expect(await waiting).toMatchObject({ code: 'invalid_configuration' });
    await closed;
    expect(server.tokenRequests).toHaveLength(1);
  });
});
