import { rates, type Rates } from './arithmetic.js';
import { minute, pinned, spread, type Fleet } from './fleet.js';
import { simulate, type Sample } from './simulate.js';
import { figure, percent, type Table } from './table.js';

const fleets = (fleet: Fleet): readonly (readonly [name: string, fleet: Fleet])[] => {
  const room = (few: Fleet): string => `\`maxEntries\` ${few.maxEntries.toLocaleString('en-US')}`;
  return [
    [`any replica, ${room(fleet)}`, { ...fleet, routing: 'spread' }],
    ['any replica, room for all', spread(fleet)],
    [`one replica, ${room(fleet)}`, { ...fleet, routing: 'pinned' }],
    [`one replica, ${room(pinned(fleet))}`, pinned(fleet)],
  ];
};

/** What each way to route costs all the time, simulated and in closed form. */
export function steadyTable(fleet: Fleet, sample: Sample): Table {
  return {
    title: 'Steady state, per second',
    columns: ['calls of a session go to', '', 'from memory', 'store gets', 'sets', 'deletes', 'lock calls', 'token requests', 'of them waited for'],
    rows: fleets(fleet).flatMap(([name, each]) => [[name, 'simulated', ...row(simulated(each, sample))], ['', 'closed form', ...row(rates(each))]]),
  };
}

export function simulated(fleet: Fleet, sample: Sample): Rates {
  const from = 2 * fleet.lifetime;
  const to = from + 60 * minute;
  const tally = simulate(fleet, { duration: to }, sample);
  const rate = (quantity: Parameters<typeof tally.perSecond>[0]): number => tally.perSecond(quantity, from, to);
  return {
    calls: rate('calls'), fromMemory: rate('fromMemory'),
    gets: rate('gets'), sets: rate('sets'), deletes: rate('deletes'), locks: rate('locks'),
    tokenRequests: rate('tokenRequests'), awaitedRenewals: rate('awaitedRenewals'),
  };
}

function row({ calls, fromMemory, gets, sets, deletes, locks, tokenRequests, awaitedRenewals }: Rates): string[] {
  return [percent(fromMemory / calls), ...[gets, sets, deletes, locks, tokenRequests].map(figure), percent(awaitedRenewals / tokenRequests)];
}
