import type { Lease } from '../cache/turn.js';
import { OAuthError } from '../errors.js';
import type { Events } from '../events.js';
import { LockedRecord, type LockedRecordContext, type Publication } from './locked-record.js';
import { endReason, reauthorizationRequired, type EndReason } from './reauthorization.js';
import { SessionEnd } from './session-end.js';
import { isEnded, isFinal, newestOf, type SessionRecord, type StoredSession } from './session-record.js';
import type { SessionTimes } from './session-store.js';
import { UnsavedRecord } from './unsaved-record.js';

export interface SessionEntryContext extends LockedRecordContext {
  readonly events: Events;
  /** Forgets the access tokens in memory of the session of this name. */
  readonly forgetTokens: (name: string) => void;
  /** For a refresh token that came too late: nobody waits for it. */
  readonly revoke: (refreshToken: string | undefined) => void;
}

type LockedWork<T> = (lease: Lease, record: SessionRecord) => Promise<T>;

/**
 * One session as this process knows it: its record, what of it is in memory only, and its end. Invariants:
 *
 * - Who holds the lock writes, and who has lost it into its own slot only. `end()` doesn't wait for a refresh token that is on its way: it writes its tombstone
 *   beside that refresh, which writes nothing before it's known whether the tombstone stands.
 * - What could not be written after the intent stays in memory until it's written, or somebody else's is newer.
 * - Who asks after `end()` began is told that the session is over. If the tombstone can't be written it's still there, for all who ask later.
 * - Once the tombstone stands nothing is written over it, whatever still arrives.
 *
 * It's long because these rules are about each other: what is read, written and ended meets here.
 */
export class SessionEntry {
  readonly id: string;
  readonly #context: SessionEntryContext;
  readonly #record: LockedRecord;
  /** Of the record that was last read or written, unless there was none. */
  #times: SessionTimes | undefined;
  readonly #unsaved: UnsavedRecord;
  readonly #end = new SessionEnd();
  /** The record that says that a refresh token is on its way. */
  #sending: SessionRecord | undefined;
  /** The writing of the tombstone, by whoever ends it. */
  #ending: Promise<unknown> | undefined;
  /** The same where it's done beside a refresh, until it's known whether it was. */
  #burial: Promise<unknown> | undefined;
  #isBuried = false;
  /** Whether others are told of an end that was told here. */
  #isPublic = true;
  /** The head that was found to have expired, under the lock. */
  #expired: SessionTimes | undefined;
  #staying: Promise<boolean> | undefined;

  constructor(id: string, name: string, context: SessionEntryContext) {
    this.id = id;
    this.#context = context;
    this.#record = new LockedRecord(name, context);
    this.#unsaved = new UnsavedRecord(async (record) => this.#writeLate(record));
  }

  /** Aborted with `reauthorization_required` when the session ends: who waits for its tokens waits no longer. */
  get endSignal(): AbortSignal {
    return this.#end.signal;
  }

  throwIfOver(): void {
    this.#end.throwIfOver();
  }

  /** Whether its tombstone stands: nothing of it can be kept any more. */
  get isBuried(): boolean {
    return this.#isBuried;
  }

  get hasUnsaved(): boolean {
    return this.#unsaved.record !== undefined;
  }

  /** Whether something of it is under way, or in memory only: then it must not be forgotten. */
  get isNeeded(): boolean {
    return this.hasUnsaved || this.#record.isBusy;
  }

  /** Whether its time is up as far as this process knows. The store may know better. */
  get hasExpired(): boolean {
    return this.#times !== undefined && this.#isExpired(this.#times);
  }

