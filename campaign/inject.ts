import { setTimeout as delay } from 'node:timers/promises';
import type { AuthorizationServer } from './authorization-server.js';
import type { Campaign } from './campaign.js';
import type { Crew } from './crew.js';
import { isRefreshFault, schedule, type Fault, type WorldFaultKind } from './faults.js';
import type { StoreServer } from './store-server.js';
import { until } from './until.js';

export interface Stage {
  readonly campaign: Campaign;
  readonly store: StoreServer;
  readonly server: AuthorizationServer;
  readonly crew: Crew;
  /** Aborts when all this has to end before its end. */
  readonly over: AbortSignal;
  /** Aborts it. */
  readonly fail: (reason: unknown) => void;
}

/** Milliseconds for which the last faults wait for a refresh to hit. */
const LAST_REFRESHES_MS = 30_000;
/** Faults that wait for a refresh: no further one is injected meanwhile. */
const MOST_ARMED = 3;

/** All faults of the campaign's seed, at their times. A machine that is slow, or has other things to do, gets more time, not more faults at once. */
export async function inject({ campaign, store, server, crew, over, fail }: Stage): Promise<void> {
  let began = performance.now();
  const outages: Promise<void>[] = [];
  const isReady = (): boolean => server.armed < MOST_ARMED && crew.running.length >= campaign.options.workers / 2;
  for (const fault of schedule(campaign.options.seed, campaign.options.faults)) {
    await delay(Math.max(0, fault.at - (performance.now() - began)), undefined, { signal: over });
    const due = performance.now();
    await until(isReady, over, LAST_REFRESHES_MS);
    began += performance.now() - due;
    if (isRefreshFault(fault.kind)) {
      server.arm(fault);
      continue;
    }
    campaign.faults.push(fault);
    outages.push(befall(fault.kind, fault, { store, server, crew }).catch(fail));
  }
  await Promise.all(outages);
  await until(() => server.armed === 0, over, LAST_REFRESHES_MS);
  server.disarm();
}

async function befall(kind: WorldFaultKind, { lasts, pick }: Fault, { store, server, crew }: Pick<Stage, 'store' | 'server' | 'crew'>): Promise<void> {
  switch (kind) {
    case 'process killed':
      crew.pick(pick)?.kill();
      return;
    case 'store frozen':
      return store.freeze(lasts);
    case 'store killed and restarted':
      return store.restart();
    case 'connections refused':
      return server.refuseConnections(lasts);
  }
}
