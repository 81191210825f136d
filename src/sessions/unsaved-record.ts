import type { Lease } from '../cache/turn.js';
import { sleep } from '../deadline.js';
import type { SessionRecord } from './session-record.js';

interface Unsaved {
  readonly record: SessionRecord;
  readonly lease: Lease;
  readonly release: () => Promise<void>;
}

/** Milliseconds between two tries to write what the store has not taken. */
export const nextTry = 250;
/** Milliseconds after the lease for which that goes on: whoever has the lock next gives a sender that fell silent a second, for just this. */
const afterLease = 1_500;

/**
 * What of a session the store has not taken, and is in memory only. Until it's written, and for as long as the lease lasts, it's tried again and again, and nobody
 * else gets the lock: they would go by what the store has, and use a refresh token that is spent.
 */
export class UnsavedRecord {
  #unsaved: Unsaved | undefined;
  #flushing: Promise<void> | undefined;
  #insisting: Promise<void> | undefined;
  readonly #write: (record: SessionRecord) => Promise<void>;

  constructor(write: (record: SessionRecord) => Promise<void>) {
    this.#write = write;
  }

  get record(): SessionRecord | undefined {
    return this.#unsaved?.record;
  }

  add(record: SessionRecord, lease: Lease): void {
    this.#unsaved = { record, lease, release: lease.stayTaken() };
  }

  /** There is nothing any more: it's in the store, or of no use. */
  async settle(): Promise<void> {
    const released = this.#unsaved?.release();
    this.#unsaved = undefined;
    await released;
  }

  /** Rejects as the writing does. */
  async flush(): Promise<void> {
    this.#flushing ??= (async () => {
      const unsaved = this.#unsaved;
      if (unsaved === undefined) return;
      await this.#write(unsaved.record);
      if (this.#unsaved === unsaved) await this.settle();
    })().finally(() => { this.#flushing = undefined; });
    return this.#flushing;
  }

  /**
   * For as long as nobody else can have the lock, and a moment longer: nobody may ask for a token before they do. It keeps the process alive, which would take it along.
   * @param mayWrite false while somebody is at work who writes it anyway
   */
  async flushInTime(mayWrite: () => boolean): Promise<void> {
    this.#insisting ??= this.#insist(mayWrite).finally(() => { this.#insisting = undefined; });
    return this.#insisting;
  }

  async #insist(mayWrite: () => boolean): Promise<void> {
    while (this.#unsaved !== undefined && this.#unsaved.lease.remaining() > -afterLease) {
      await sleep(nextTry);
      if (mayWrite()) await this.flush().catch(() => undefined);
    }
  }
}
