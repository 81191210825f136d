/** Plans a fleet: what its sessions cost the store, the lock and the authorization server. Prints the tables of docs/many-processes.md. */
import { parseArgs } from 'node:util';
import { defaults, minute } from './fleet.js';
import { defaultSample, plan } from './plan.js';
import { markdown } from './table.js';

const flags = {
  replicas: { default: defaults.replicas, about: 'processes' },
  sessions: { default: defaults.sessions, about: 'sessions in use; those at rest cost storage only' },
  lifetime: { default: defaults.lifetime / minute, about: 'minutes that an access token lives' },
  calls: { default: defaults.callsPerMinute, about: 'calls of each session in a minute' },
  'max-entries': { default: defaults.maxEntries, about: 'option maxEntries of each process' },
  renewal: { default: defaults.renewal, about: 'milliseconds that a renewal takes, mostly the token request' },
  modelled: { default: defaultSample.modelled, about: 'sessions that are simulated, in the place of all' },
  seed: { default: defaultSample.seed, about: 'of what comes by chance' },
} as const;

type Flag = keyof typeof flags;

const { values } = parseArgs({
  options: { ...Object.fromEntries(Object.keys(flags).map((name) => [name, { type: 'string' as const }])), help: { type: 'boolean', short: 'h' } },
});

if (values.help === true) console.log(usage());
else run();

function run(): void {
  const fleet = {
    ...defaults,
    replicas: flag('replicas'),
    sessions: flag('sessions'),
    lifetime: flag('lifetime') * minute,
    callsPerMinute: flag('calls'),
    maxEntries: flag('max-entries'),
    renewal: flag('renewal'),
  };
  const sample = { modelled: flag('modelled'), seed: flag('seed') };
  console.log(`${fleet.replicas} replicas, ${fleet.sessions.toLocaleString('en-US')} sessions in use with ${fleet.callsPerMinute} calls a minute each, tokens of ${fleet.lifetime / minute} minutes.`);
  console.log(`${sample.modelled.toLocaleString('en-US')} sessions are simulated, and each counts ${(fleet.sessions / sample.modelled).toLocaleString('en-US')} times; seed ${sample.seed}.`);
  for (const table of plan(fleet, sample)) console.log(`\n## ${table.title}\n\n${markdown(table)}`);
}

function flag(name: Flag): number {
  const text = (values as Partial<Record<Flag, string>>)[name];
  const value = text === undefined ? flags[name].default : Number(text);
  if (!(value > 0)) throw new RangeError(`--${name} must be a number above 0; received ${text ?? ''}`);
  return value;
}

function usage(): string {
  const width = Math.max(...Object.keys(flags).map((name) => name.length));
  return [
    'npm run simulate                      the fleet of docs/many-processes.md',
    'npm run simulate -- --replicas 20 …   yours',
    '',
    ...Object.entries(flags).map(([name, { default: value, about }]) => `  --${name.padEnd(width)}  ${about} (${value.toLocaleString('en-US', { useGrouping: 'min2' })})`),
  ].join('\n');
}
