import { defaultRefreshPolicy, mayRefresh, mustRefresh } from '../../src/tokens/lifetime.js';
import { callInterval, memory, visitInterval, type Fleet } from './fleet.js';
import { look, renewal } from './store-costs.js';

/** What a fleet does in a second, in closed form: nothing is drawn, there are only shares and means. */
export interface Rates {
  readonly calls: number;
  /** Answered from memory. */
  readonly fromMemory: number;
  readonly gets: number;
  readonly sets: number;
  readonly deletes: number;
  readonly locks: number;
  /** One each renewal. */
  readonly tokenRequests: number;
  /** Those that a caller waited for. */
  readonly awaitedRenewals: number;
}

const second = 1_000;
/** How finely the random part of the refresh-ahead window is looked at. */
const spreads = 50;

/** Counts of one session, and then of all: each generation of its token is renewed once, and looked for by every call that finds none in its replica. */
export function rates(fleet: Fleet): Rates {
  const { interval, awaited, known } = generation(fleet);
  const renewals = (fleet.sessions * second) / interval;
  const calls = (fleet.sessions * second * fleet.burst) / visitInterval(fleet);
  const fromMemory = calls * known;
  // A renewal in the background is one more look, by a call that was answered already.
  const looks = calls - fromMemory + renewals * (1 - awaited);
  const of = (cost: number | undefined): number => renewals * (cost ?? 0);
  return {
    calls,
    fromMemory,
    gets: looks * (look.gets ?? 0) + of(renewal.gets),
    sets: of(renewal.sets),
    deletes: of(renewal.deletes),
    locks: of(renewal.locks),
    tokenRequests: renewals,
    awaitedRenewals: renewals * awaited,
  };
}

interface Generation {
  /** Milliseconds from one renewal to the next, in the mean. */
  readonly interval: number;
  /** Share of those that nobody began in the background. */
  readonly awaited: number;
  /** Share of the calls that find a good token in the memory of their replica. */
  readonly known: number;
}

/**
 * Follows a token by its age. Calls come at random, so at each age it's still the session's newest with a probability that falls by the share of calls that
 * find it due, in the memory of their replica or, with another draw, in the store. Once it must be refreshed, the next call renews it.
 */
function generation(fleet: Fleet): Generation {
  const { lifetime, burst } = fleet;
  const visit = visitInterval(fleet);
  let interval = 0;
  let awaited = 0;
  let known = 0;
  const groups = drawsOf(fleet);
  for (const draws of groups) {
    let newest = 1 / groups.length;
    for (let age = 0; !mustRefresh(lifetime, age, defaultRefreshPolicy); age += second) {
      const knowing = shareKnowing(fleet, age);
      const due = knowing * shareDue(draws, lifetime, age) + (1 - knowing) * shareDue(groups.flat(), lifetime, age);
      interval += newest * second;
      known += newest * second * knowing;
      newest *= Math.exp((-second / visit) * (1 - (1 - due) ** burst));
    }
    interval += newest * visit;
    awaited += newest;
  }
  return { interval, awaited, known: known / interval };
}

/** The random parts of the window: a session's one replica has drawn once, each of many for itself. */
function drawsOf({ jitter, routing }: Fleet): readonly (readonly number[])[] {
  const draws = Array.from({ length: spreads }, (_, index) => (jitter ? (index + 0.5) / spreads : 0));
  return routing === 'pinned' ? draws.map((spread) => [spread]) : [draws];
}

function shareDue(draws: readonly number[], lifetime: number, age: number): number {
  return draws.filter((spread) => mayRefresh(lifetime, age, defaultRefreshPolicy, spread)).length / draws.length;
}

/** Share of the calls whose replica had one before since the token is there, and not so long ago that it's forgotten. */
function shareKnowing(fleet: Fleet, age: number): number {
  const reach = Math.min(memory(fleet), fleet.routing === 'pinned' ? Infinity : age);
  return 1 - Math.exp(-reach / callInterval(fleet));
}
