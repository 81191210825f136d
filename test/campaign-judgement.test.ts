import { describe, expect, test } from 'vitest';
import { Journal, type AnswerFate, type Outage, type ProcessLife, type RefreshOutcome } from '../campaign/journal.js';
import { judge } from '../campaign/judgement.js';
import { LEASE_MS, TIMEOUT_MS } from '../campaign/settings.js';
import { longestFree } from '../campaign/spans.js';
import { staleUses } from '../campaign/stale-uses.js';

const user = 'ann';
const never = Infinity;

/** What one process did with the session's first refresh token, or a later one; milliseconds since the beginning, the lock asked for 10 ms earlier. */
interface Renewal {
  readonly by: string;
  readonly presented?: number;
  readonly at: number;
  readonly leasedAt?: number;
  readonly outcome?: RefreshOutcome;
  readonly issued?: number;
  readonly fate?: AnswerFate;
  readonly settledAt?: number;
}

interface Story {
  readonly graceMs?: number;
  readonly renewals: readonly Renewal[];
  readonly killed?: Readonly<Record<string, number>>;
  readonly slept?: Readonly<Record<string, readonly [from: number, to: number]>>;
  readonly outages?: readonly (readonly [of: Outage['of'], from: number, to: number])[];
  readonly handOuts?: readonly (readonly [by: string, issued: number, at: number])[];
  readonly stored?: readonly (readonly [by: string, at: number])[];
  /** Leases without a refresh. */
  readonly leases?: readonly (readonly [by: string, from: number, released: number])[];
  readonly gaveUp?: { readonly ambiguous: boolean };
}

function journalOf({ graceMs = 0, renewals, killed = {}, slept = {}, outages = [], handOuts = [], stored = [], leases = [], gaveUp }: Story): Journal {
  const journal = new Journal();
  journal.graces.set(user, graceMs);
  for (const { by, presented = 1, at, outcome = 'rotated', issued, fate = 'answered', settledAt = at + 10, leasedAt = at - 10 } of renewals) {
    journal.leases.push({ process: by, user, acquiredAt: leasedAt, until: leasedAt + LEASE_MS });
    journal.refreshes.push({ process: by, user, presented: `${user}.${presented}`, arrivedAt: at, outcome, fate, settledAt, ...issued !== undefined && { issued: `${user}.${issued}` } });
  }
  for (const [by, from, released] of leases) journal.leases.push({ process: by, user, acquiredAt: from, until: from + LEASE_MS, releasedAt: released });
  for (const name of new Set(journal.leases.map(({ process }) => process))) {
    const sleep = slept[name];
    const life: ProcessLife = { name, startedAt: -1_000, readyAt: -500, stops: sleep === undefined ? [] : [{ from: sleep[0], to: sleep[1] }], stalls: [] };
    journal.processes.push({ ...life, ...killed[name] !== undefined && { killedAt: killed[name] } });
  }
  for (const [of, from, to] of outages) journal.outages.push({ of, from, to });
  for (const [process, issued, at] of handOuts) journal.handOuts.push({ process, user, issued: `${user}.${issued}`, at });
  for (const [process, at] of stored) journal.writes.push({ process, user, at });
  if (gaveUp !== undefined) journal.ends.push({ process: 'b', user, ambiguous: gaveUp.ambiguous, message: 'the session is over', at: 60_000 });
  return journal;
}

const first: Renewal = { by: 'a', at: 0, issued: 2 };
const reuse = (at: number, presented = 1): Renewal => ({ by: 'b', at, presented, outcome: 'reuse' });

const avoidable = undefined;
const killedEarly = 'the process was killed before it could store the answer';
const slept = 'the process slept past its lease';
const aboutToLeave = 'the process slept with the request about to leave';
const storeAway = 'the store was away until the lease ran out';
const unanswered = 'its refresh token was sent twice without an answer';
/** When the lease of `first` runs out. */
const leaseEnds = LEASE_MS - 10;

