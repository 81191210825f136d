import { excuseOf } from './excuse.js';
import { issueNumber, type Journal, type Refresh } from './journal.js';

export interface StaleUse {
  readonly refresh: Refresh;
  /** The newer refresh token. */
  readonly known: string;
}

/** Uses of a refresh token after somebody had been handed an access token of a newer one, which therefore was stored, or could have been. Those of sleepers are among them. */
export function staleUses(journal: Journal): StaleUse[] {
  const byUser = new Map<string, Refresh[]>();
  for (const refresh of journal.refreshes) byUser.set(refresh.user, [...byUser.get(refresh.user) ?? [], refresh]);
  return [...byUser.values()].flatMap((refreshes) => refreshes.flatMap((refresh) => {
    const newer = refreshes.filter(({ issued, arrivedAt }) => issued !== undefined && issueNumber(issued) > issueNumber(refresh.presented) && arrivedAt < refresh.arrivedAt);
    const known = newer.find(({ issued }) => journal.handOuts.some((handOut) => handOut.issued === issued && handOut.at < refresh.arrivedAt));
    return known?.issued !== undefined && excuseOf(known, journal, refresh.arrivedAt) === undefined ? [{ refresh, known: known.issued }] : [];
  }));
}