  /** The record, read without the lock. Rejects with `reauthorization_required` if there is none, or `store_failed`. */
  async current(): Promise<SessionRecord> {
    this.throwIfOver();
    let stored: StoredSession | undefined;
    try {
      stored = await this.#record.load();
    } catch (thrown) {
      if (this.#unsaved.record !== undefined) return this.#unsaved.record;
      throw thrown;
    }
    if (stored === undefined || !this.#isDoubtful(stored)) return this.#living(stored);
    this.#expired = isEnded(stored) ? undefined : timesOf(stored);
    return this.locked(async (_lease, record) => Promise.resolve(record));
  }

  /** What somebody else may have written while one waits for the lock; undefined where nothing can be said. */
  async glance(): Promise<SessionRecord | undefined> {
    const record = await this.#record.glance();
    return record === undefined || this.#isExpired(record) ? undefined : record;
  }

  /** The record, read once more by who holds the lock. */
  async reload(lease: Lease): Promise<SessionRecord> {
    return this.#living(await this.#record.reread(lease));
  }

  /**
   * Does `work` under the session's lock, with the record as it is then.
   * @param meanwhile asked while somebody else has the lock: what makes the work needless
   */
  async locked<T>(work: LockedWork<T>, meanwhile?: () => Promise<T | undefined>): Promise<T> {
    return this.#withLock(async (lease) => work(lease, await this.#claimed(lease)), meanwhile);
  }

  /** Marks that a refresh token is on its way, so that `end()` doesn't have to wait for the answer. */
  async sending<T>(record: SessionRecord, send: () => Promise<T>): Promise<T> {
    this.throwIfOver();
    this.#sending = record;
    try {
      return await send();
    } finally {
      this.#sending = undefined;
    }
  }

  /** Notes what is about to be done, for whoever has the lock next. Rejects with `store_failed`, or with the end of the session if that stands. */
  async intend(lease: Lease, record: SessionRecord): Promise<void> {
    const signed = this.#record.signed(lease, record);
    await this.#assertUnburied();
    await this.#record.assertHeld(lease);
    await this.#record.writeSlot('save', signed);
    this.#written(signed);
  }

  /** Notes what came of it; where the store fails that's known here only. Rejects only if the end of the session stands. */
  async note(lease: Lease, record: SessionRecord): Promise<void> {
    const signed = this.#record.signed(lease, record);
    try {
      await this.#assertUnburied();
      await this.#record.writeSlot('keep', signed);
      this.#written(signed);
    } catch (thrown) {
      if (this.#isBuried) throw thrown;
      this.#unsaved.add(signed, lease);
    }
  }

  /** For what must not be lost: where the store fails, the record waits in memory. Rejects only if the end of the session stands. */
  async keep(lease: Lease, record: SessionRecord): Promise<void> {
    const signed = this.#record.signed(lease, record);
    let publication: Publication = 'hidden';
    try {
      await this.#assertUnburied();
      publication = await this.#record.publish('keep', lease, signed);
      this.#written(signed);
    } catch (thrown) {
      if (this.#isBuried) throw thrown;
    }
    if (publication === 'hidden') this.#unsaved.add(signed, lease);
    if (publication === 'outrun') await this.#assertNotEndedElsewhere(signed);
  }

  /** Writes what could not be written before; does nothing while something else is under way. */
  async flush(): Promise<void> {
    if (!this.#record.isBusy) await this.#unsaved.flush().catch(() => undefined);
  }

  /**
   * Writes the record as it is if that was not done for a while, so that a store doesn't forget a session that is in use.
   * @returns whether the session is there, as far as the store can tell
   */
  async stay(longestUntouched: number): Promise<boolean> {
    this.#staying ??= this.#stay(longestUntouched).finally(() => { this.#staying = undefined; });
    return this.#staying;
  }

  /**
   * The end that the server makes, or that there is nothing left to try. By who holds the lock; gives the error for all who ask from now on.
   * Rejects with `store_failed` if it can't be written and the server has not refused anything: then the session is still there.
   */
  async end(lease: Lease, reason: EndReason, refusal?: OAuthError): Promise<OAuthError> {
    await this.#record.assertHeld(lease);
    this.throwIfOver();
    const burying = this.#record.publish('keep', lease, { fence: lease.fence, ended: reason }).finally(() => { this.#ending = undefined; });
    this.#ending = burying.catch(() => undefined);
    // What the server has refused is over whether or not that can be written: others will hear it from the server as well.
    if (refusal === undefined) await burying;
    const error = this.#tell(reason, refusal);
    this.#announce(reason);
    this.#isPublic = await burying.then((publication) => publication === 'shown', () => false);
    this.#buried();
    return error;
  }

  /**
   * The end that was asked for. Who waits for a token is told at once; an answer that is on its way to this process is not waited for.
   * @returns the last record; undefined if there was no such session. Rejects with `store_failed`: then it's still there
   */
  async endNow(): Promise<SessionRecord | undefined> {
    if (this.#ending !== undefined) await this.#ending;
    if (this.#end.error !== undefined) {
      if (!this.#isPublic) await this.#record.end('ended');
      this.#isPublic = true;
      return undefined;
    }
    this.#tell('ended');
    const ending = this.#sending === undefined ? this.#endInLine() : this.#endBeside(this.#sending);
    this.#ending = ending;
    if (this.#sending !== undefined) this.#burial = ending;
    try {
      const last = await ending;
      if (last !== undefined) this.#announce('ended');
      return last;
    } catch (thrown) {
      this.#end.takeBack();
      throw thrown;
    } finally {
      this.#ending = undefined;
    }
  }

  /** What is under way comes first, so that the newest refresh token is known; it sends none any more. */
  async #endInLine(): Promise<SessionRecord | undefined> {
    return this.#withLock(async (lease) => {
      const last = await this.#claim(lease);
      if (last === undefined || isFinal(last)) return undefined;
      await this.#bury();
      return isEnded(last) || this.#isExpired(last) ? undefined : last;
    });
  }

  async #endBeside(sending: SessionRecord): Promise<SessionRecord> {
    await this.#bury();
    return sending;
  }

  async #bury(): Promise<void> {
    await this.#record.end('ended');
    this.#buried();
  }

  #buried(): void {
    this.#isBuried = true;
    void this.#unsaved.settle();
  }

  async #stay(longestUntouched: number): Promise<boolean> {
    try {
      const { writtenAt } = this.#times ?? await this.current();
      const isDue = (written: number): boolean => this.#context.clock.now() - written >= longestUntouched;
      if (isDue(writtenAt)) await this.#record.withLockIfFree(async (lease) => this.#touch(lease, isDue));
      return this.#times !== undefined;
    } catch (thrown) {
      return !(thrown instanceof OAuthError) || thrown.code !== 'reauthorization_required';
    }
  }

  async #touch(lease: Lease, isDue: (writtenAt: number) => boolean): Promise<void> {
    const record = await this.#claimed(lease);
    // Somebody else may have done it.
    if (!isDue(record.writtenAt)) return;
    const signed = this.#record.signed(lease, record);
    await this.#assertUnburied();
    await this.#record.publish('save', lease, signed);
    this.#written(signed);
  }

