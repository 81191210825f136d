import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Lock } from 'grantkeeper';
import { rates, type Rates } from '../bench/simulation/arithmetic.js';
import { defaults, pinned, spread, type Fleet } from '../bench/simulation/fleet.js';
import { defaultSample, plan } from '../bench/simulation/plan.js';
import { simulated } from '../bench/simulation/steady.js';
import { failedRenewal, look, renewal, turn, type Cost } from '../bench/simulation/store-costs.js';
import { markdown } from '../bench/simulation/table.js';
import { inProcessLock } from '../src/cache/in-process-lock.js';
import { systemClock } from '../src/clock.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { eventually } from './support/eventually.js';
import { failureOf } from './support/failure.js';
import { MapStore } from './support/map-store.js';
import { signIn, webClient } from './support/web-client.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

test('docs/many-processes.md has the tables that `npm run simulate` prints', () => {
  const page = readFileSync(new URL('../docs/many-processes.md', import.meta.url), 'utf8');
  for (const table of plan(defaults, defaultSample)) expect(page).toContain(markdown(table));
}, 120_000);

describe('the simulation agrees with the closed form', () => {
  const compared = ['gets', 'sets', 'deletes', 'locks', 'tokenRequests'] as const satisfies readonly (keyof Rates)[];
  const fleets: readonly (readonly [string, Fleet])[] = [
    ['calls to any replica', defaults],
    ['calls to any replica, room for all', spread(defaults)],
    ['calls to any of 20 replicas, tokens of an hour', spread({ ...defaults, replicas: 20, lifetime: HOUR, callsPerMinute: 0.2 })],
    ['calls to one replica', pinned(defaults)],
    ['calls to one replica, without jitter', pinned({ ...defaults, jitter: false })],
  ];

  test.each(fleets)('%s: within 5 %%', (_name, fleet) => {
    const found = simulated(fleet, { modelled: 4_000, seed: 1 });
    const expected = rates(fleet);
    for (const quantity of compared) expect(Math.abs(found[quantity] / expected[quantity] - 1), quantity).toBeLessThan(0.05);
  }, 60_000);
});

describe('the library costs what is simulated', () => {
  let server: AuthorizationServer;
  let store: MapStore;
  let lock: CountedLock;

  beforeEach(async () => {
    server = await startAuthorizationServer({ expiresIn: HOUR / 1_000 });
    server.idTokenOnRefresh = false;
    store = new MapStore();
    lock = new CountedLock();
  });

  afterEach(async () => {
    await server.close();
  });

  const replica = (): ReturnType<typeof webClient> => webClient(server, { store, lock, encryptionKeys: false, retry: { limit: 0 } });

  /** What `work` has cost by the time that its lock is released. */
  const costOf = async (work: () => Promise<unknown>): Promise<Required<Cost>> => {
    const before = spent();
    await work();
    await eventually(() => lock.isFree);
    const after = spent();
    return { gets: after.gets - before.gets, sets: after.sets - before.sets, deletes: after.deletes - before.deletes, locks: after.locks - before.locks };
  };
  const spent = (): Required<Cost> => ({ gets: store.count('get'), sets: store.count('set'), deletes: store.count('delete'), locks: lock.calls });

  test('a replica that has no token looks for it, and asks nothing after that', async () => {
    const { session } = await signIn(replica());
    const other = replica().tokens.session(session.id);
    expect(await costOf(async () => other.getToken())).toEqual(sum(look));
    expect(await costOf(async () => other.getToken())).toEqual(sum());
  });

  test('a look that finds a token which is due renews it, in the background', async () => {
    const client = replica();
    const { session } = await signIn(client);
    client.clock.advance(HOUR - 4 * MINUTE);
    const other = replica().tokens.session(session.id);
    const before = lock.calls;
    const cost = await costOf(async () => {
      await other.getToken();
      await eventually(() => lock.calls > before);
    });
    expect(cost).toEqual(sum(look, look, renewal));
  });

  test('a machine token: two gets, one set and the lock to get one; one get in every other replica', async () => {
    const [one, another] = [replica().tokens.clientCredentials(), replica().tokens.clientCredentials()];
    expect(await costOf(async () => one.getToken())).toEqual(sum({ gets: 2, sets: 1, locks: 2 }));
    expect(await costOf(async () => another.getToken())).toEqual(sum({ gets: 1 }));
    expect(await costOf(async () => another.getToken())).toEqual(sum());
  });

  test('a renewal', async () => {
    const client = replica();
    const { session } = await signIn(client);
    client.clock.advance(HOUR);
    await costOf(async () => session.getToken());
    client.clock.advance(HOUR);
    expect(await costOf(async () => session.getToken())).toEqual(sum(look, renewal));
  });

  test('renewals that fail one after another', async () => {
    const client = replica();
    const { session } = await signIn(client);
    client.clock.advance(HOUR);
    server.answersEvery({ status: 503 });
    await costOf(async () => failureOf(session.getToken()));
    client.clock.advance(HOUR / 4);
    expect(await costOf(async () => failureOf(session.getToken()))).toEqual(sum(look, failedRenewal));
  });

  test('a replica that waits for another\'s renewal', async () => {
    const client = replica();
    const { session } = await signIn(client);
    client.clock.advance(HOUR);
    const cost = await costOf(async () => {
      const hold = server.hold();
      const renewed = session.getToken();
      await hold.arrived;
      const waited = replica().tokens.session(session.id).getToken();
      await eventually(() => lock.refusals >= 3);
      hold.release();
      expect((await waited).value).toBe((await renewed).value);
    });
    expect(cost).toEqual(sum(look, renewal, look, ...Array.from({ length: lock.refusals }, () => turn)));
  });
});

function sum(...costs: readonly Cost[]): Required<Cost> {
  const of = (part: keyof Cost): number => costs.reduce((total, cost) => total + (cost[part] ?? 0), 0);
  return { gets: of('gets'), sets: of('sets'), deletes: of('deletes'), locks: of('locks') };
}

/** A lock that replicas of one test share, as they would a server's. */
class CountedLock implements Lock {
  calls = 0;
  refusals = 0;
  #held = 0;
  readonly #lock = inProcessLock(systemClock);

  get isFree(): boolean {
    return this.#held === 0;
  }

  async acquire(...wanted: Parameters<Lock['acquire']>): ReturnType<Lock['acquire']> {
    this.calls += 1;
    const answer = await this.#lock.acquire(...wanted);
    if ('fence' in answer) this.#held += 1;
    else this.refusals += 1;
    return answer;
  }

  async renew(...held: Parameters<Lock['renew']>): Promise<boolean> {
    this.calls += 1;
    return this.#lock.renew(...held);
  }

  async release(...held: Parameters<Lock['release']>): Promise<void> {
    this.calls += 1;
    await this.#lock.release(...held);
    this.#held -= 1;
  }
}
