import { OAuthError } from '../errors.js';
import type { Events } from '../events.js';
import type { Lease } from './exclusive.js';
import { LockedRecord, type LockedRecordContext } from './locked-record.js';
import { endReason, reauthorizationRequired, type EndReason } from './reauthorization.js';
import { isEnded, type SessionRecord, type StoredSession } from './session-record.js';
import type { SessionTimes } from './session-store.js';

export interface SessionEntryContext extends LockedRecordContext {
  readonly events: Events;
  /** Forgets the access tokens in memory of the session of this name. */
  readonly forgetTokens: (name: string) => void;
}

/** A refresh token on its way, and the record that says so. */
export interface Sending {
  readonly lease: Lease;
  readonly record: SessionRecord;
}

/** A record that the store has not taken. */
interface Unsaved {
  readonly record: SessionRecord;
  /** The refresh token in whose place the record has another: whoever still has it has an older record, whatever its fence. */
  readonly replaced: string | undefined;
}

type LockedWork<T> = (lease: Lease, record: SessionRecord) => Promise<T>;

/**
 * One session as this process knows it: its record, what of it is in memory only, and its end. Invariants:
 *
 * - Who holds the lock writes. Only `end()` doesn't wait for a refresh token that is on its way: it writes its tombstone beside that refresh, which
 *   writes nothing before it's known whether the tombstone stands.
 * - A record that could not be written after the server's answer stays in memory until it's written, or somebody else's is newer.
 * - Who asks after `end()` began is told that the session is over. If the tombstone can't be written it's still there, for all who ask later.
 * - Once the tombstone stands nothing is written over it, whatever still arrives.
 */
export class SessionEntry {
  readonly id: string;
  readonly #context: SessionEntryContext;
  readonly #record: LockedRecord;
  /** Of the record that was last read or written, unless there was none. */
  #times: SessionTimes | undefined;
  #unsaved: Unsaved | undefined;
  #sending: Sending | undefined;
  /** What everybody is told from now on. */
  #over: OAuthError | undefined;
  #told = new AbortController();
  /** The writing of the tombstone, by whoever ends it. */
  #ending: Promise<unknown> | undefined;
  /** The same where it's done beside a refresh, until it's known whether it was. */
  #burial: Promise<unknown> | undefined;
  #isBuried = false;
  #staying: Promise<boolean> | undefined;

  constructor(id: string, name: string, context: SessionEntryContext) {
    this.id = id;
    this.#context = context;
    this.#record = new LockedRecord(name, context);
  }

  /** Aborted with `reauthorization_required` when the session ends: who waits for its tokens waits no longer. */
  get endSignal(): AbortSignal {
    return this.#told.signal;
  }

  throwIfOver(): void {
    if (this.#over !== undefined) throw this.#over;
  }

  /** Whether its tombstone stands: nothing of it can be kept any more. */
  get isBuried(): boolean {
    return this.#isBuried;
  }

  get hasUnsaved(): boolean {
    return this.#unsaved !== undefined;
  }

  /** Whether something of it is under way, or in memory only: then it must not be forgotten. */
  get isNeeded(): boolean {
    return this.#unsaved !== undefined || this.#record.isBusy;
  }

  /** Whether its time is up as far as this process knows. The store may know better. */
  get hasExpired(): boolean {
    return this.#times !== undefined && this.#context.clock.now() >= this.#context.store.expiryOf(this.#times);
  }

  /** The record, read without the lock. Rejects with `reauthorization_required` if there is none, or `store_failed`. */
  async current(): Promise<SessionRecord> {
    this.throwIfOver();
    let stored: StoredSession | undefined;
    try {
      stored = await this.#record.load();
    } catch (thrown) {
      if (this.#unsaved !== undefined) return this.#unsaved.record;
      throw thrown;
    }
    return this.#living(stored);
  }

  /** The record, read once more by who holds the lock. */
  async reload(): Promise<SessionRecord> {
    return this.#living(await this.#record.load());
  }

  /** Does `work` under the session's lock, with the record as it is then. */
  async locked<T>(work: LockedWork<T>): Promise<T> {
    return this.#record.withLock(async (lease) => work(lease, await this.#claimed(lease)));
  }

  /** Marks that a refresh token is on its way, so that `end()` doesn't have to wait for the answer. */
  async sending<T>(sending: Sending, send: () => Promise<T>): Promise<T> {
    this.throwIfOver();
    this.#sending = sending;
    try {
      return await send();
    } finally {
      this.#sending = undefined;
    }
  }

  /** Rejects with `store_failed`, or with the end of the session if that stands. */
  async write(lease: Lease, record: SessionRecord): Promise<void> {
    await this.#write('save', lease, record);
  }

  /**
   * For what must not be lost: where the store fails, the record waits in memory. Rejects only if the end of the session stands.
   * @param replaced the refresh token that is no longer the one of this record
   */
  async keep(lease: Lease, record: SessionRecord, replaced?: string): Promise<void> {
    await this.#write('keep', lease, record).catch((thrown: unknown) => {
      if (this.#isBuried) throw thrown;
      this.#unsaved = { record: this.#record.signed(lease, record), replaced };
    });
  }

  /** Writes what could not be written before; does nothing while somebody else is at it. */
  async flush(): Promise<void> {
    await this.#record.withLockIfFree(async (lease) => {
      const record = await this.#claimed(lease);
      if (this.#unsaved !== undefined) await this.write(lease, record);
    });
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
    const burying = this.#bury(lease, reason).finally(() => { this.#ending = undefined; });
    this.#ending = burying;
    // What the server has refused is over whether or not that can be written: others will hear it from the server as well.
    if (refusal === undefined) await burying;
    const error = this.#tell(reason, refusal);
    this.#announce(reason);
    await burying.catch(() => undefined);
    this.#isBuried = true;
    this.#unsaved = undefined;
    return error;
  }

