import { describe, expect, test } from 'vitest';
import { guardedStore } from '../src/cache/guarded-store.js';
import { unsealed } from '../src/cache/sealing.js';
import { SessionEntries } from '../src/sessions/session-entries.js';
import { finalFence, newestOf, refreshTokenName, type RefreshAttempt, type SessionRecord, type StoredSession } from '../src/sessions/session-record.js';
import { sessionStore } from '../src/sessions/session-store.js';
import { runProgram } from './support/child-process.js';
import { ManualClock } from './support/clock.js';
import { MapStore } from './support/map-store.js';

/** A record of this fence with this refresh token; `replaced`: the refresh token for which the server gave it. */
function record(fence: number, refreshToken: string, { replaced, attempt }: { replaced?: string; attempt?: RefreshAttempt } = {}): SessionRecord {
  return { fence, createdAt: 0, writtenAt: 0, refreshToken, replaced: replaced && refreshTokenName(replaced), attempt, parameters: {}, tokens: {} };
}

function sentBy(...fences: number[]): { attempt: RefreshAttempt } {
  return { attempt: { sends: fences.length, firstSentAt: 0, openUnder: fences } };
}

const refused = (fence: number): StoredSession => ({ fence, ended: 'refused' });
const ended: StoredSession = { fence: finalFence, ended: 'ended' };

describe('M3 the record that counts', () => {
  const [first, second, third] = [record(1, 'rt-1'), record(2, 'rt-2', { replaced: 'rt-1' }), record(3, 'rt-3', { replaced: 'rt-2' })];

  test.each<[string, readonly (StoredSession | undefined)[], StoredSession | undefined]>([
    ['nothing', [undefined, undefined], undefined],
    ['the only one', [undefined, first], first],
    ['the highest fence, wherever it stands', [second, third, first], third],
    ['a later writer\'s without the refresh token that an earlier one got late', [record(3, 'rt-1', sentBy(2)), second], second],
    ['the last of those who followed each other late', [third, record(4, 'rt-1'), second], third],
    ['the highest where a lower one only replaced something older', [record(4, 'rt-4'), second], record(4, 'rt-4')],
    ['an end by the server, above what it ended', [second, refused(3)], refused(3)],
    ['what is above an end by the server', [refused(2), third], third],
    ['an end that was asked for, whatever else there is', [third, ended, refused(9)], ended],
  ])('M3 %s', (_case, found, newest) => {
    expect(newestOf(found)).toEqual(newest);
  });
});

describe('what the owner of a fence finds', () => {
  const store = new MapStore();
  const clock = new ManualClock(0);
  const write = async (entries: SessionEntries, ...records: StoredSession[]): Promise<void> => {
    for (const session of records) await entries.writeSlot('save', session);
  };

  function entriesOf(name: string): SessionEntries {
    const sessions = sessionStore(guardedStore(store, { timeout: 1_000, clock }), unsealed, { idle: 1e9, absolute: Infinity }, clock);
    return new SessionEntries(name, sessions);
  }

  test('M3 a head that somebody wrote late hides nothing: the slots above it are looked at', async () => {
    const entries = entriesOf('late head');
    await write(entries, record(5, 'rt-5'), record(7, 'rt-7'));
    await entries.writeHead(record(4, 'rt-4'));
    expect(await entries.find(9)).toMatchObject({ newest: { refreshToken: 'rt-7' }, highestFence: 7, isHidden: true, outvoted: [4, 5] });
  });

  test('an owner that finds a record under its own fence is told so: another one was given the same', async () => {
    const entries = entriesOf('own slot');
    await entries.writeHead(record(1, 'rt-1'));
    await write(entries, record(2, 'rt-2'));
    expect(await entries.find(2)).toMatchObject({ highestFence: 2 });
  });

  test('M3 what a sender that fell silent has got meanwhile is found below the head', async () => {
    const entries = entriesOf('silent sender');
    await entries.writeHead(record(6, 'rt-1', sentBy(3, 6)));
    await write(entries, record(3, 'rt-2', { replaced: 'rt-1' }), record(6, 'rt-1', sentBy(3, 6)));
    expect(await entries.find(7)).toMatchObject({ newest: { refreshToken: 'rt-2' }, isHidden: true });
  });

  test('a gap of a hundred fences is looked through, and of a wider one the newest hundred', async () => {
    const entries = entriesOf('gap');
    await entries.writeHead(record(1, 'rt-1'));
    await write(entries, record(2, 'rt-2'));
    expect(await entries.find(101)).toMatchObject({ newest: { refreshToken: 'rt-2' } });
    const before = store.count('get');
    expect(await entries.find(1_000_000)).toMatchObject({ newest: { refreshToken: 'rt-1' } });
    expect(store.count('get') - before).toBe(2 + 100);
  });

  test('in the usual case that is the head, the end, and the slot that is still empty', async () => {
    const entries = entriesOf('usual');
    await write(entries, record(4, 'rt-4'));
    await entries.writeHead(record(4, 'rt-4'));
    const before = store.count('get');
    expect(await entries.find(5)).toMatchObject({ newest: { refreshToken: 'rt-4' }, isHidden: false, outvoted: [] });
    expect(store.count('get') - before).toBe(3);
  });

  test('R9 after an end that was asked for nothing else is found, and the tokens are gone from the store', async () => {
    const entries = entriesOf('ended');
    await write(entries, record(4, 'rt-4'));
    await entries.writeHead(record(4, 'rt-4'));
    await entries.writeHead(await entries.end('ended'));
    await entries.forget([4]);
    expect([...store.entries].filter(([key, text]) => key.startsWith('ended') && String(text).includes('rt-4'))).toEqual([]);
    await entries.writeHead(record(4, 'rt-4'));
    expect(await entries.head()).toMatchObject({ ended: 'ended' });
    expect(await entries.find(6)).toMatchObject({ newest: { ended: 'ended' } });
  });
});

test('M3 a server that gives back a refresh token of before doesn\'t hang the process: in a circle the highest fence counts', async () => {
  const { stdout, timedOut } = await runProgram(`
    import { newestOf, refreshTokenName } from '${new URL('../src/sessions/session-record.ts', import.meta.url).pathname}';
    const record = (fence, refreshToken, replaced) => ({ fence, createdAt: 0, writtenAt: 0, refreshToken, replaced: refreshTokenName(replaced), parameters: {}, tokens: {} });
    console.log(newestOf([record(5, 'rt-b', 'rt-a'), record(6, 'rt-a', 'rt-b')]).fence);
  `);
  expect({ stdout, timedOut }).toEqual({ stdout: '6\n', timedOut: false });
});
