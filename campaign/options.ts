import { parseArgs } from 'node:util';
import { DEFAULT_GRACE_MS } from './settings.js';
import type { StoreKind } from './protocol.js';

export interface CampaignOptions {
  readonly store: StoreKind;
  readonly seed: number;
  readonly faults: number;
  readonly workers: number;
  readonly sessions: number;
  /** Milliseconds of grace that grants get, in turn: `[0, 20000]` gives it to every second one. */
  readonly graces: readonly number[];
}

export const usage: string = `npm run campaign -- [options]

  --store redis|postgres   what the processes share                              (redis)
  --seed N                 kinds, times and targets of the faults follow from it (2026)
  --faults N               how many                                              (500)
  --grace mixed|MS         how long the server takes a replaced refresh token;
                           mixed: every second grant for ${DEFAULT_GRACE_MS} ms, the others not    (mixed)
  --workers N              processes                                             (4)
  --sessions N             signed in at a time, each used by all processes       (30)
  --timelines              prints what happened to every session that was lost
  --schedule               prints the faults, and starts nothing
  --help                   this

Writes bench/CAMPAIGN.md. Ends with 1 if a session was lost that a client could have kept, or a refresh token was used twice at once.`;

export type Request = { readonly kind: 'help' } | { readonly kind: 'schedule' | 'run'; readonly options: CampaignOptions; readonly timelines: boolean };

/** @throws Error that says what is wrong with the command line */
export function readCommandLine(parameters: readonly string[]): Request {
  const { values } = parseArgs({
    args: [...parameters],
    options: {
      store: { type: 'string', default: 'redis' },
      seed: { type: 'string', default: '2026' },
      faults: { type: 'string', default: '500' },
      grace: { type: 'string', default: 'mixed' },
      workers: { type: 'string', default: '4' },
      sessions: { type: 'string', default: '30' },
      timelines: { type: 'boolean', default: false },
      schedule: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return { kind: 'help' };
  if (values.store !== 'redis' && values.store !== 'postgres') throw new Error(`--store must be redis or postgres; received ${values.store}`);
  const options: CampaignOptions = {
    store: values.store,
    seed: wholeNumber('seed', values.seed, 0),
    faults: wholeNumber('faults', values.faults, 0),
    workers: wholeNumber('workers', values.workers, 1),
    sessions: wholeNumber('sessions', values.sessions, 1),
    graces: values.grace === 'mixed' ? [0, DEFAULT_GRACE_MS] : [wholeNumber('grace', values.grace, 0)],
  };
  return { kind: values.schedule ? 'schedule' : 'run', options, timelines: values.timelines };
}

function wholeNumber(name: string, value: string, atLeast: number): number {
  const number = Number(value);
  if (!/^\d+$/.test(value) || !Number.isSafeInteger(number) || number < atLeast) throw new Error(`--${name} must be a whole number, ${atLeast} at least; received ${value}`);
  return number;
}
