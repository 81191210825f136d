/** Calls of the store and the lock. One of the lock is one round trip: a try for it, or its release. */
export interface Cost {
  readonly gets?: number;
  readonly sets?: number;
  readonly deletes?: number;
  readonly locks?: number;
}

/** Where a replica has no token that is good, and before every renewal: head and end marker, in parallel. */
export const look: Cost = { gets: 2 };

/** Under the lock: head, end marker, its own slot; the intent into the slot, then the result into slot and head; the predecessor's slot. */
export const renewal: Cost = { gets: 3, sets: 3, deletes: 1, locks: 2 };

/** The same where the authorization server doesn't answer: what the one before has noted is shown to readers, the intent is noted, and taken back. */
export const failedRenewal: Cost = { gets: 4, sets: 3, deletes: 1, locks: 2 };

/** While somebody else has the lock: a try for it, and a look at the head somewhat later. The last look finds the new token. */
export const turn: Cost = { gets: 1, locks: 1 };
