import { rates } from './arithmetic.js';
import { minute, pinned, spread, visitInterval, type Fleet } from './fleet.js';
import { simulate, type Sample } from './simulate.js';
import { figure, percent, type Table } from './table.js';
import { Tally } from './tally.js';

const length = 5 * minute;

/** The authorization server refuses connections for five minutes, and then is there again. */
export function outageTable(fleet: Fleet, sample: Sample): Table {
  const row = (name: string, each: Fleet): string[] => {
    const from = 2 * each.lifetime;
    const to = from + length;
    const echo = to + each.lifetime / 2;
    const end = to + 2 * each.lifetime;
    const tally = simulate(each, { duration: end, outage: { from, to } }, sample);
    return [
      name,
      figure(rates(each).tokenRequests),
      percent(tally.perSecond('failedCalls', to - minute, to) / tally.perSecond('calls', to - minute, to)),
      figure(tally.peak('tokenRequests', from, to)),
      figure(tally.peak('tokenRequests', to, echo)),
      figure(firstSlotAfter(each)),
      figure(tally.peak('tokenRequests', echo, end)),
    ];
  };
  return {
    title: 'Five minutes without the authorization server',
    columns: ['calls of a session go to', 'token requests/s before', 'failed calls in its last minute', 'peak in the outage', 'peak after it', 'at most, in closed form', 'peak one lifetime later'],
    rows: [
      row('any replica', spread(fleet)),
      row('any replica, without jitter', { ...spread(fleet), jitter: false }),
      row('one replica', pinned(fleet)),
      row('one replica, without jitter', { ...pinned(fleet), jitter: false }),
    ],
  };
}

/** What was due in the outage comes at each session's next call, beside what is due anyway. */
function firstSlotAfter(fleet: Fleet): number {
  const { tokenRequests } = rates(fleet);
  const waiting = (tokenRequests * length) / 1_000;
  return tokenRequests + (waiting * (1 - Math.exp(-Tally.slot / visitInterval(fleet)))) / (Tally.slot / 1_000);
}
