import type { GuardedCall } from '../cache/guard.js';
import type { Clock } from '../clock.js';
import { OAuthError } from '../errors.js';
import type { Exclusive, Lease, Wanted } from './exclusive.js';
import type { SessionRecord, StoredSession } from './session-record.js';
import type { SessionStore } from './session-store.js';

export interface LockedRecordContext {
  readonly store: SessionStore;
  readonly exclusive: Exclusive;
  readonly clock: Clock;
  readonly report: (operation: string, failure: unknown) => void;
}

/** Somebody else holds a higher fence: what was begun has to begin anew. */
export class Superseded extends Error {}

const mostTurns = 3;
/** Milliseconds that a write may take, two calls of a second each: the lease has to last as long. */
const longestWrite = 2_000;

/**
 * A session's record in the store, and the lock that whoever writes it must hold. Each record bears the fence of the lock under which it was written,
 * and none is written under a fence that isn't above that of the record that was read. What store and lock do wrong is told to the listeners as well.
 */
export class LockedRecord {
  readonly name: string;
  readonly #context: LockedRecordContext;
  /** The highest that was seen. */
  #fence = 0;

  constructor(name: string, context: LockedRecordContext) {
    this.name = name;
    this.#context = context;
  }

  /** Whether something of it is under way in this process. */
  get isBusy(): boolean {
    return this.#context.exclusive.isBusy(this.name);
  }

  async load(call?: GuardedCall): Promise<StoredSession | undefined> {
    const stored = await this.#reported('get', this.#context.store.load(this.name, call));
    if (stored !== undefined) this.#fence = Math.max(this.#fence, stored.fence);
    return stored;
  }

  /** Work that finds itself superseded begins anew, under a new lock. */
  async withLock<T>(work: (lease: Lease) => Promise<T>): Promise<T> {
    for (let turn = 1; turn <= mostTurns; turn += 1) {
      try {
        return await this.#reported('lock', this.#context.exclusive.run(this.#wanted, work));
      } catch (thrown) {
        if (!(thrown instanceof Superseded)) throw thrown;
      }
    }
    throw new OAuthError('store_failed', 'Other processes keep writing this session without its lock: give all of them the same `lock`', { retryable: true });
  }

  /** Nothing is done if somebody else is at it, and nobody waits for it: whoever needs the store next is told what is wrong. */
  async withLockIfFree(work: (lease: Lease) => Promise<void>): Promise<void> {
    await this.#reported('lock', this.#context.exclusive.runIfFree(this.#wanted, work)).catch(() => undefined);
  }

  /**
   * By who has read the record under this lock.
   * @throws Superseded if it was written under a later one
   */
  claim({ fence }: Lease): void {
    if (this.#fence >= fence) throw new Superseded();
    this.#fence = fence;
  }

  /** Rejects with `store_failed` if the lock was lost. */
  async assertHeld(lease: Lease): Promise<void> {
    if (lease.remaining() > longestWrite || await lease.renew()) return;
    await this.#reported('lock', Promise.reject(new OAuthError('store_failed', 'The lock of the session was lost: somebody else may have it', { retryable: true })));
  }

  /**
   * Rejects with `store_failed`.
   * @param how `keep` for what must not be lost
   */
  async write(how: 'save' | 'keep', lease: Lease, session: StoredSession): Promise<void> {
    await this.assertHeld(lease);
    await this.#reported('set', this.#context.store[how](this.name, session));
  }

  /** The record as this owner of the lock writes it. */
  signed(lease: Lease, record: SessionRecord): SessionRecord {
    return { ...record, fence: lease.fence, writtenAt: this.#context.clock.now() };
  }

  get #wanted(): Wanted {
    return { name: this.name, fenceAtLeast: this.#fence };
  }

  async #reported<T>(operation: string, work: Promise<T>): Promise<T> {
    return work.catch((thrown: unknown) => {
      if (thrown instanceof OAuthError && thrown.code === 'store_failed') this.#context.report(operation, thrown);
      throw thrown;
    });
  }
}
