import type { Lock } from 'grantkeeper';

interface Holding {
  owner: string | undefined;
  fence: number;
  /** Milliseconds since the epoch. */
  until: number;
}

/** A lock for many processes, as a database keeps one: it remembers the fence of a name that nobody holds. It can be told to forget who holds what. */
export class FencingLock implements Lock {
  readonly #holdings = new Map<string, Holding>();
  readonly #clock: { now(): number };

  constructor(clock: { now(): number } = Date) {
    this.#clock = clock;
  }

  /** All leases have run out. */
  expireAll(): void {
    for (const holding of this.#holdings.values()) holding.until = 0;
  }

  acquire(name: string, owner: string, leaseMs: number, fenceAtLeast: number): Promise<{ fence: number } | { busy: number }> {
    const holding = this.#holdings.get(name) ?? { owner: undefined, fence: 0, until: 0 };
    const now = this.#clock.now();
    if (holding.owner !== undefined && holding.until > now) {
      return Promise.resolve(holding.owner === owner ? { fence: holding.fence } : { busy: holding.until - now });
    }
    const fence = Math.max(holding.fence, fenceAtLeast) + 1;
    this.#holdings.set(name, { owner, fence, until: now + leaseMs });
    return Promise.resolve({ fence });
  }

  renew(name: string, owner: string, leaseMs: number): Promise<boolean> {
    const holding = this.#heldBy(name, owner);
    if (holding === undefined || holding.until <= this.#clock.now()) return Promise.resolve(false);
    holding.until = this.#clock.now() + leaseMs;
    return Promise.resolve(true);
  }

  release(name: string, owner: string): Promise<void> {
    const holding = this.#heldBy(name, owner);
    if (holding !== undefined) holding.owner = undefined;
    return Promise.resolve();
  }

  #heldBy(name: string, owner: string): Holding | undefined {
    const holding = this.#holdings.get(name);
    return holding?.owner === owner ? holding : undefined;
  }
}
