import { minute, pinned, spread, type Fleet } from './fleet.js';
import { simulate, type Sample } from './simulate.js';
import { figure, percent, type Table } from './table.js';

const generations = 20;

/** Who waits for whom. A token of a machine is as one session that every replica uses all the time. */
export function contentionTable(fleet: Fleet, sample: Sample): Table {
  const page = { ...fleet, burst: 6 };
  const machine: Fleet = { ...spread(fleet), sessions: 1, maxEntries: 1, callsPerMinute: 60 * fleet.replicas };
  const one: Sample = { ...sample, modelled: 1 };
  return {
    title: 'The lock',
    columns: ['calls', 'renewals that others wait for', 'others, per renewal', 'lock calls, per renewal'],
    rows: [
      ['one at a time, to any replica', ...row(spread(fleet), sample, 30 * minute)],
      ['six at once, to any replicas', ...row(spread(page), sample, 30 * minute)],
      ['six at once, to one replica', ...row(pinned(page), sample, 30 * minute)],
      [`a machine token, once a second in each of ${fleet.replicas} replicas`, ...row(machine, one, generations * fleet.lifetime)],
      ['the same without jitter', ...row({ ...machine, jitter: false }, one, generations * fleet.lifetime)],
    ],
  };
}

function row(fleet: Fleet, sample: Sample, duration: number): string[] {
  const from = 2 * fleet.lifetime;
  const to = from + duration;
  const tally = simulate(fleet, { duration: to }, sample);
  const renewals = tally.perSecond('renewals', from, to);
  const perRenewal = (quantity: 'contendedRenewals' | 'waiters' | 'locks'): number => tally.perSecond(quantity, from, to) / renewals;
  return [percent(perRenewal('contendedRenewals')), figure(perRenewal('waiters')), figure(perRenewal('locks'))];
}
