import { rates } from './arithmetic.js';
import { callInterval, minute, pinned, spread, type Fleet } from './fleet.js';
import { simulate, type Events, type Sample } from './simulate.js';
import { figure, type Table } from './table.js';
import { Tally } from './tally.js';

const rollout = 10 * minute;

/** Every replica starts anew, with nothing in memory. */
export function deployTable(fleet: Fleet, sample: Sample): Table {
  const from = 2 * fleet.lifetime;
  const row = (name: string, each: Fleet): string[] => {
    const run = (restart: Events['restart']): Tally => simulate(each, { duration: from + rollout, restart }, sample);
    const atOnce = run(() => from);
    const rolling = run((replica) => from + (replica / each.replicas) * rollout);
    const before = rates(each);
    const figures = [
      before.gets,
      atOnce.perSecond('gets', from, from + Tally.slot),
      firstSlot(each),
      atOnce.perSecond('gets', from, from + minute),
      rolling.perSecond('gets', from, from + rollout),
      before.tokenRequests,
      atOnce.peak('tokenRequests', from, from + rollout),
    ];
    return [name, ...figures.map(figure)];
  };
  return {
    title: 'A deploy',
    columns: ['calls of a session go to', 'store gets/s before', 'first 10 s, all at once', 'closed form', 'first minute', 'one after another in 10 minutes', 'token requests/s before', 'peak, all at once'],
    rows: [row('any replica', spread(fleet)), row('one replica', pinned(fleet))],
  };
}

/** The first call of each session at each replica looks into the store, and renewals go on: 2 gets and 3 in the background, 3 where somebody waits. */
function firstSlot(fleet: Fleet): number {
  const { calls, tokenRequests, awaitedRenewals } = rates(fleet);
  const perReplica = Tally.slot / callInterval(fleet);
  return (2 * calls * (1 - Math.exp(-perReplica))) / perReplica + 5 * tokenRequests - 2 * awaitedRenewals;
}
