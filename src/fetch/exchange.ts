import type { Outgoing } from './outgoing.js';

/** One step on the way of a request: each decorates the one after it. */
export type Exchange = (outgoing: Outgoing, call: Call) => Promise<Response>;

/** What belongs to one call of the fetch, however many requests it takes. */
export interface Call {
  /** The caller's signal, joined with the time limit where there is one. */
  readonly signal: AbortSignal | undefined;
  /** Milliseconds left, where there is a time limit. */
  readonly remaining?: () => number;
  /** Whether the caller brought an authorization of its own. */
  readonly ownAuthorization: boolean;
  /** Whether a request of the current try has left. */
  sent: boolean;
  /** Whether the request was sent again with another token: once at most. */
  replayed: boolean;
}
