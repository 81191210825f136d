import { defaultRefreshPolicy } from '../../src/tokens/lifetime.js';
import { memory, visitInterval, type Fleet } from './fleet.js';
import { Grant } from './grant.js';
import { exponential, seeded, type Random } from './random.js';
import { Replica } from './replica.js';
import { Tally } from './tally.js';

/** What happens to a fleet. Times are milliseconds since its beginning, at which its memory is empty and its tokens are of any age. */
export interface Events {
  readonly duration: number;
  /** The authorization server refuses connections. */
  readonly outage?: { readonly from: number; readonly to: number } | undefined;
  /** When a replica starts anew; before that it has run for ever. */
  readonly restart?: ((replica: number) => number) | undefined;
}

export interface Sample {
  /** How many sessions are lived through, each for as many as it takes to make up the fleet. */
  readonly modelled: number;
  readonly seed: number;
}

/** Lives through the sessions one by one: all that they have in common is the time of the events, and the room in memory. */
export function simulate(fleet: Fleet, { duration, outage, restart }: Events, { modelled, seed }: Sample): Tally {
  const random = seeded(seed);
  const tally = new Tally(duration, fleet.sessions / modelled);
  const { lifetime, jitter, replicas, routing } = fleet;
  const isOutage = (time: number): boolean => outage !== undefined && time >= outage.from && time < outage.to;
  const grantContext = { tally, random, lifetime, duration: fleet.renewal, isOutage };
  const clock = { time: 0, now: () => clock.time, monotonic: () => clock.time };
  const replicaContext = { tally, random, clock, lifetime, jitter, policy: defaultRefreshPolicy, memory: memory(fleet) };
  const startedBy = (replica: number, time: number): number => {
    const restarted = restart?.(replica) ?? Infinity;
    return restarted <= time ? restarted : -Infinity;
  };

  const known = new Array<Replica | undefined>(replicas);
  for (let session = 0; session < modelled; session += 1) {
    const grant = new Grant(grantContext);
    known.fill(undefined);
    for (const [time, first] of visits(fleet, duration, random)) {
      clock.time = time;
      for (let call = 0; call < fleet.burst; call += 1) {
        const index = routing === 'pinned' ? session % replicas : (first + call) % replicas;
        const replica = (known[index] ??= new Replica(replicaContext));
        replica.call(grant, startedBy(index, time));
      }
    }
  }
  return tally;
}

/** When, and at which replica the first call of each arrives. */
function* visits(fleet: Fleet, duration: number, random: Random): Generator<readonly [time: number, replica: number]> {
  const interval = visitInterval(fleet);
  for (let time = exponential(interval, random); time < duration; time += exponential(interval, random)) {
    yield [time, Math.floor(random() * fleet.replicas)];
  }
}
