import { describe, expect, test } from 'vitest';
import { newCampaign } from '../campaign/campaign.js';
import { schedule } from '../campaign/faults.js';
import { findingsOf } from '../campaign/findings.js';
import { readCommandLine, type CampaignOptions } from '../campaign/options.js';
import { run } from '../campaign/run.js';
import { timeline } from '../campaign/timeline.js';
import { runProgram } from './support/child-process.js';
import { describeWithPostgres } from './support/postgres-server.js';
import { describeWithRedis } from './support/redis-server.js';

const SEED = 7;
const FAULTS = 25;
const LIMIT = 120_000;

async function campaign(store: CampaignOptions['store']): Promise<void> {
  const short = newCampaign({ store, seed: SEED, faults: FAULTS, workers: 3, sessions: 12, graces: [0, 20_000] });
  await run(short, AbortSignal.timeout(LIMIT));
  const { avoidable, staleUses, doubleUses } = findingsOf(short);
  const accounts = avoidable.map(({ user, because }) => `${user}: ${because}\n${timeline(user, short.journal)}`);
  expect(accounts).toEqual([]);
  expect(staleUses.map(({ refresh, known }) => `${known} was known:\n${timeline(refresh.user, short.journal, refresh.arrivedAt)}`)).toEqual([]);
  expect(doubleUses).toBe(0);
  expect(short.faults).toHaveLength(FAULTS);
  expect(short.alive).toBe(12);
  expect(short.journal.refreshes.some(({ outcome }) => outcome === 'rotated')).toBe(true);
}

describeWithRedis('a short campaign on Redis', () => {
  test('M2 no session is lost that a client could have kept, and no refresh token is used twice at once', { timeout: LIMIT }, async () => {
    await campaign('redis');
  });
});

describeWithPostgres('a short campaign on PostgreSQL', () => {
  test('M2 no session is lost that a client could have kept, and no refresh token is used twice at once', { timeout: LIMIT }, async () => {
    await campaign('postgres');
  });
});

describe('the faults of a campaign', () => {
  test('follow from the seed alone', () => {
    expect(schedule(1, 100)).toEqual(schedule(1, 100));
    expect(schedule(1, 100)).not.toEqual(schedule(2, 100));
    expect(schedule(1, 10)).toEqual(schedule(1, 100).slice(0, 10));
  });

  test('are of every kind, and take less than five minutes', () => {
    const faults = schedule(2026, 500);
    expect(new Set(faults.map(({ kind }) => kind)).size).toBe(14);
    expect(faults.at(-1)?.at).toBeLessThan(300_000);
  });
});

describe('the command line', () => {
  test('has defaults for everything', () => {
    expect(readCommandLine([])).toEqual({ kind: 'run', timelines: false, options: { store: 'redis', seed: 2026, faults: 500, workers: 4, sessions: 30, graces: [0, 20_000] } });
  });

  test('takes what it is given', () => {
    const parameters = ['--store', 'postgres', '--seed', '0', '--faults', '9', '--workers', '2', '--sessions', '3', '--grace', '0'];
    expect(readCommandLine([...parameters, '--timelines'])).toEqual({ kind: 'run', timelines: true, options: { store: 'postgres', seed: 0, faults: 9, workers: 2, sessions: 3, graces: [0] } });
    expect(readCommandLine([...parameters, '--schedule']).kind).toBe('schedule');
    expect(readCommandLine([...parameters, '--help'])).toEqual({ kind: 'help' });
  });

  test.each([
    [['--store', 'mysql'], '--store must be redis or postgres; received mysql'],
    [['--seed', '-1'], /--seed|argument/],
    [['--faults', 'many'], '--faults must be a whole number, 0 at least; received many'],
    [['--workers', '0'], '--workers must be a whole number, 1 at least; received 0'],
    [['--grace', '1.5'], '--grace must be a whole number, 0 at least; received 1.5'],
  ])('refuses %s', (parameters, message) => {
    expect(() => readCommandLine(parameters)).toThrow(message);
  });

  test('ends with 2 and the usage where something is unknown', async () => {
    const result = await runProgram({ file: new URL('../campaign/main.ts', import.meta.url) }, { args: ['--stores', 'redis'] });
    expect(result).toMatchObject({ code: 2, stdout: '' });
    expect(result.stderr).toContain('--stores');
    expect(result.stderr).toContain('--store redis|postgres');
  });
});
