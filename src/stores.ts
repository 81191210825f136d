import { randomBytes } from 'node:crypto';
import { guardedStore } from './cache/guarded-store.js';
import type { KeyvLike } from './cache/keyv-like.js';
import { machineTokenStore, noStore } from './cache/machine-token-store.js';
import { memoryStore } from './cache/memory-store.js';
import { createSealer, unsealed, type Sealer } from './cache/sealing.js';
import { createStoreReport, type StoreReport } from './cache/store-report.js';
import { throwingStore } from './cache/throwing-store.js';
import type { TokenStore } from './cache/token-store.js';
import type { Events } from './events.js';
import { sessionStore, type SessionStore } from './sessions/session-store.js';
import type { TokenManagerSettings } from './token-manager-options.js';

/** The one store behind all that is kept, as each kind of content sees it. */
export interface Stores {
  readonly machineTokens: TokenStore;
  readonly sessions: SessionStore;
  /** Entries without a secret in them. */
  readonly entries: KeyvLike;
  /** Seals what a browser keeps: always, also where a store may hold tokens in the clear. */
  readonly browserSealer: Sealer;
  readonly report: StoreReport;
}

export function createStores({ store, encryptionKeys: [first, ...others], storeTimeout, sessionLifetime, clock }: TokenManagerSettings, events: Events): Stores {
  const report = createStoreReport(events);
  const entries = guardedStore(store === undefined ? memoryStore(clock) : throwingStore(store), { timeout: storeTimeout, clock });
  const sealer = first === undefined ? unsealed : createSealer([first, ...others]);
  return {
    // Without a store the memory tier is all that machine tokens need.
    machineTokens: store === undefined ? noStore : machineTokenStore(entries, sealer, report),
    sessions: sessionStore(entries, sealer, sessionLifetime, clock),
    entries,
    browserSealer: first === undefined ? createSealer([randomBytes(32)]) : sealer,
    report,
  };
}
