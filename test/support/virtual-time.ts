import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { vi } from 'vitest';

/** Whose timers they are. The dead have none; a sleeper hears of its own when it wakes. */
export interface TimerOwner {
  readonly isDead: boolean;
  /** On the virtual clock. */
  readonly sleepsUntil: number;
}

interface Timer {
  at: number;
  readonly callback: () => void;
  readonly owner: TimerOwner | undefined;
}

/** One for all: each costs every promise of the process something. */
const owners = new AsyncLocalStorage<TimerOwner | undefined>();

const NEW_YEAR_2026 = Date.UTC(2026, 0, 1);

/**
 * Time for several processes in one, none of it real: the timers of Node belong to whoever set them, and fire when they are told to.
 * `install` replaces those of this process until `vi.unstubAllGlobals()`.
 */
export class VirtualTime {
  readonly #timers = new Set<Timer>();
  #elapsed = 0;

  now(): number {
    return NEW_YEAR_2026 + this.#elapsed;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  install(): void {
    const set = (callback: () => void, delay = 0): object => this.#set(callback, delay);
    const clear = (timer: Timer | undefined): void => { if (timer !== undefined) this.#timers.delete(timer); };
    vi.stubGlobal('setTimeout', set);
    vi.stubGlobal('clearTimeout', clear);
    // All that the library repeats is to keep its process alive.
    vi.stubGlobal('setInterval', () => ({}));
    vi.stubGlobal('clearInterval', () => undefined);
    vi.stubGlobal('performance', { now: () => this.#elapsed });
  }

  /** What `work` sets in motion, now and later, belongs to `owner`, or to nobody. */
  as<T>(owner: TimerOwner | undefined, work: () => T): T {
    return owners.run(owner, work);
  }

  /** Resolves when `owner` doesn't sleep. */
  async awake(owner: TimerOwner): Promise<void> {
    if (owner.sleepsUntil > this.now()) await new Promise<void>((resolve) => { this.as(owner, () => this.#set(resolve, 0)); });
  }

  /** Milliseconds until the next timer fires; undefined if there is none. */
  get untilNext(): number | undefined {
    const next = this.#next();
    return next && Math.max(0, dueAt(next) - this.now());
  }

  /** Time passes, and what is due on the way happens in its order. */
  async pass(ms: number): Promise<void> {
    const end = this.#elapsed + ms;
    // What happened before takes its course first.
    await nextTurn();
    for (let next = this.#next(); next !== undefined && dueAt(next) - NEW_YEAR_2026 <= end; next = this.#next()) {
      this.#elapsed = Math.max(this.#elapsed, dueAt(next) - NEW_YEAR_2026);
      this.#timers.delete(next);
      this.as(next.owner, next.callback);
      await nextTurn();
    }
    this.#elapsed = end;
  }

  #set(callback: () => void, delay: number): object {
    const timer = { at: this.now() + delay, callback, owner: owners.getStore(), unref: () => timer };
    this.#timers.add(timer);
    return timer;
  }

  #next(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.owner?.isDead === true) this.#timers.delete(timer);
      else if (next === undefined || dueAt(timer) < dueAt(next)) next = timer;
    }
    return next;
  }
}

function dueAt({ at, owner }: Timer): number {
  return Math.max(at, owner?.sleepsUntil ?? 0);
}
