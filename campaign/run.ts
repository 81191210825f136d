import { randomBytes } from 'node:crypto';
import { bundleProgram } from '../test/support/bundled-program.js';
import { AuthorizationServer } from './authorization-server.js';
import type { Campaign } from './campaign.js';
import { Crew } from './crew.js';
import { hear } from './hear.js';
import { inject } from './inject.js';
import { comeToRest } from './rest.js';
import { Roster } from './roster.js';
import { StoreServer } from './store-server.js';
import { until } from './until.js';

/** Milliseconds for all to sign in, before the first fault. */
const LOGINS_MS = 30_000;

/** Starts all that it needs, injects the faults of the seed, lets everything come to rest, and stops what it started, also when `signal` aborts it. */
export async function run(campaign: Campaign, signal: AbortSignal): Promise<void> {
  const { journal, options } = campaign;
  const began = performance.now();
  const stop = new AbortController();
  const ends: (() => Promise<void>)[] = [];
  const over = stop.signal;
  const fail = (reason: unknown): void => { stop.abort(reason); };
  signal.addEventListener('abort', () => { fail(signal.reason); }, { once: true });
  const started = async <T extends { close(): Promise<void> }>(starting: Promise<T>): Promise<T> => {
    const what = await starting;
    ends.unshift(async () => what.close());
    over.throwIfAborted();
    return what;
  };
  try {
    const bundle = await bundleProgram(new URL('worker.ts', import.meta.url));
    ends.unshift(async () => bundle.remove());
    const store = await started(StoreServer.start(options.store, journal));
    const server: AuthorizationServer = await started(AuthorizationServer.start(journal, {
      kill: (name) => { crew.kill(name); },
      stop: (name, ms) => { crew.stop(name, ms); },
      done: (fault) => { campaign.faults.push(fault); },
      lost: (user) => { campaign.lost.add(user); },
      failed: fail,
    }));
    const crew: Crew = await started(Promise.resolve(new Crew({
      size: options.workers,
      file: bundle.file,
      config: { authorizationServer: server.origin, store: store.address, encryptionKey: randomBytes(32).toString('base64url') },
      journal,
      onReport: (report, worker) => { hear(report, worker, campaign, roster); },
      onCrash: fail,
    })));
    const roster: Roster = new Roster(journal, crew, options.graces);
    ends.unshift(async () => { await Promise.resolve(); roster.close(); });
    await until(() => crew.running.length === options.workers, over);
    for (let count = 0; count < options.sessions; count += 1) roster.signInNext();
    if (!await until(() => roster.alive.length === options.sessions, over, LOGINS_MS)) throw new Error(`Only ${roster.alive.length} users could sign in: ${roster.lastFailure}`);
    await inject({ campaign, store, server, crew, over, fail });
    await comeToRest({ campaign, crew, roster, over });
  } catch (thrown) {
    throw over.aborted ? over.reason : thrown;
  } finally {
    for (const end of ends) await end();
    campaign.durationMs = performance.now() - began;
  }
}
