import type { Journal, Moment } from './journal.js';

/** Milliseconds of it that are shown: the last. */
const SHOWN_MS = 60_000;

/**
 * What happened to one session, and to the processes and servers that it depends on, in its order: for whoever looks for the cause of a loss.
 * @param end the last moment of interest; else that of the session's own last event
 */
export function timeline(user: string, journal: Journal, end?: Moment): string {
  const events: { at: Moment; what: string }[] = [];
  const tell = (at: Moment | undefined, what: string): void => { if (at !== undefined) events.push({ at, what }); };
  for (const { process, presented, arrivedAt, settledAt, outcome, fate, issued } of journal.refreshes.filter((refresh) => refresh.user === user)) {
    tell(arrivedAt, `${process} sends ${presented}`);
    tell(settledAt, `${process}'s ${presented}: ${outcome}${issued === undefined ? '' : ` to ${issued}`}, ${fate}`);
  }
  for (const { process, acquiredAt, releasedAt } of journal.leases.filter((lease) => lease.user === user)) {
    tell(acquiredAt, `${process} asks for the lock, and gets it`);
    tell(releasedAt, `${process} releases the lock`);
  }
  for (const { process, issued, at } of journal.handOuts.filter((handOut) => handOut.user === user)) tell(at, `${process} hands out what came with ${issued}`);
  for (const { process, message, at } of journal.ends.filter((end) => end.user === user)) tell(at, `${process} says: ${message}`);
  for (const { name, killedAt, stops, stalls } of journal.processes.filter(({ name }) => journal.leases.some((lease) => lease.user === user && lease.process === name))) {
    tell(killedAt, `${name} is killed`);
    for (const { from, to } of stops) {
      tell(from, `${name} is stopped`);
      tell(to, `${name} goes on`);
    }
    for (const { from, to } of stalls) tell(from, `${name} gets no processor for ${to - from} ms`);
  }
  for (const { of, from, to } of journal.outages) {
    tell(from, `${of}: away`);
    tell(to, `${of}: back`);
  }
  const inOrder = events.sort((a, b) => a.at - b.at);
  const last = end ?? (inOrder.findLast(({ what }) => what.includes(user) || what.includes(' says: ')) ?? inOrder.at(-1))?.at ?? 0;
  return inOrder.filter(({ at }) => at > last - SHOWN_MS && at <= last).map(({ at, what }) => `  ${new Date(at).toISOString().slice(14, 23)}  ${what}`).join('\n');
}
