import type { Deadline } from '../deadline.js';
import type { StoredToken } from '../tokens/stored-token.js';
import type { GrantedToken } from './granted-token.js';

/** Gets a token: what a cache calls when it has none that is good enough. Rejects with an `OAuthError`. */
export type Grant = (call: GrantCall) => Promise<GrantedToken>;

/** Gets a token that can be had again: what processes that share their tokens call, within a deadline of theirs. Rejects with an `OAuthError`. */
export type RepeatableGrant = (call: GrantCall, deadline: Deadline) => Promise<GrantedToken>;

export interface GrantCall {
  /** Whether somebody waits who has no other token: only then is a try that failed repeated at once. Else the next try is the cache's to choose. */
  readonly isUrgent: () => boolean;
  /** What is known of the tokens of this key, whichever request brought it. */
  readonly sharing: { isUseful: boolean };
  /** Whether there was a token before this one. */
  readonly isRenewal: boolean;
  /** Whether a token that is found elsewhere is what this call is after: fresh, newer than what is at hand, and not the refused one. */
  readonly isNewer: (found: StoredToken) => boolean;
  /** Whether a token that is found elsewhere may be used at all: it has neither expired nor been refused. */
  readonly isUsable: (found: StoredToken) => boolean;
}
