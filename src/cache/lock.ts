/**
 * A lock for one name at a time, shared by all processes that use one store. A rejection means that its server is down; `busy` that somebody else has it.
 * `redisLock` of `grantkeeper/redis` and `postgresLock` of `grantkeeper/postgres` are two; whoever brings an own one has to keep these promises:
 *
 * - At most one owner holds a name at any time, until it releases it or its lease runs out, by the lock's clock.
 * - The fence of a name only grows: each new owner gets one above the last, and above `fenceAtLeast`.
 * - Fences of a name are consecutive: the next is one above the larger of those two. Entries of the store are looked for by fence, from the last that is
 *   known up to the new one; among more than 100 that were left out one may be missed.
 * - `acquire` by who holds it already gives the same fence again; `renew` and `release` do nothing for who doesn't hold it.
 */
export interface Lock {
  /**
   * @param owner 128 random bits, new for each attempt
   * @param leaseMs milliseconds after which the lock is free even if it wasn't released
   * @param fenceAtLeast the highest fence that is known: a lock that has forgotten the name's last one goes on from here
   * @returns `busy`: milliseconds until the present lease runs out, for who looks at it; nothing waits so long
   */
  acquire(name: string, owner: string, leaseMs: number, fenceAtLeast: number): Promise<{ fence: number } | { busy: number }>;
  /** @returns whether it's still the owner's */
  renew(name: string, owner: string, leaseMs: number): Promise<boolean>;
  release(name: string, owner: string): Promise<void>;
}
