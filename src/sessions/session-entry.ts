import type { Clock } from '../clock.js';
import { OAuthError } from '../errors.js';
import type { Events } from '../events.js';
import type { Exclusive, Lease } from './exclusive.js';
import { endReason, reauthorizationRequired, type EndReason } from './reauthorization.js';
import { isEnded, type SessionRecord, type StoredSession } from './session-record.js';
import type { SessionStore } from './session-store.js';

export interface SessionEntryContext {
  readonly store: SessionStore;
  readonly exclusive: Exclusive;
  readonly clock: Clock;
  readonly events: Events;
  readonly report: (operation: string, failure: unknown) => void;
}

/** Somebody else holds a higher fence: what was begun has to begin anew. */
export class Superseded extends Error {}

/** A refresh token on its way, and the record that says so. */
interface Sending {
  readonly lease: Lease;
  readonly record: SessionRecord;
}

const mostTurns = 3;

/**
 * One session as this process knows it: the way to its record, and what of it is in memory only. Invariants:
 *
 * - The record is written by who holds the lock, with that lock's fence; `end()` may use the lock of a refresh under way in this process.
 * - Once it has ended here, nothing is written any more, whatever still arrives.
 * - A record that could not be written after the server's answer stays in memory until it's written, or somebody else's is newer.
 */
export class SessionEntry {
  readonly id: string;
  readonly #name: string;
  readonly #context: SessionEntryContext;
  #fence = 0;
  #writtenAt = Infinity;
  #unsaved: SessionRecord | undefined;
  #sending: Sending | undefined;
  #latest: SessionRecord | undefined;
  #ended: OAuthError | undefined;
  #ending = new AbortController();

  constructor(id: string, name: string, context: SessionEntryContext) {
    this.id = id;
    this.#name = name;
    this.#context = context;
  }

  /** Aborted with `reauthorization_required` when the session ends: who waits for its tokens waits no longer. */
  get endSignal(): AbortSignal {
    return this.#ending.signal;
  }

  get hasUnsaved(): boolean {
    return this.#unsaved !== undefined;
  }

  /** Milliseconds since the record was last written, as far as this process knows. */
  get untouchedFor(): number {
    return this.#context.clock.now() - this.#writtenAt;
  }

  /** Whether something of it is under way, or in memory only: then it must not be forgotten. */
  get isPinned(): boolean {
    return this.isBusy || this.#unsaved !== undefined;
  }

  get isBusy(): boolean {
    return this.#context.exclusive.isBusy(this.#name);
  }

  get hasEnded(): boolean {
    return this.#ended !== undefined;
  }

  throwIfEnded(): void {
    if (this.#ended !== undefined) throw this.#ended;
  }

  /** The record, read without the lock. Rejects with `reauthorization_required` if there is none, or `store_failed`. */
  async current(): Promise<SessionRecord> {
    this.throwIfEnded();
    let stored: StoredSession | undefined;
    try {
      stored = await this.#load();
    } catch (thrown) {
      if (this.#unsaved !== undefined) return this.#unsaved;
      throw thrown;
    }
    return this.#live(stored);
  }

  /** The record, read once more by who holds the lock. */
  async reload(): Promise<SessionRecord> {
    return this.#live(await this.#load());
  }

  /** Does `work` under the session's lock, with the record as it is then. */
  async locked<T>(work: (lease: Lease, record: SessionRecord) => Promise<T>, patience?: number): Promise<T> {
    for (let turn = 1; ; turn += 1) {
      try {
        return await this.#context.exclusive.run({ name: this.#name, fenceAtLeast: this.#fence, ...(patience !== undefined && { patience }) }, async (lease) => {
          const record = await this.reload();
          if (record.fence >= lease.fence) throw new Superseded();
          this.#fence = lease.fence;
          return work(lease, record);
        });
      } catch (thrown) {
        if (!(thrown instanceof Superseded)) throw thrown;
        if (turn === mostTurns) throw new OAuthError('store_failed', 'Other processes keep writing this session without its lock: give all of them the same `lock`', { retryable: true });
      }
    }
  }

