import type { Fault } from './faults.js';
import { Journal } from './journal.js';
import type { CampaignOptions } from './options.js';

/** What a campaign has come to so far, and in the end. */
export interface Campaign {
  readonly options: CampaignOptions;
  readonly startedAt: Date;
  readonly journal: Journal;
  /** Those that were injected. */
  readonly faults: Fault[];
  /** Users whose sessions are over, by their server or as their client says. */
  readonly lost: Set<string>;
  /** Users of whose sessions some process got no new token, long after the last fault. */
  readonly stuck: string[];
  readonly calls: { made: number; readonly failed: Map<string, number>; longestWaitMs: number };
  alive: number;
  sessions: number;
  durationMs: number;
}

export function newCampaign(options: CampaignOptions): Campaign {
  return {
    options, startedAt: new Date(), journal: new Journal(), faults: [], lost: new Set(), stuck: [],
    calls: { made: 0, failed: new Map(), longestWaitMs: 0 }, alive: 0, sessions: 0, durationMs: 0,
  };
}
