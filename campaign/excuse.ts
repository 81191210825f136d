import type { Journal, Lease, Moment, ProcessLife, Refresh, Span } from './journal.js';
import { TIMEOUT_MS } from './settings.js';
import { longestFree, overlap } from './spans.js';

export type Reason =
  | 'the process was killed before it could store the answer'
  | 'the process slept past its lease'
  | 'the process slept with the request about to leave'
  | 'the answer was lost'
  | 'the answer came after the timeout'
  | 'the answer was 503, after rotating'
  | 'the store was away until the lease ran out'
  | 'its refresh token was sent twice without an answer';

/** Milliseconds in which a process that runs can store an answer in a store that answers. */
const TIME_TO_STORE_MS = 1_000;
/** Milliseconds within which this server answers as long as nothing is wrong. */
const PROMPT_MS = 250;
/** Milliseconds by which a stall may have begun later than it's said to: from the last tick on. */
const STALL_NOTICED_MS = 60;
/** Milliseconds between the tries of a client whose connections to the store were broken. */
const RECONNECT_MS = 2_000;

/**
 * Why nobody could know the refresh token that came of this refresh, before that moment; undefined if somebody did, or could have.
 *
 * It was known where it was sent, or handed out by another process, or by this one while it could store. It could have been known where the answer was
 * written in time, and then, until the lease ran out, its process ran while the store was there, for long enough in one piece.
 */
export function excuseOf(issuance: Refresh, journal: Journal, before: Moment = Infinity): Reason | undefined {
  const { issued = '', process, fate, arrivedAt, settledAt = Infinity } = issuance;
  if (journal.refreshes.some((refresh) => refresh.presented === issued && refresh.arrivedAt < before)) return undefined;
  if (journal.handOuts.some((handOut) => handOut.issued === issued && handOut.process !== process && handOut.at < before)) return undefined;
  // Whoever has the lock by then has others, and keeps them.
  if (isSleepers(issuance, journal)) return 'the process slept with the request about to leave';
  switch (fate) {
    case 'lost':
      return 'the answer was lost';
    case '503':
      return 'the answer was 503, after rotating';
    case 'late':
      return 'the answer came after the timeout';
    case 'under way':
    case 'given up':
      if ((lifeOf(process, journal)?.killedAt ?? Infinity) <= settledAt) return 'the process was killed before it could store the answer';
      if (settledAt - arrivedAt >= PROMPT_MS) return 'the answer came after the timeout';
      return sleptBeforeSending(issuance, journal) && settledAt >= leaseOf(issuance, journal).acquiredAt + TIMEOUT_MS ? 'the process slept with the request about to leave' : undefined;
    case 'answered':
      return excuseOfStoring(issuance, settledAt, journal);
  }
}

function excuseOfStoring(issuance: Refresh, answeredAt: Moment, journal: Journal): Reason | undefined {
  const { process, issued } = issuance;
  const trouble = [...sleepsOf(process, journal), ...storeOutages(journal)];
  const handedOut = journal.handOuts.find((handOut) => handOut.issued === issued && handOut.process === process);
  if (handedOut !== undefined && !trouble.some((span) => overlap(span, { from: answeredAt, to: handedOut.at }))) return undefined;
  const leaseEnds = leaseOf(issuance, journal).until;
  if (couldStore(process, { from: answeredAt, to: leaseEnds }, journal)) return undefined;
  if ((lifeOf(process, journal)?.killedAt ?? Infinity) <= leaseEnds) return 'the process was killed before it could store the answer';
  if (sleepsOf(process, journal).some((sleep) => overlap(sleep, { from: answeredAt, to: leaseEnds }))) return 'the process slept past its lease';
  return trouble.some((span) => overlap(span, { from: answeredAt, to: leaseEnds })) ? 'the store was away until the lease ran out' : undefined;
}

/** Whether it was sent by a process that had slept past its lease after its last look at the clock. No client can take that back. */
export function isSleepers(refresh: Refresh, journal: Journal): boolean {
  return refresh.arrivedAt > leaseOf(refresh, journal).until && sleptBeforeSending(refresh, journal);
}

/** Whether its sender slept after the note that precedes every refresh: a library that looks at the clock after that has done what it can. */
function sleptBeforeSending({ process, user, arrivedAt }: Refresh, journal: Journal): boolean {
  const noted = journal.writes.findLast((write) => write.process === process && write.user === user && write.at <= arrivedAt)?.at ?? Infinity;
  return sleepsOf(process, journal).some(({ from, to }) => from >= noted - STALL_NOTICED_MS && to > noted && from <= arrivedAt);
}

/** Whether a process ran within this time while the store was there, for long enough in one piece. */
export function couldStore(process: string, { from, to }: Span, journal: Journal): boolean {
  const { killedAt = Infinity } = lifeOf(process, journal) ?? {};
  return longestFree({ from, to: Math.min(to, killedAt) }, [...sleepsOf(process, journal), ...storeOutages(journal)]) >= TIME_TO_STORE_MS;
}

/** The one under which it was sent. Who sends without one has none from the start. */
function leaseOf({ user, process, arrivedAt }: Refresh, journal: Journal): Pick<Lease, 'acquiredAt' | 'until'> {
  return journal.leases.findLast((lease) => lease.user === user && lease.process === process && lease.acquiredAt <= arrivedAt) ?? { acquiredAt: arrivedAt, until: arrivedAt };
}

export function lifeOf(process: string, journal: Journal): ProcessLife | undefined {
  return journal.processes.find(({ name }) => name === process);
}

/** Times for which a process did not run: it was stopped, or the machine had no time for it. */
export function sleepsOf(process: string, journal: Journal): Span[] {
  const { stops = [], stalls = [] } = lifeOf(process, journal) ?? {};
  return [...stops.map(({ from, to = Infinity }) => ({ from, to })), ...stalls];
}

/** Times for which the store was out of reach, as its clients see it. */
export function storeOutages({ outages }: Journal): Span[] {
  return outages.filter(({ of }) => of !== 'authorization server').map(({ of, from, to }) => ({ from, to: of === 'store, connections broken' ? to + RECONNECT_MS : to }));
}
