import { sleep } from '../deadline.js';
import { SessionEntry, type SessionEntryContext } from './session-entry.js';
import { nextTry } from './unsaved-record.js';

export interface SessionRegistryContext extends SessionEntryContext {
  /** The most sessions that are known in memory at a time, those with something under way apart. */
  readonly maxEntries: number;
  readonly nameOf: (id: string) => string;
}

/** The one entry of each session: two would not know what the other has in hand. The least recently used go, unless they are needed. */
export class SessionRegistry {
  readonly #entries = new Map<string, SessionEntry>();
  readonly #users = new Map<SessionEntry, number>();
  readonly #context: SessionRegistryContext;

  constructor(context: SessionRegistryContext) {
    this.#context = context;
  }

  entryOf(id: string): SessionEntry {
    const { maxEntries, nameOf } = this.#context;
    const entry = this.#entries.get(id) ?? new SessionEntry(id, nameOf(id), this.#context);
    this.#entries.delete(id);
    this.#entries.set(id, entry);
    for (const [oldest, candidate] of this.#entries) {
      if (this.#entries.size <= maxEntries) break;
      if (candidate !== entry && !candidate.isNeeded && !this.#users.has(candidate)) this.#entries.delete(oldest);
    }
    return entry;
  }

  /** Resolves when nothing is in memory only any more. */
  async flush(signal: AbortSignal): Promise<void> {
    for (;;) {
      const unsaved = [...this.#entries.values()].filter(({ hasUnsaved }) => hasUnsaved);
      await Promise.all(unsaved.map(async (entry) => entry.flush()));
      if (unsaved.every(({ hasUnsaved }) => !hasUnsaved)) return;
      await sleep(nextTry, { signal });
    }
  }

  /** Keeps the entry for as long as `work` takes: its steps may be far apart. */
  async using<T>(entry: SessionEntry, work: () => Promise<T>): Promise<T> {
    this.#users.set(entry, (this.#users.get(entry) ?? 0) + 1);
    try {
      return await work();
    } finally {
      const others = (this.#users.get(entry) ?? 1) - 1;
      if (others === 0) this.#users.delete(entry);
      else this.#users.set(entry, others);
    }
  }
}
