import type { GuardedCall } from '../cache/guard.js';
import { finalFence, isFinal, newestOf, openUnder, type SessionRecord, type StoredSession } from './session-record.js';
import type { SessionStore } from './session-store.js';

/** What whoever has the lock found. */
export interface FoundSession {
  /** Undefined if there is no such session. */
  readonly newest: StoredSession | undefined;
  /** Of all that was found, ends that were asked for apart. */
  readonly highestFence: number;
  /** Whether readers without the lock find an older one. */
  readonly isHidden: boolean;
  /** Slots that nobody needs any more. */
  readonly outvoted: readonly number[];
}

/** So many fences are looked through at most: who finds nothing under the lock leaves a gap, and a lock of the user's may leave more. */
const mostSlots = 100;

/**
 * One session in a store that can only get, set and delete. A process that was stopped, or whose client sends what it has queued, may write at any time, also
 * long after its lease; so nothing that counts may be where two of them write:
 *
 *     head   the newest record, for readers. Everybody writes it, and a late write may put an older one there, of a session that has expired even
 *     slot   one for each fence, written by that fence's owner only. The highest has the session
 *     end    written when the session is over for good, and above every fence: no late write brings it back
 *
 * Invariants:
 *
 * - A record is in its slot before it's in the head, and the slot of the newest record stays.
 * - Who has the lock looks at the head and at every slot above it, up to its own, a hundred at most: an old head costs some reads, and loses nothing. Also at the
 *   slots of those who sent the newest refresh token and fell silent.
 * - A slot is deleted once a newer record is in another.
 */
export class SessionEntries {
  readonly #name: string;
  readonly #store: SessionStore;

  constructor(name: string, store: SessionStore) {
    this.#name = name;
    this.#store = store;
  }

  /** What readers see. */
  async head(call?: GuardedCall): Promise<StoredSession | undefined> {
    const [end, head] = await Promise.all([this.#store.load(this.#end, call), this.#store.load(this.#name, call)]);
    // Written late: it must not be there when the end is forgotten.
    if (end !== undefined && head !== undefined && !isFinal(head)) await this.writeHead(end).catch(() => undefined);
    return newestOf([end, head]);
  }

  /** The same by who asks often, and would hear of an end elsewhere. */
  async glance(): Promise<StoredSession | undefined> {
    return this.#store.load(this.#name);
  }

  /** By the owner of the lock. */
  async find(ownFence: number, call?: GuardedCall): Promise<FoundSession> {
    const head = await this.head(call);
    if (head === undefined || isFinal(head)) return { newest: head, highestFence: 0, isHidden: false, outvoted: [] };
    const first = Math.max(head.fence + 1, ownFence - mostSlots + 1);
    const above = await this.#slots(Array.from({ length: Math.max(0, ownFence - first + 1) }, (_, index) => first + index), call);
    // Below it may be what somebody who fell silent has got meanwhile.
    const slots = [...above, ...await this.#slots(openUnder(newestOf([head, ...above])).filter((fence) => fence < first), call)];
    const newest = newestOf([head, ...slots]);
    return {
      newest,
      highestFence: Math.max(head.fence, ...slots.map(({ fence }) => fence)),
      isHidden: newest !== head,
      outvoted: [head, ...slots].filter((found) => found !== newest).map(({ fence }) => fence),
    };
  }

  /** Into the writer's own slot: at any time, whoever has the lock by now. */
  async writeSlot(how: 'save' | 'keep', session: StoredSession): Promise<void> {
    await this.#store[how](this.#slot(session.fence), session);
  }

  async writeHead(session: StoredSession): Promise<void> {
    await this.#store.save(this.#name, session);
  }

  /** Durable before anything else of the session is. */
  async begin(record: SessionRecord): Promise<void> {
    await this.#store.keep(this.#name, record);
  }

  /** For good. It's to be in the head as well, so that no token is left there, whether or not the store can delete. */
  async end(reason: string): Promise<StoredSession> {
    const end = { fence: finalFence, ended: reason };
    await this.#store.keep(this.#end, end);
    return end;
  }

  /** Slots that are left over harm nobody: they are outvoted, and the store forgets them in time. */
  async forget(fences: readonly number[]): Promise<void> {
    await Promise.all(fences.map(async (fence) => this.#store.remove(this.#slot(fence))));
  }

  async #slots(fences: readonly number[], call: GuardedCall | undefined): Promise<StoredSession[]> {
    return (await Promise.all(fences.map(async (fence) => this.#store.load(this.#slot(fence), call)))).filter((slot) => slot !== undefined);
  }

  get #end(): string {
    return `${this.#name}:end`;
  }

  #slot(fence: number): string {
    return `${this.#name}:${fence}`;
  }
}
