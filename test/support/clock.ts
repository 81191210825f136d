const NEW_YEAR_2026 = Date.UTC(2026, 0, 1);

/** Time that moves only when told to. */
export class ManualClock {
  #epoch: number;
  #monotonic = 0;

  constructor(epoch: number = NEW_YEAR_2026) {
    this.#epoch = epoch;
  }

  now(): number {
    return this.#epoch;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  /** Ordinary time passes, on both clocks. */
  advance(ms: number): void {
    if (ms < 0) throw new RangeError(`advance: time does not run backwards, received ${ms}`);
    this.#epoch += ms;
    this.#monotonic += ms;
  }

  /** Somebody sets the wall clock, forwards or (negative) backwards. */
  jumpWallClock(ms: number): void {
    this.#epoch += ms;
  }

  /** The machine sleeps: on Linux the monotonic clock stands still meanwhile. */
  suspend(ms: number): void {
    if (ms < 0) throw new RangeError(`suspend: time does not run backwards, received ${ms}`);
    this.#epoch += ms;
  }
}
