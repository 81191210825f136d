import fc from 'fast-check';
import { OAuthError } from 'grantkeeper';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RotationWorld, serverFaults, TOKEN_LIFETIME, type Trouble } from './support/rotation-world.js';
import { lateFaults, networkFaults } from './support/simulated-network.js';

/*
 * Three processes share a store, a lock and a grant whose server rotates the refresh token at every use, and kills the grant when one comes back after
 * its time: at once, or after a grace of 30 s. Whatever they do to each other, in whatever order their calls arrive and are answered, and whatever goes
 * wrong with any of these calls:
 *
 * - a refresh token is on its way once at a time, and twice in all where no answer says what became of it and no grace is left;
 * - each fence is written under by one process, and nothing is written over the end of a session;
 * - nobody sees an access token before the refresh token that came with it is kept, unless the store or the lock failed, or somebody signed out;
 * - whoever asks is answered, and after `end()` by `reauthorization_required` only.
 *
 * A session is lost only where no client could have kept it, which is where
 *
 * - the answer to a refresh was lost, came too late, or was a 503 after the fact, and the repetition came after the grace;
 * - the process that had the answer was killed, slept longer than its lease, or was refused by the store or the lock, and another one went on with what
 *   the store had;
 * - a refresh token's two sends both may have gone wrong, and sending it a third time is what a server takes for a theft;
 * - somebody signed out.
 *
 * Then everybody who asks is told `reauthorization_required`. In every other case everybody gets tokens once the trouble is over.
 */

const PROCESSES = 3;
const GRACE = 30_000;

type Step =
  | { readonly kind: 'go on'; readonly steps: number }
  | { readonly kind: 'ask'; readonly who: number; readonly isRefused: boolean }
  | { readonly kind: 'let pass'; readonly ms: number }
  | { readonly kind: 'kill'; readonly who: number | 'holder'; readonly requestsOutliveIt: boolean }
  | { readonly kind: 'sleep'; readonly who: number | 'holder'; readonly ms: number }
  | { readonly kind: 'end'; readonly who: number | 'holder' };

const who = fc.nat({ max: PROCESSES - 1 });
const victim = fc.oneof(who, fc.constant('holder' as const));

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 20, arbitrary: fc.record({ kind: fc.constant('go on' as const), steps: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 20, arbitrary: fc.record({ kind: fc.constant('ask' as const), who, isRefused: fc.boolean() }) },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('let pass' as const), ms: fc.constantFrom(200, 1_000, 5_000, 15_000, TOKEN_LIFETIME, GRACE) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('kill' as const), who: victim, requestsOutliveIt: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('sleep' as const), who: victim, ms: fc.constantFrom(2_000, 15_000, 40_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('end' as const), who: victim }) },
);

const life = fc.array(step, { minLength: 3, maxLength: 60, size: 'max' });

/** Mostly nothing goes wrong: `often` times out of ten something does. */
function tape<T>(faults: readonly T[], often: number, maxLength: number): fc.Arbitrary<(T | 'none')[]> {
  const fault: fc.Arbitrary<T | 'none'> = fc.oneof({ weight: 10 - often, arbitrary: fc.constant('none' as const) }, { weight: often, arbitrary: fc.constantFrom(...faults) });
  return fc.array(fault, { maxLength, size: 'max' });
}

const trouble: fc.Arbitrary<Trouble> = fc.record({ calls: tape([...networkFaults, ...lateFaults], 1, 120), refreshes: tape(serverFaults, 4, 12) });

beforeEach(() => {
  // Pauses are a random part of what they may be: the seed has to say everything.
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

function placeOf(place: number | 'holder', world: RotationWorld): number {
  return place === 'holder' ? world.holder : place;
}

async function live(world: RotationWorld, steps: readonly Step[]): Promise<void> {
  for (const current of steps) {
    switch (current.kind) {
      case 'go on':
        for (let count = 0; count < current.steps; count += 1) await world.step();
        break;
      case 'ask':
        void world.ask(current.who, current.isRefused);
        break;
      case 'let pass':
        await world.time.pass(current.ms);
        break;
      case 'kill':
        world.kill(placeOf(current.who, world), current.requestsOutliveIt);
        break;
      case 'sleep':
        world.sleep(placeOf(current.who, world), current.ms);
        break;
      case 'end':
        void world.end(placeOf(current.who, world));
        break;
    }
  }
}

/** The trouble is over, no access token of before is good any more, and one after the other asks: those who lived through it, and one who did not. */
async function checkOutcome(world: RotationWorld): Promise<void> {
  world.stopTrouble();
  await world.settle();
  world.start(PROCESSES);
  for (let index = 0; index <= PROCESSES; index += 1) {
    await world.time.pass(2 * TOKEN_LIFETIME);
    const answer = world.ask(index, false);
    await world.settle();
    const outcome = await answer;
    if (world.ended === undefined && world.grant.isAlive) expect(outcome instanceof OAuthError ? outcome : outcome.value).toBe(world.grant.newest.accessToken);
    else expect(outcome).toMatchObject({ code: 'reauthorization_required' });
  }
}

test('R1-R9 a session is lost only where no client could have kept it, and whoever asks for it is told', { timeout: 120_000 }, async () => {
  await fc.assert(fc.asyncProperty(fc.scheduler(), trouble, life, fc.constantFrom(0, GRACE), async (scheduler, next, steps, graceMs) => {
    const world = new RotationWorld(scheduler, graceMs);
    world.time.install();
    try {
      await world.begin(PROCESSES);
      world.goesWrongWith(next);
      await live(world, steps);
      await checkOutcome(world);
      expect(world.checks.violations).toEqual([]);
    } finally {
      vi.unstubAllGlobals();
    }
  }), { numRuns: 400 });
});
