import type { Result, Target } from './measurement.js';

/** The whole of RESULTS.md: where it was measured, what was to be reached, and every measurement. */
export function report(machine: readonly (readonly [string, string])[], results: readonly Result[]): string {
  const targets = results.flatMap((result) => result.targets);
  return [
    '# Results',
    'Written by `npm run bench`. Figures are of one run on the machine below: compare within a run, not across machines.',
    table(['', ''], machine),
    '## Targets',
    targetTable(targets),
    `${targets.filter(({ reached }) => reached).length} of ${targets.length} reached.`,
    ...results.map(section),
  ].join('\n\n') + '\n';
}

export function section({ title, method, table: { columns, rows }, targets, remarks = [] }: Result): string {
  return [`## ${title}`, method, table(columns, rows), ...remarks, targetTable(targets)].join('\n\n');
}

function targetTable(targets: readonly Target[]): string {
  return table(
    ['to reach', 'target', 'measured', 'reached'],
    targets.map(({ what, target, measured, reached }) => [what, target, measured, reached ? 'yes' : '**NO**']),
  );
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n');
}
