/** `npm run campaign`: what becomes of sessions when everything around them fails. */
import { newCampaign } from './campaign.js';
import { schedule } from './faults.js';
import { findingsOf } from './findings.js';
import { readCommandLine, usage, type CampaignOptions, type Request } from './options.js';
import { Progress } from './progress.js';
import { section, writeReport } from './report.js';
import { run } from './run.js';
import { timeline } from './timeline.js';

const parameters = process.argv.slice(2);

function request(): Request {
  try {
    return readCommandLine(parameters);
  } catch (thrown) {
    process.stderr.write(`${(thrown as Error).message}\n\n${usage}\n`);
    process.exit(2);
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function printSchedule({ seed, faults }: CampaignOptions): void {
  for (const { at, kind, lasts } of schedule(seed, faults)) print(`${(at / 1_000).toFixed(2).padStart(8)} s  ${kind}${lasts === 0 ? '' : `, ${lasts} ms`}`);
}

async function play(options: CampaignOptions, timelines: boolean): Promise<number> {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { interrupted.abort(); });
  const campaign = newCampaign(options);
  const progress = new Progress(campaign, process.stdout);
  try {
    await run(campaign, interrupted.signal);
  } catch (thrown) {
    if (!interrupted.signal.aborted) throw thrown;
    // Some fault may still be under way.
    process.exit(130);
  } finally {
    progress.end();
  }
  const findings = findingsOf(campaign);
  const commandLine = ['npm run campaign', ...parameters.length === 0 ? [] : ['--', ...parameters]].join(' ');
  writeReport(campaign, findings, commandLine);
  const told = timelines ? findings.verdicts : findings.avoidable;
  for (const { user, reason, because } of told) print(`\n${user}: ${reason ?? 'AVOIDABLE'}: ${because}\n${timeline(user, campaign.journal)}`);
  for (const { refresh: { user, arrivedAt }, known } of findings.staleUses) print(`\n${user}: used an older one than ${known}\n${timeline(user, campaign.journal, arrivedAt)}`);
  print(`\n${section(campaign, findings, commandLine)}\n\nbench/CAMPAIGN.md was written.`);
  return findings.holds ? 0 : 1;
}

const asked = request();
switch (asked.kind) {
  case 'help':
    print(usage);
    break;
  case 'schedule':
    printSchedule(asked.options);
    break;
  case 'run':
    process.exitCode = await play(asked.options, asked.timelines);
}