  /** While the lock is this process's own for want of a store, the store is tried: nothing else would let go of it. */
  async #withLock<T>(work: (lease: Lease) => Promise<T>, meanwhile?: () => Promise<T | undefined>): Promise<T> {
    try {
      return await this.#record.withLock(work, async () => {
        await this.#unsaved.flush();
        return meanwhile?.();
      });
    } finally {
      void this.#unsaved.flushInTime(() => !this.#record.isBusy);
    }
  }

  async #claimed(lease: Lease): Promise<SessionRecord> {
    const found = await this.#claim(lease);
    // Nobody has to look under the lock again.
    if (found !== undefined && isEnded(found) && !isFinal(found)) await this.#record.end(found.ended).catch(() => undefined);
    return this.#living(found);
  }

  /** What is in memory only may be written meanwhile, too late to be found. */
  async #claim(lease: Lease): Promise<StoredSession | undefined> {
    const unsaved = this.#unsaved.record;
    return newestOf([unsaved, await this.#record.claim(lease)]);
  }

  async #assertUnburied(): Promise<void> {
    await this.#learnOfBurial();
    if (this.#isBuried) throw this.#end.error ?? reauthorizationRequired('ended');
  }

  async #writeLate(record: SessionRecord): Promise<void> {
    await this.#learnOfBurial();
    if (this.#isBuried) return;
    if (await this.#record.publishLate(record)) {
      this.#times = timesOf(record);
      return;
    }
    this.#buried();
    this.#tell('ended');
    this.#context.revoke(record.refreshToken);
  }

  /** What was in memory only is in what was written: the record was read with it. */
  #written(record: SessionRecord): void {
    this.#times = timesOf(record);
    void this.#unsaved.settle();
  }

  /** A tombstone whose writing failed may be there all the same. */
  async #learnOfBurial(): Promise<void> {
    if (this.#burial === undefined) return;
    await this.#burial.catch(async () => this.#heedFinalEnd());
    this.#burial = undefined;
  }

  async #heedFinalEnd(): Promise<void> {
    const stored = await this.#record.load({ insists: true });
    if (stored === undefined || !isFinal(stored)) return;
    this.#buried();
    throw this.#end.error ?? this.#tell('ended');
  }

  /** Where the lock was lost: somebody may have ended the session meanwhile. */
  async #assertNotEndedElsewhere(written: SessionRecord): Promise<void> {
    try {
      await this.#heedFinalEnd();
    } catch (thrown) {
      if (!this.#isBuried) return;
      this.#record.forgetSlot(written);
      throw thrown;
    }
  }

  #tell(reason: EndReason, cause?: OAuthError): OAuthError {
    const error = this.#end.tell(reason, cause);
    this.#context.forgetTokens(this.#record.name);
    return error;
  }

  #announce(reason: EndReason): void {
    this.#context.events.emit('session-ended', { sessionId: this.id, reason });
  }

  /** A late write may have put it there: that is looked at under the lock, once. */
  #isDoubtful(stored: StoredSession): boolean {
    if (isFinal(stored)) return false;
    if (isEnded(stored)) return true;
    const isKnown = this.#expired?.writtenAt === stored.writtenAt && this.#expired.createdAt === stored.createdAt;
    return this.#isExpired(stored) && !isKnown;
  }

  #isExpired(times: SessionTimes): boolean {
    return this.#context.clock.now() >= this.#context.store.expiryOf(times);
  }

  /** What is in memory only, where it is the newest. */
  #newest(stored: StoredSession | undefined): StoredSession | undefined {
    return newestOf([this.#unsaved.record, stored]);
  }

  #living(stored: StoredSession | undefined): SessionRecord {
    this.throwIfOver();
    const newest = this.#newest(stored);
    if (newest !== this.#unsaved.record) void this.#unsaved.settle();
    if (newest === undefined || (!isEnded(newest) && this.#isExpired(newest))) {
      this.#times = undefined;
      throw reauthorizationRequired('unknown');
    }
    if (isEnded(newest)) {
      this.#buried();
      throw this.#tell(endReason(newest.ended));
    }
    this.#times = timesOf(newest);
    return newest;
  }
}

/** The rest of a record holds secrets, and is kept no longer than it's worked with. */
function timesOf({ createdAt, writtenAt }: SessionRecord): SessionTimes {
  return { createdAt, writtenAt };
}
