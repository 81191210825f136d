import { readFileSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { availableParallelism, cpus, release, totalmem, type as osName } from 'node:os';
import type { Campaign } from './campaign.js';
import { refreshFaults, worldFaults } from './faults.js';
import type { Findings } from './findings.js';
import type { StoreKind } from './protocol.js';
import { LEASE_MS, TIMEOUT_MS, TOKEN_LIFETIMES } from './settings.js';

const FILE = new URL('../bench/CAMPAIGN.md', import.meta.url);

const titles: Readonly<Record<StoreKind, string>> = { redis: '## Redis', postgres: '## PostgreSQL' };

const INTRODUCTION = `# Campaign

Written by \`npm run campaign\`: worker processes on one store, an authorization server that detects reuse, and faults. Each session is used by all workers,
tokens live ${TOKEN_LIFETIMES[0] ?? 0} to ${TOKEN_LIFETIMES.at(-1) ?? 0} s, \`timeout\` is ${TIMEOUT_MS} ms and so a lease ${LEASE_MS} ms. Kinds, times and targets of the faults follow from the seed; what each of them hits depends on the machine.
By which rule a loss is called unavoidable is said in \`campaign/judgement.ts\` and \`campaign/excuse.ts\`.`;

/** Writes the section of this campaign's store into the file, and leaves the other's as it is. */
export function writeReport(campaign: Campaign, findings: Findings, commandLine: string): void {
  const sections = new Map(present().split(/^(?=## )/m).slice(1).map((text) => [text.slice(0, text.indexOf('\n')), text.trimEnd()]));
  sections.set(titles[campaign.options.store], section(campaign, findings, commandLine));
  const inOrder = Object.values(titles).flatMap((title) => sections.get(title) ?? []);
  writeFileSync(FILE, `${[INTRODUCTION, ...inOrder].join('\n\n')}\n`);
}

function present(): string {
  try {
    return readFileSync(FILE, 'utf8');
  } catch {
    return '';
  }
}

export function section(campaign: Campaign, findings: Findings, commandLine: string): string {
  const { options } = campaign;
  return [
    titles[options.store],
    table(['', ''], [...figures(campaign, findings), ...circumstances(campaign, commandLine)]),
    table(['fault', 'times'], [...refreshFaults, ...worldFaults].map((kind) => [kind, String(campaign.faults.filter((fault) => fault.kind === kind).length)])),
    findings.verdicts.length === 0 ? 'No session was lost.' : table(['why a session was lost', 'without grace', 'with grace'], losses(campaign, findings)),
    ...findings.avoidable.map(({ user, because }) => `- **AVOIDABLE** ${user}: ${because}`),
    ...findings.staleUses.map(({ refresh, known }) => `- **STALE** ${refresh.process} sent ${refresh.presented}, though ${known} had been handed out`),
  ].join('\n\n');
}

function figures({ journal, sessions, faults, calls, stuck, durationMs }: Campaign, { verdicts, avoidable, doubleUses, sleepersUses, staleUses }: Findings): string[][] {
  const rotated = journal.refreshes.filter(({ outcome }) => outcome === 'rotated').length;
  return [
    ['faults injected', count(faults.length)],
    ['sessions', count(sessions)],
    ['sessions lost', count(verdicts.length)],
    ['of them avoidable', zero(avoidable.length)],
    ['refresh tokens used twice at once', zero(doubleUses)],
    ['refresh tokens used after a newer one was handed out', zero(staleUses.length)],
    ['either, by a process that slept past its lease with the request about to leave', count(sleepersUses)],
    ['sessions without a new token after the last fault', zero(stuck.length)],
    ['renewals', count(rotated)],
    ['token requests per renewal', (journal.refreshes.length / Math.max(1, rotated)).toFixed(3)],
    ['calls of `getToken()`', count(calls.made)],
    ['of them failed', [...calls.failed].map(([code, times]) => `${count(times)} \`${code}\``).join(', ') || '0'],
    ['longest wait of a caller, the sleep of its own process apart', `${(calls.longestWaitMs / 1_000).toFixed(2)} s`],
    ['processes started', count(journal.processes.length)],
    ['duration', `${Math.round(durationMs / 1_000)} s`],
  ];
}

function circumstances({ options, startedAt }: Campaign, commandLine: string): string[][] {
  return [
    ['seed', String(options.seed)],
    ['command', `\`${commandLine}\``],
    ['date', `${startedAt.toISOString().slice(0, 16).replace('T', ' ')} UTC`],
    ['machine', `${cpus()[0]?.model ?? 'unknown'}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, ${osName()} ${release()}`],
    ['versions', `Node ${process.version.slice(1)}, ${options.store === 'redis' ? versionOf('redis-server', /v=(\S+)/) : versionOf('postgres', /([\d.]+)/)}`],
  ];
}

function versionOf(program: string, pattern: RegExp): string {
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return `${program} ${pattern.exec(stdout)?.[1] ?? 'of unknown version'}`;
}

function losses({ journal }: Campaign, { verdicts }: Findings): string[][] {
  const reasons = [...new Set(verdicts.map(({ reason }) => reason))];
  return reasons.map((reason) => {
    const users = verdicts.filter((verdict) => verdict.reason === reason).map(({ user }) => user);
    const withGrace = users.filter((user) => (journal.graces.get(user) ?? 0) > 0).length;
    return [reason ?? '**a client could have kept it**', String(users.length - withGrace), String(withGrace)];
  });
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** Of what must not happen at all. */
function zero(value: number): string {
  return value === 0 ? '0' : `**${count(value)}**`;
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n');
}