  /**
   * The end that was asked for. Who waits for a token is told at once; an answer that is on its way to this process is not waited for.
   * @returns the last record; undefined if there was no such session. Rejects with `store_failed`: then it's still there
   */
  async endNow(): Promise<SessionRecord | undefined> {
    if (this.#ending !== undefined) {
      await this.#ending;
      return undefined;
    }
    if (this.#over !== undefined) return undefined;
    this.#tell('ended');
    const ending = this.#sending === undefined ? this.#endInLine() : this.#endBeside(this.#sending);
    this.#ending = ending;
    if (this.#sending !== undefined) this.#burial = ending;
    try {
      const last = await ending;
      if (last !== undefined) this.#announce('ended');
      return last;
    } catch (thrown) {
      this.#over = undefined;
      this.#told = new AbortController();
      throw thrown;
    } finally {
      this.#ending = undefined;
    }
  }

  /** What is under way comes first, so that the newest refresh token is known; it sends none any more. */
  async #endInLine(): Promise<SessionRecord | undefined> {
    return this.#record.withLock(async (lease) => {
      const last = this.#newest(await this.#record.load());
      if (last === undefined || isEnded(last)) return undefined;
      this.#record.claim(lease);
      await this.#bury(lease, 'ended');
      return last;
    });
  }

  async #endBeside({ lease, record }: Sending): Promise<SessionRecord> {
    await this.#bury(lease, 'ended');
    return record;
  }

  async #stay(longestUntouched: number): Promise<boolean> {
    try {
      const { writtenAt } = this.#times ?? await this.current();
      if (this.#context.clock.now() - writtenAt >= longestUntouched) await this.#record.withLockIfFree(async (lease) => this.write(lease, await this.#claimed(lease)));
      return this.#times !== undefined;
    } catch (thrown) {
      return !(thrown instanceof OAuthError) || thrown.code !== 'reauthorization_required';
    }
  }

  async #claimed(lease: Lease): Promise<SessionRecord> {
    const record = await this.reload();
    this.#record.claim(lease);
    return record;
  }

  async #write(how: 'save' | 'keep', lease: Lease, record: SessionRecord): Promise<void> {
    await this.#learnOfBurial();
    if (this.#isBuried) throw this.#over ?? reauthorizationRequired('ended');
    const signed = this.#record.signed(lease, record);
    await this.#record.write(how, lease, signed);
    this.#times = timesOf(signed);
    // What was in memory only is in what was written: the record was read with it.
    this.#unsaved = undefined;
  }

  /** A tombstone whose writing failed may be there all the same. */
  async #learnOfBurial(): Promise<void> {
    if (this.#burial === undefined) return;
    await this.#burial.catch(async () => this.#living(await this.#record.load({ insists: true })));
    this.#burial = undefined;
  }

  async #bury(lease: Lease, reason: EndReason): Promise<void> {
    await this.#record.write('keep', lease, { fence: lease.fence, ended: reason });
    this.#isBuried = true;
    this.#unsaved = undefined;
  }

  #tell(reason: EndReason, cause?: OAuthError): OAuthError {
    this.#over = reauthorizationRequired(reason, cause);
    this.#told.abort(this.#over);
    this.#context.forgetTokens(this.#record.name);
    return this.#over;
  }

  #announce(reason: EndReason): void {
    this.#context.events.emit('session-ended', { sessionId: this.id, reason });
  }

  /** What is in memory only, where it is the newest; an end is newer than everything. */
  #newest(stored: StoredSession | undefined): StoredSession | undefined {
    if (this.#unsaved === undefined || (stored !== undefined && isEnded(stored))) return stored;
    const { record, replaced } = this.#unsaved;
    const isNewer = stored === undefined || stored.fence <= record.fence || (replaced !== undefined && stored.refreshToken === replaced);
    return isNewer ? record : stored;
  }

  #living(stored: StoredSession | undefined): SessionRecord {
    this.throwIfOver();
    const newest = this.#newest(stored);
    if (newest !== this.#unsaved?.record) this.#unsaved = undefined;
    if (newest === undefined) {
      this.#times = undefined;
      throw reauthorizationRequired('unknown');
    }
    if (isEnded(newest)) {
      this.#isBuried = true;
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
