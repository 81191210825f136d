import type { Exclusive } from '../cache/exclusive.js';
import type { GuardedCall } from '../cache/guard.js';
import type { Lease, Wanted } from '../cache/turn.js';
import type { Clock } from '../clock.js';
import { OAuthError } from '../errors.js';
import { SessionEntries } from './session-entries.js';
import { isEnded, isFinal, openUnder, type SessionRecord, type StoredSession } from './session-record.js';
import type { SessionStore } from './session-store.js';

export interface LockedRecordContext {
  readonly store: SessionStore;
  readonly exclusive: Exclusive;
  readonly clock: Clock;
  readonly report: (operation: string, failure: unknown) => void;
}

/** Somebody else holds a higher fence: what was begun has to begin anew. */
export class Superseded extends Error {}

/** What came of a record that is durable. */
export type Publication =
  /** Readers see it. */
  | 'shown'
  /** The head could not be written: readers see an older one. */
  | 'hidden'
  /** The lock was lost, so readers are not told: somebody else's may be newer. */
  | 'outrun';

const mostTurns = 3;
/** Milliseconds that a write may take, two calls of a second each: the lease has to last as long. */
const longestWrite = 2_000;

/**
 * A session's record in the store, and the lock that whoever changes it must hold. Each record bears the fence of the lock under which it was written,
 * and none is written under a fence that isn't above all that was found. What store and lock do wrong is told to the listeners as well.
 */
export class LockedRecord {
  readonly name: string;
  readonly #context: LockedRecordContext;
  readonly #entries: SessionEntries;
  /** The highest that was seen. */
  #fence = 0;
  /** Slots that nobody needs once a record of ours is there. */
  #outvoted: readonly number[] = [];

  constructor(name: string, context: LockedRecordContext) {
    this.name = name;
    this.#context = context;
    this.#entries = new SessionEntries(name, context.store);
  }

  /** Whether something of it is under way in this process. */
  get isBusy(): boolean {
    return this.#context.exclusive.isBusy(this.name);
  }

  /** What readers see. An end that is not final is to be looked at under the lock. */
  async load(call?: GuardedCall): Promise<StoredSession | undefined> {
    const stored = await this.#reported('get', this.#entries.head(call));
    this.#see(stored);
    return stored;
  }

  /** What somebody else may have written while one waits for the lock; undefined where nothing can be said. */
  async glance(): Promise<SessionRecord | undefined> {
    const stored = await this.#entries.glance().catch(() => undefined);
    return stored === undefined || isEnded(stored) ? undefined : stored;
  }

  /** Work that finds itself superseded begins anew, under a new lock. */
  async withLock<T>(work: (lease: Lease) => Promise<T>, meanwhile?: () => Promise<T | undefined>): Promise<T> {
    for (let turn = 1; turn <= mostTurns; turn += 1) {
      try {
        return await this.#reported('lock', this.#context.exclusive.run(this.#wanted, work, meanwhile));
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
   * The newest record, by the new owner of the lock, who takes over from here.
   * @throws Superseded if something was written under its fence or a later one
   */
  async claim(lease: Lease): Promise<StoredSession | undefined> {
    const { newest, highestFence, isHidden, outvoted } = await this.#reported('get', this.#entries.find(lease.fence));
    this.#fence = Math.max(this.#fence, highestFence);
    if (highestFence >= lease.fence) throw new Superseded();
    this.#fence = lease.fence;
    if (newest !== undefined && isHidden) await this.#show(newest, outvoted).catch(() => undefined);
    this.#outvoted = newest === undefined || isFinal(newest) ? [] : [...outvoted, newest.fence, ...openUnder(newest)];
    return newest;
  }

  /** The newest record, read once more by who holds the lock, because what is done next depends on it. */
  async reread(lease: Lease): Promise<StoredSession | undefined> {
    const { newest } = await this.#reported('get', this.#entries.find(lease.fence, { insists: true }));
    this.#see(newest);
    return newest;
  }

  /** Rejects with `store_failed` if the lock was lost. */
  async assertHeld(lease: Lease): Promise<void> {
    if (lease.remaining() > longestWrite || await lease.renew()) return;
    await this.#reported('lock', Promise.reject(new OAuthError('store_failed', 'The lock of the session was lost: somebody else may have it', { retryable: true })));
  }

  /**
   * For the next owner of the lock: readers don't need it. Rejects with `store_failed`.
   * @param how `keep` for what must not be lost
   */
  async writeSlot(how: 'save' | 'keep', session: StoredSession): Promise<void> {
    await this.#reported('set', this.#entries.writeSlot(how, session));
  }

  /** As `writeSlot`, and for the readers: it's durable once the slot has it. */
  async publish(how: 'save' | 'keep', lease: Lease, session: StoredSession): Promise<Publication> {
    await this.writeSlot(how, session);
    const isHeld = await this.assertHeld(lease).then(() => true, () => false);
    return isHeld ? this.#show(session, this.#outvoted).then(() => 'shown', () => 'hidden') : 'outrun';
  }

  /**
   * As `publish`, by who may have lost its lease long ago.
   * @returns false if the session was ended meanwhile: then nothing of it is kept
   */
  async publishLate(record: SessionRecord): Promise<boolean> {
    await this.writeSlot('keep', record);
    const head = await this.load();
    if (head !== undefined && isFinal(head)) {
      this.forgetSlot(record);
      return false;
    }
    if (head !== undefined && head.fence < record.fence) await this.#show(record, this.#outvoted.filter((fence) => fence < record.fence));
    return true;
  }

  /** For good. The tokens go with it, as far as the store lets them. Rejects with `store_failed`. */
  async end(reason: string): Promise<void> {
    const end = await this.#reported('set', this.#entries.end(reason));
    // It stands by now: whoever sees another head puts it right.
    await this.#show(end, [...this.#outvoted, this.#fence]).catch(() => undefined);
  }

  forgetSlot({ fence }: SessionRecord): void {
    this.#forget([fence]);
  }

  /** The record as this owner of the lock writes it. */
  signed({ fence }: Lease, record: SessionRecord): SessionRecord {
    return { ...record, fence, writtenAt: this.#context.clock.now() };
  }

  /** Rejects with `store_failed`. */
  async #show(session: StoredSession, outvoted: readonly number[]): Promise<void> {
    await this.#reported('set', this.#entries.writeHead(session));
    this.#forget(outvoted.filter((fence) => !openUnder(session).includes(fence)));
  }

  /** Nobody waits for that. */
  #forget(fences: readonly number[]): void {
    this.#reported('delete', this.#entries.forget(fences)).catch(() => undefined);
  }

  #see(stored: StoredSession | undefined): void {
    if (stored !== undefined && !isFinal(stored)) this.#fence = Math.max(this.#fence, stored.fence);
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
