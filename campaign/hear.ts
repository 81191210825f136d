import type { Campaign } from './campaign.js';
import type { Report, Tally } from './protocol.js';
import type { Roster } from './roster.js';
import { shared } from './spans.js';
import type { WorkerProcess } from './worker-process.js';

/** What a worker reports goes into the journal, and to whom it concerns. */
export function hear(report: Report, worker: WorkerProcess, campaign: Campaign, roster: Roster): void {
  const { journal } = campaign;
  const process = worker.name;
  switch (report.type) {
    case 'ready':
      roster.welcome(worker);
      break;
    case 'signed in':
      roster.signedIn(report);
      break;
    case 'not signed in':
      roster.failedToSignIn(report.user, report.message);
      break;
    case 'handed out':
      journal.handOuts.push({ process, user: report.user, issued: report.accessToken.replace(/^at:/, ''), at: report.at });
      break;
    case 'over':
      journal.ends.push({ process, ...report });
      campaign.lost.add(report.user);
      roster.over(report.user);
      break;
    case 'leased':
      journal.leased(process, report.user, report.at);
      break;
    case 'released':
      journal.released(process, report.user, report.at);
      break;
    case 'stored':
      journal.writes.push({ process, user: report.user, at: report.at });
      break;
    case 'stalled':
      worker.life.stalls.push(report);
      break;
    case 'tally':
      count(report, worker, campaign);
  }
  campaign.alive = roster.alive.length;
  campaign.sessions = roster.begun;
}

/** A caller's wait is without the time for which its own process was stopped. */
function count({ calls, failures, waits }: Tally, { life: { stops } }: WorkerProcess, campaign: Campaign): void {
  campaign.calls.made += calls;
  for (const [code, times] of Object.entries(failures)) campaign.calls.failed.set(code, (campaign.calls.failed.get(code) ?? 0) + times);
  for (const wait of waits) {
    const asleep = stops.reduce((sum, { from, to = Infinity }) => sum + shared({ from, to }, wait), 0);
    campaign.calls.longestWaitMs = Math.max(campaign.calls.longestWaitMs, wait.to - wait.from - asleep);
  }
}
