import type { Campaign } from './campaign.js';
import { isSleepers } from './excuse.js';
import { judge, type Verdict } from './judgement.js';
import { staleUses, type StaleUse } from './stale-uses.js';

/** What is to be said of a campaign when it's over. */
export interface Findings {
  /** One for each session that was lost. */
  readonly verdicts: readonly Verdict[];
  readonly avoidable: readonly Verdict[];
  readonly staleUses: readonly StaleUse[];
  /** Refresh tokens that were used twice at once. */
  readonly doubleUses: number;
  /** Uses of either kind by a process that had slept past its lease with the request about to leave: no client can take that back. */
  readonly sleepersUses: number;
  readonly holds: boolean;
}

export function findingsOf({ journal, lost, stuck }: Campaign): Findings {
  const verdicts = [...new Set([...lost, ...stuck])].map((user) => judge(user, journal));
  const avoidable = verdicts.filter(({ reason }) => reason === undefined);
  const stale = staleUses(journal);
  const doubleUses = journal.doubleUses.filter((uses) => !Object.values(uses).some((refresh) => isSleepers(refresh, journal)));
  const ofTheAwake = stale.filter(({ refresh }) => !isSleepers(refresh, journal));
  return {
    verdicts,
    avoidable,
    staleUses: ofTheAwake,
    doubleUses: doubleUses.length,
    sleepersUses: journal.doubleUses.length - doubleUses.length + stale.length - ofTheAwake.length,
    holds: avoidable.length === 0 && ofTheAwake.length === 0 && doubleUses.length === 0,
  };
}
