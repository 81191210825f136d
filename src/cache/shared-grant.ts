import { elapsedSince, type Clock } from '../clock.js';
import { deadlineIn } from '../deadline.js';
import { OAuthError } from '../errors.js';
import type { Grant, RepeatableGrant } from '../grants/grant.js';
import { fromStored, toStored, type GrantedToken } from '../grants/granted-token.js';
import type { Exclusive } from './exclusive.js';
import type { StoreReport } from './store-report.js';
import type { TokenStore } from './token-store.js';

export interface SharedGrantContext {
  readonly store: TokenStore;
  /** Of the processes on this store; undefined where each gets tokens for itself. */
  readonly exclusive: Exclusive | undefined;
  /** The authorization server's name, for messages. */
  readonly serverName: string;
  /** Milliseconds for one token, waiting for others included; a store has deadlines of its own. */
  readonly timeout: number;
  readonly clock: Clock;
  readonly report: StoreReport;
}

/** Milliseconds after which a process that died while it got a token holds up the others no longer. */
const renewedLeaseMs = 3_000;

/**
 * A grant whose tokens all processes on one store share: whoever has the lock asks the server, and the others wait for what comes of it. As a token can be had
 * again, nothing here is worth a failure: where the lock's server is down, or somebody else takes half the time there is, a process goes on alone; also where the
 * server's tokens have no lifetime, and nobody could use another's.
 *
 * A token is in the store before the lock is released, so whoever gets it next finds it there.
 */
export function sharedGrant(key: string, grant: RepeatableGrant, context: SharedGrantContext): Grant {
  const { store, exclusive, serverName, timeout, clock, report } = context;
  const wanted = { name: `grantkeeper:token:${key}`, fenceAtLeast: 0, patience: timeout / 2, renewedLeaseMs, mayBeCutShort: true };
  return async (call) => {
    const deadline = deadlineIn(timeout, `No token from ${serverName} within ${timeout} ms (option \`timeout\`)`);
    const alone = async (): Promise<GrantedToken> => {
      const granted = await grant(call, deadline);
      const remaining = granted.lifetime - elapsedSince(granted.obtained, clock);
      call.sharing.isUseful = remaining > 0;
      if (remaining > 0) await store.set(key, toStored(granted), remaining);
      return granted;
    };
    const found = async (): Promise<GrantedToken | undefined> => {
      const stored = await store.get(key);
      return stored !== undefined && call.isNewer(stored) ? fromStored(stored, clock) : undefined;
    };
    try {
      if (exclusive === undefined || !call.sharing.isUseful) return await alone();
      const shared = await exclusive.runInTime(wanted, async () => await found() ?? alone(), found).catch((thrown: unknown) => {
        // Only the lock fails so: a store that does is a miss.
        if (!(thrown instanceof OAuthError) || thrown.code !== 'store_failed') throw thrown;
        report('lock', thrown);
        return undefined;
      });
      return shared ?? await alone();
    } finally {
      deadline.clear();
    }
  };
}
