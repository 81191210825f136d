import { contentionTable } from './contention.js';
import { deployTable } from './deploy.js';
import type { Fleet } from './fleet.js';
import { outageTable } from './outage.js';
import type { Sample } from './simulate.js';
import { steadyTable } from './steady.js';
import type { Table } from './table.js';

export const defaultSample: Sample = { modelled: 10_000, seed: 2026 };

/** The tables of docs/many-processes.md. */
export function plan(fleet: Fleet, sample: Sample): readonly Table[] {
  return [steadyTable, contentionTable, deployTable, outageTable].map((table) => table(fleet, sample));
}
