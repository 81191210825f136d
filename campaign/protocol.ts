import type { Moment, Span } from './journal.js';

/** What a worker is started with. */
export interface WorkerConfig {
  /** Its name, and the path of its token endpoint. */
  readonly process: string;
  readonly authorizationServer: string;
  readonly store: StoreAddress;
  readonly encryptionKey: string;
}

export interface StoreAddress {
  readonly kind: StoreKind;
  readonly url: string;
}

export type StoreKind = 'redis' | 'postgres';

/** A user's session, as every worker gets to know it. */
export interface SignedIn {
  readonly user: string;
  readonly session: string;
  readonly graceMs: number;
}

export type Command =
  | { readonly type: 'sign in'; readonly user: string; readonly graceMs: number }
  /** Keep asking for its token until it's over, or dropped. */
  | { readonly type: 'use'; readonly sessions: readonly SignedIn[] }
  | { readonly type: 'drop'; readonly user: string };

export type Report =
  | { readonly type: 'ready' }
  | ({ readonly type: 'signed in' } & SignedIn)
  | { readonly type: 'not signed in'; readonly user: string; readonly message: string }
  /** For the first time by this worker. */
  | { readonly type: 'handed out'; readonly user: string; readonly accessToken: string; readonly at: Moment }
  | { readonly type: 'over'; readonly user: string; readonly ambiguous: boolean; readonly message: string; readonly at: Moment }
  | { readonly type: 'leased'; readonly user: string; readonly at: Moment }
  | { readonly type: 'released'; readonly user: string; readonly at: Moment }
  /** An entry of the session, or a note: before a refresh is sent there is one. */
  | { readonly type: 'stored'; readonly user: string; readonly at: Moment }
  /** Its event loop stood still. */
  | ({ readonly type: 'stalled' } & Span)
  | ({ readonly type: 'tally' } & Tally);

/** What came of the calls since the last tally. */
export interface Tally {
  readonly calls: number;
  /** By error code. */
  readonly failures: Readonly<Record<string, number>>;
  /** Of the calls that took long enough to be worth a line. */
  readonly waits: readonly Span[];
}