describe('a session was lost, and a client could not have kept it', () => {
  test.each<[string, Story, string]>([
    ['killed as its refresh arrived', { renewals: [{ ...first, fate: 'given up', settledAt: 1 }, reuse(5_000)], killed: { a: 0 } }, killedEarly],
    ['killed when the answer was written', { renewals: [first, reuse(5_000)], killed: { a: 10 } }, killedEarly],
    ['killed before a second had passed', { renewals: [first, reuse(5_000)], killed: { a: 900 } }, killedEarly],
    ['killed later, the store having been away since the answer', { renewals: [first, reuse(9_000)], killed: { a: 3_000 }, outages: [['store', 5, 3_500]] }, killedEarly],
    ['slept past the lease', { renewals: [first, reuse(5_000)], slept: { a: [5, leaseEnds + 100] } }, slept],
    ['slept almost to its end', { renewals: [first, reuse(5_000)], slept: { a: [5, leaseEnds - 500] } }, slept],
    ['slept past the timeout with the request about to leave', { renewals: [{ ...first, at: 1_600, fate: 'given up', settledAt: 1_650, leasedAt: 0 }, reuse(2_000)], slept: { a: [800, 1_590] }, stored: [['a', 790]] }, aboutToLeave],
    ['slept past the lease with the request about to leave', { renewals: [{ ...first, at: 6_000, fate: 'given up', settledAt: 6_050, leasedAt: 0 }, reuse(6_500)], slept: { a: [20, 5_990] }, stored: [['a', 10]] }, aboutToLeave],
    ['the same, and answered', { renewals: [{ ...first, at: 6_000, leasedAt: 0 }, reuse(6_500)], slept: { a: [20, 5_990] }, stored: [['a', 10]] }, aboutToLeave],
    ['the same, another process having been faster', {
      renewals: [{ by: 'c', at: 5_500, issued: 2 }, { by: 'a', at: 6_000, outcome: 'reuse', leasedAt: 0 }], slept: { a: [20, 5_990] }, stored: [['a', 10]], handOuts: [['c', 2, 5_520]],
    }, aboutToLeave],
    ['slept past the lease, and what it stored late was used after the older one had come back', {
      renewals: [first, reuse(5_000), { by: 'c', presented: 2, at: 5_100, outcome: 'refused' }], slept: { a: [5, 4_990] }, handOuts: [['a', 2, 5_010], ['c', 2, 5_090]],
    }, slept],
    ['handed out, but after sleeping past the lease', { renewals: [first, reuse(5_000)], slept: { a: [5, 6_000] }, handOuts: [['a', 2, 4_000]] }, slept],
    ['the store away until the lease ran out', { renewals: [first, reuse(6_000)], outages: [['store', 5, leaseEnds]] }, storeAway],
    ['the store away, and its connections broken', { renewals: [first, reuse(6_000)], outages: [['store, connections broken', 5, leaseEnds - 2_500]] }, storeAway],
    ['handed out from memory, the store being away', { renewals: [first, reuse(6_000)], outages: [['store', 5, leaseEnds]], handOuts: [['a', 2, 900]] }, storeAway],
    ['lost', { renewals: [{ ...first, fate: 'lost' }, reuse(200)] }, 'the answer was lost'],
    ['503 after rotating', { renewals: [{ ...first, fate: '503' }, reuse(200)] }, 'the answer was 503, after rotating'],
    ['too late, and the client gone', { renewals: [{ ...first, fate: 'given up', settledAt: TIMEOUT_MS }, reuse(2_000)] }, 'the answer came after the timeout'],
    ['too late', { renewals: [{ ...first, fate: 'late', settledAt: TIMEOUT_MS + 100 }, reuse(5_000)] }, 'the answer came after the timeout'],
    ['given up after two refreshes without an answer', { renewals: [{ by: 'a', at: 0, outcome: 'nothing', fate: 'lost' }, { ...first, at: 500, fate: 'lost' }], gaveUp: { ambiguous: true } }, unanswered],
    ['given up, one of them having been noted only', { renewals: [{ ...first, fate: 'lost' }], leases: [['c', 5_000, never]], killed: { c: 5_050 }, gaveUp: { ambiguous: true } }, unanswered],
    ['given up, one of them on a connection that was dropped', { renewals: [{ ...first, fate: 'lost' }], leases: [['c', 5_000, 5_300]], outages: [['authorization server', 5_100, 5_200]], gaveUp: { ambiguous: true } }, unanswered],
    ['with a grace, that a chain of misfortunes outlasted', {
      graceMs: 10_000,
      renewals: [{ ...first, fate: 'lost' }, { by: 'c', at: 1_000, issued: 3 }, { by: 'd', at: 6_000, issued: 4 }, reuse(11_000)],
      killed: { c: 1_010, d: 6_010 },
    }, 'the answer was lost'],
    ['with a grace, in which no process ran for long', {
      graceMs: 10_000,
      renewals: [{ ...first, fate: 'lost' }, reuse(10_500)],
      killed: { a: 6_000 },
      slept: { b: [5_000, 6_000] },
    }, 'the answer was lost'],
  ])('%s', (_title, story, reason) => {
    expect(judge(user, journalOf(story))).toMatchObject({ user, reason });
  });
});