  /** Marks that a refresh token is on its way, so that `end()` doesn't have to wait for the answer. */
  async sending<T>(lease: Lease, send: () => Promise<T>): Promise<T> {
    this.throwIfEnded();
    if (this.#latest !== undefined) this.#sending = { lease, record: this.#latest };
    try {
      return await send();
    } finally {
      this.#sending = undefined;
    }
  }

  /** Rejects with `store_failed`. */
  async write(lease: Lease, record: SessionRecord): Promise<void> {
    this.throwIfEnded();
    if (lease.remaining() <= 0 && !await lease.renew()) throw new OAuthError('store_failed', 'The lock of the session was lost: somebody else may have it', { retryable: true });
    await this.#save({ ...record, fence: lease.fence, writtenAt: this.#context.clock.now() });
  }

  /** For what is better known than not. */
  async tryToWrite(lease: Lease, record: SessionRecord): Promise<void> {
    await this.write(lease, record).catch((thrown: unknown) => { if (this.#ended === undefined) this.#context.report('set', thrown); });
  }

  /** For what must not be lost: a store that fails once is asked again, then the record waits in memory. */
  async keep(lease: Lease, record: SessionRecord): Promise<void> {
    try {
      await this.write(lease, record).catch(async () => this.write(lease, record));
      this.#unsaved = undefined;
    } catch (thrown) {
      this.throwIfEnded();
      this.#unsaved = { ...record, fence: lease.fence, writtenAt: this.#context.clock.now() };
      this.#context.report('set', thrown);
    }
  }

  /** Writes what could not be written before; does nothing while somebody else is at it. */
  async flush(): Promise<void> {
    if (this.#unsaved === undefined || this.isBusy) return;
    try {
      await this.locked(async (lease, record) => {
        if (this.#unsaved === undefined) return;
        await this.write(lease, record);
        this.#unsaved = undefined;
      }, 0);
    } catch (thrown) {
      this.#context.report('set', thrown);
    }
  }

  /** Writes the record as it is, so that a store doesn't forget a session that is in use. */
  async touch(): Promise<void> {
    if (this.isBusy) return;
    this.#writtenAt = this.#context.clock.now();
    await this.locked(async (lease, record) => this.write(lease, record), 0).catch((thrown: unknown) => { if (this.#ended === undefined) this.#context.report('set', thrown); });
  }

  /** The end that the server, or the lack of a refresh token, makes. By who holds the lock; gives the error for all who ask from now on. */
  async end(lease: Lease, reason: EndReason, cause?: OAuthError): Promise<OAuthError> {
    this.throwIfEnded();
    const error = this.#over(reason, cause);
    await this.#bury(lease.fence, reason).catch((thrown: unknown) => { this.#context.report('set', thrown); });
    this.#announce(reason);
    return error;
  }

  /**
   * The end that was asked for. Who waits for a token is told at once; a refresh under way in this process is not waited for.
   * @returns the last record; undefined if there was no such session
   */
  async endNow(): Promise<SessionRecord | undefined> {
    if (this.#ended !== undefined) return undefined;
    this.#over('ended');
    try {
      const last = this.#sending === undefined ? await this.#endLocked() : await this.#endBeside(this.#sending);
      if (last !== undefined) this.#announce('ended');
      return last;
    } catch (thrown) {
      this.#ended = undefined;
      this.#ending = new AbortController();
      throw thrown;
    }
  }

  async #endLocked(): Promise<SessionRecord | undefined> {
    return this.#context.exclusive.run({ name: this.#name, fenceAtLeast: this.#fence }, async (lease) => {
      const stored = await this.#load();
      const last = this.#unsaved ?? stored;
      if (last === undefined || isEnded(last) || (stored !== undefined && isEnded(stored))) return undefined;
      await this.#bury(Math.max(lease.fence, this.#fence), 'ended');
      return last;
    });
  }

  async #endBeside({ lease, record }: Sending): Promise<SessionRecord> {
    await this.#bury(lease.fence, 'ended');
    return record;
  }

  async #bury(fence: number, reason: EndReason): Promise<void> {
    await this.#context.store.save(this.#name, { fence, ended: reason });
    this.#unsaved = undefined;
  }

  #over(reason: EndReason, cause?: OAuthError): OAuthError {
    const error = reauthorizationRequired(reason, cause);
    this.#ended = error;
    this.#ending.abort(error);
    return error;
  }

  #announce(reason: EndReason): void {
    this.#context.events.emit('session-ended', { sessionId: this.id, reason });
  }

  async #save(record: SessionRecord): Promise<void> {
    await this.#context.store.save(this.#name, record);
    this.#fence = record.fence;
    this.#writtenAt = record.writtenAt;
    this.#latest = record;
  }

  async #load(): Promise<StoredSession | undefined> {
    try {
      const stored = await this.#context.store.load(this.#name);
      if (stored !== undefined) this.#fence = Math.max(this.#fence, stored.fence);
      return stored;
    } catch (thrown) {
      this.#context.report('get', thrown);
      throw thrown;
    }
  }

  #live(stored: StoredSession | undefined): SessionRecord {
    this.throwIfEnded();
    const unsaved = this.#unsaved;
    if (unsaved !== undefined && (stored === undefined || (!isEnded(stored) && stored.fence <= unsaved.fence))) return unsaved;
    this.#unsaved = undefined;
    if (stored === undefined) throw reauthorizationRequired('unknown');
    if (isEnded(stored)) throw this.#over(endReason(stored.ended));
    this.#writtenAt = stored.writtenAt;
    return stored;
  }
}
