import { couldStore, excuseOf, isSleepers, lifeOf, sleepsOf, storeOutages, type Reason } from './excuse.js';
import { issueNumber, type Journal, type Lease, type Refresh, type ReportedEnd, type Span } from './journal.js';
import { TIMEOUT_MS } from './settings.js';
import { longestFree, overlap } from './spans.js';

/** Why a session was lost. Without a reason a client could have kept it. */
export interface Verdict {
  readonly user: string;
  readonly reason?: Reason;
  /** For the reader of the report: what the verdict rests on. */
  readonly because: string;
}

/** Milliseconds within a grace in which nothing is in the way: what a renewal takes, after the longest pause for which a store that failed is left alone. */
const OPPORTUNITY_MS = 5_000;

/**
 * Whether a client could have kept the session that was lost. A refresh token that comes back after its time is nobody's fault only if
 * it was sent by a process that slept past its lease with the request about to leave, or if
 *
 * - all that was issued since then has an excuse (excuse.ts): it reached nobody who could have stored it; and
 * - the grace, if the grant has one, left no time to send the old one again: there was no process that ran for long enough in one piece, free of outages, of leases
 *   whose owners had died or slept, and of requests without an answer.
 *
 * A client that gives up while the grant is alive must have sent the newest refresh token that it could know twice, without an answer, as far as its notes tell.
 */
export function judge(user: string, journal: Journal): Verdict {
  const refreshes = journal.refreshes.filter((refresh) => refresh.user === user);
  const reuse = refreshes.find(({ outcome }) => outcome === 'reuse');
  if (reuse !== undefined) return judgeReuse(reuse, refreshes, journal);
  const end = journal.ends.find((reported) => reported.user === user);
  if (end !== undefined) return judgeGivingUp(end, refreshes, journal);
  return { user, because: 'nobody got a token of it any more, and nobody said that it was over' };
}

function judgeReuse(reuse: Refresh, refreshes: readonly Refresh[], journal: Journal): Verdict {
  const { user, presented, arrivedAt, process } = reuse;
  if (isSleepers(reuse, journal)) return { user, reason: 'the process slept with the request about to leave', because: `${process} sent ${presented} on waking` };
  const newer = refreshes.filter(({ outcome, issued }) => outcome === 'rotated' && issued !== undefined && issueNumber(issued) > issueNumber(presented));
  const [first] = newer;
  if (first === undefined) return { user, because: `${presented} was refused though nothing had replaced it` };
  const known = newer.find((issuance) => excuseOf(issuance, journal, arrivedAt) === undefined);
  if (known !== undefined) return { user, because: `${process} sent ${presented} again though ${known.process} could have stored ${known.issued ?? ''}` };
  const reason = excuseOf(first, journal, arrivedAt);
  return withinGrace(user, first.arrivedAt, refreshes, journal) ?? { user, ...reason !== undefined && { reason }, because: `${presented}, sent again ${arrivedAt - first.arrivedAt} ms later` };
}

function judgeGivingUp({ user, ambiguous, message, process }: ReportedEnd, refreshes: readonly Refresh[], journal: Journal): Verdict {
  if (!ambiguous) return { user, because: `${process} was told: ${message}` };
  const kept = refreshes.filter((refresh) => refresh.outcome === 'rotated' && excuseOf(refresh, journal) === undefined).at(-1);
  const since = kept?.settledAt ?? -Infinity;
  // Those that count: an answer came of the others, if only a 503.
  const sent = refreshes.filter(({ arrivedAt, outcome, fate }) => arrivedAt > since && fate !== '503' && (fate !== 'answered' || outcome === 'rotated'));
  const unanswered = [...sent.map(({ arrivedAt }) => arrivedAt), ...unsent(user, since, sent, journal).map(({ acquiredAt }) => acquiredAt)].sort((a, b) => a - b);
  const [first = 0] = unanswered;
  if (unanswered.length < 2) return { user, because: `${process} gave up after ${unanswered.length} refreshes without an answer` };
  return withinGrace(user, first, refreshes, journal) ?? { user, reason: 'its refresh token was sent twice without an answer', because: `${unanswered.length} refreshes without an answer` };
}

/**
 * Leases in which a refresh may have been noted that never arrived: the authorization server dropped its connections, or from some trouble on their owner
 * could not take the note back until the lease ran out.
 */
function unsent(user: string, since: number, sent: readonly Refresh[], journal: Journal): Lease[] {
  return journal.leases.filter((lease) => {
    const { process, acquiredAt, until } = lease;
    const span = { from: acquiredAt, to: lease.releasedAt ?? until };
    if (lease.user !== user || acquiredAt <= since || sent.some((refresh) => refresh.process === process && overlap({ from: refresh.arrivedAt, to: refresh.arrivedAt }, span))) return false;
    const trouble = troubleOf(process, journal).filter((other) => overlap(other, span)).map(({ from }) => Math.max(from, acquiredAt));
    return trouble.some((from) => !couldStore(process, { from, to: until }, journal)) || journal.outages.some((outage) => outage.of === 'authorization server' && overlap(outage, span));
  });
}

/** What keeps a process from writing to the store. */
function troubleOf(process: string, journal: Journal): Span[] {
  const { killedAt } = lifeOf(process, journal) ?? {};
  return [...sleepsOf(process, journal), ...storeOutages(journal), ...killedAt === undefined ? [] : [{ from: killedAt, to: Infinity }]];
}

/** Its owner was killed while it had it, or slept. */
function isBroken({ process, acquiredAt, releasedAt, until }: Lease, journal: Journal): boolean {
  const { killedAt = Infinity } = lifeOf(process, journal) ?? {};
  const span = { from: acquiredAt, to: releasedAt ?? until };
  return killedAt <= span.to || sleepsOf(process, journal).some((sleep) => overlap(sleep, span));
}

/** The verdict if the grace of the grant left time to send the old refresh token again. */
function withinGrace(user: string, from: number, refreshes: readonly Refresh[], journal: Journal): Verdict | undefined {
  const graceMs = journal.graces.get(user) ?? 0;
  const inTheWay: Span[] = [
    ...storeOutages(journal),
    ...journal.outages,
    ...journal.leases.filter((lease) => lease.user === user && isBroken(lease, journal)).map(({ acquiredAt, until }) => ({ from: acquiredAt, to: until })),
    ...refreshes.map(({ arrivedAt, settledAt = arrivedAt }) => ({ from: arrivedAt, to: Math.max(settledAt, arrivedAt + TIMEOUT_MS) })),
  ];
  const free = journal.processes.map(({ name, readyAt = Infinity, killedAt = Infinity }) =>
    longestFree({ from: Math.max(from, readyAt), to: Math.min(from + graceMs, killedAt) }, [...sleepsOf(name, journal), ...inTheWay]));
  const longest = Math.max(0, ...free);
  return longest < OPPORTUNITY_MS ? undefined : { user, because: `within its grace of ${graceMs} ms a process had ${longest} ms with nothing in the way` };
}