describe('a session was lost, and a client could have kept it', () => {
  test.each<[string, Story, string]>([
    ['answered, and nothing happened', { renewals: [first, reuse(5_000)] }, 'a could have stored ann.2'],
    ['killed after a second', { renewals: [first, reuse(5_000)], killed: { a: 1_100 } }, 'a could have stored ann.2'],
    ['slept, but not past its lease', { renewals: [first, reuse(5_000)], slept: { a: [5, leaseEnds - 1_100] } }, 'a could have stored ann.2'],
    ['the store away, but not until the lease ran out', { renewals: [first, reuse(5_000)], outages: [['store', 5, leaseEnds - 1_100]] }, 'a could have stored ann.2'],
    ['handed out, and killed afterwards', { renewals: [first, reuse(5_000)], handOuts: [['a', 2, 20]], killed: { a: 30 } }, 'a could have stored ann.2'],
    ['killed, but another process had it', { renewals: [first, reuse(5_000)], handOuts: [['c', 2, 200]], killed: { a: 10 } }, 'a could have stored ann.2'],
    ['killed, but the new one was used later', { renewals: [first, { by: 'c', presented: 2, at: 5_000, issued: 3, fate: 'lost' }, reuse(6_000)], killed: { a: 10 } }, 'a could have stored ann.2'],
    ['hung up before the answer, for no reason', { renewals: [{ ...first, fate: 'given up', settledAt: 20 }, reuse(5_000)], killed: { a: 9_000 } }, 'a could have stored ann.2'],
    ['slept past the timeout, and then noted the refresh', { renewals: [{ ...first, at: 1_600, fate: 'given up', settledAt: 1_650, leasedAt: 0 }, reuse(2_000)], slept: { a: [800, 1_590] }, stored: [['a', 1_595]] }, 'a could have stored ann.2'],
    ['slept past the lease, and then noted the refresh, another process having been faster', {
      renewals: [{ by: 'c', at: 5_500, issued: 2 }, { by: 'a', at: 6_000, outcome: 'reuse', leasedAt: 0 }], slept: { a: [20, 5_990] }, stored: [['a', 5_995]], handOuts: [['c', 2, 5_520]],
    }, 'c could have stored ann.2'],
    ['hung up before the answer, having slept, but not past the timeout', { renewals: [{ ...first, at: 1_000, fate: 'given up', settledAt: 1_050, leasedAt: 0 }, reuse(2_000)], slept: { a: [800, 990] }, stored: [['a', 790]] }, 'a could have stored ann.2'],
    ['of two that were issued one could have been stored', { graceMs: 3_000, renewals: [{ ...first, fate: 'lost' }, { by: 'c', at: 500, issued: 3 }, reuse(9_000)] }, 'c could have stored ann.3'],
    ['within the grace there was time to send it again', { graceMs: 10_000, renewals: [{ ...first, fate: 'lost' }, reuse(10_500)] }, 'a process had 8500 ms with nothing in the way'],
    ['nothing had replaced it', { renewals: [reuse(0)] }, 'nothing had replaced it'],
    ['given up after one refresh without an answer', { renewals: [{ ...first, fate: 'lost' }], gaveUp: { ambiguous: true } }, '1 refreshes without an answer'],
    ['given up, one of them noted only, and not taken back though there was time', { renewals: [{ ...first, fate: 'lost' }], leases: [['c', 5_000, 5_700]], outages: [['store', 5_050, 5_800]], gaveUp: { ambiguous: true } }, '1 refreshes without an answer'],
    ['given up after a newer one could have been stored', { renewals: [{ by: 'a', at: 0, outcome: 'nothing', fate: 'lost' }, { ...first, at: 500 }], gaveUp: { ambiguous: true } }, '0 refreshes without an answer'],
    ['not found any more', { renewals: [], gaveUp: { ambiguous: false } }, 'b was told: the session is over'],
    ['nobody said that it was over', { renewals: [] }, 'nobody got a token of it any more'],
  ])('%s', (_title, story, because) => {
    const verdict = judge(user, journalOf(story));
    expect(verdict.reason).toBe(avoidable);
    expect(verdict.because).toContain(because);
  });
});

describe('a use of an older refresh token', () => {
  test.each<[string, Story, number]>([
    ['after a newer one was handed out', { renewals: [first, reuse(5_000)], handOuts: [['a', 2, 20]] }, 1],
    ['within the grace: nothing is lost by it, and it is wrong all the same', { graceMs: 9_000, renewals: [first, { by: 'b', at: 5_000, issued: 3 }], handOuts: [['a', 2, 20]] }, 1],
    ['before a newer one was handed out', { renewals: [first, reuse(15)], handOuts: [['a', 2, 20]] }, 0],
    ['after one was handed out from memory, the store being away', { renewals: [first, reuse(6_000)], outages: [['store', 5, leaseEnds]], handOuts: [['a', 2, 900]] }, 0],
    ['by a sleeper within the grace, and not what the others have gone on with', {
      graceMs: 9_000,
      renewals: [{ by: 'b', at: 5_500, issued: 2 }, { ...first, at: 6_000, issued: 3, leasedAt: 0 }, { by: 'b', presented: 2, at: 9_000, issued: 4 }],
      slept: { a: [20, 5_990] }, stored: [['a', 10]], handOuts: [['b', 2, 5_520], ['a', 3, 6_020]],
    }, 1],
    ['of the newest', { renewals: [first, { by: 'b', presented: 2, at: 5_000, issued: 3 }], handOuts: [['a', 2, 20], ['b', 3, 5_020]] }, 0],
  ])('%s', (_title, story, count) => {
    expect(staleUses(journalOf(story))).toHaveLength(count);
  });
});

test.each([
  { others: [], free: 100 },
  { others: [{ from: -10, to: 200 }], free: 0 },
  { others: [{ from: 40, to: 50 }], free: 50 },
  { others: [{ from: 60, to: 70 }, { from: 10, to: 65 }], free: 30 },
  { others: [{ from: 150, to: 160 }], free: 100 },
  { others: [{ from: -20, to: -10 }], free: 100 },
])('the longest stretch free of $others is $free', ({ others, free }) => {
  expect(longestFree({ from: 0, to: 100 }, others)).toBe(free);
});
