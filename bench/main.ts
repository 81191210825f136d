/** Measures the built package beside its peers and writes RESULTS.md. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { machine } from './machine.js';
import type { Result } from './measurement.js';
import { measurements } from './measurements/index.js';
import { runJob } from './processes/run-job.js';
import { report, section } from './report.js';

const { values: { only, help } } = parseArgs({ options: { only: { type: 'string' }, help: { type: 'boolean', short: 'h' } } });

if (help === true) {
  console.log(usage());
} else if (only === undefined) {
  const start = performance.now();
  const where = machine();
  const results: Result[] = [];
  for (const name of measurements.keys()) results.push(await measure(name));
  const text = report(where, results);
  writeFileSync(new URL('RESULTS.md', import.meta.url), text);
  console.log(`\n${text}\nbench/RESULTS.md was written; ${Math.round((performance.now() - start) / 1000)} s.`);
} else if (measurements.has(only)) {
  console.log(`\n${section(await measure(only))}`);
} else {
  console.error(`No measurement is called ${only}.\n\n${usage()}`);
  process.exitCode = 1;
}

async function measure(name: string): Promise<Result> {
  const progress = (line: string): void => {
    console.log(`${name}: ${line}`);
  };
  progress('starts');
  return (await runJob(new URL('jobs/measure.ts', import.meta.url), name, { flags: ['--expose-gc'], progress })) as Result;
}

function usage(): string {
  const width = Math.max(...[...measurements.keys()].map((name) => name.length));
  return [
    'npm run bench                    all measurements; writes bench/RESULTS.md',
    'npm run bench -- --only NAME     one of them; writes nothing',
    '',
    ...[...measurements].map(([name, { about }]) => `  ${name.padEnd(width)}  ${about}`),
  ].join('\n');
}
