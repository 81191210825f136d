import type { Roster } from './roster.js';
import type { Stage } from './inject.js';
import { until } from './until.js';

/** Milliseconds for what comes to rest after the last fault. */
const REST_MS = 60_000;

/** Until every process has got a token of every session that was issued after the last fault: who is said to be alive must be. */
export async function comeToRest({ campaign, crew, roster, over }: Pick<Stage, 'campaign' | 'crew' | 'over'> & { readonly roster: Roster }): Promise<void> {
  const { journal } = campaign;
  const since = Date.now();
  const from = journal.handOuts.length;
  const waiting = (): string[] => {
    const fresh = new Set(journal.refreshes.filter(({ issued, arrivedAt }) => issued !== undefined && arrivedAt >= since).map(({ issued }) => issued));
    const served = new Set(journal.handOuts.slice(from).filter(({ issued }) => fresh.has(issued)).map(({ user, process }) => `${user} ${process}`));
    return roster.alive.filter((user) => crew.running.some(({ name }) => !served.has(`${user} ${name}`)));
  };
  await until(() => crew.running.length === campaign.options.workers && waiting().length === 0, over, REST_MS);
  campaign.stuck.push(...waiting());
}
