import { elapsedSince, momentOf, type Clock, type Moment } from '../clock.js';

/** A pause that doubles with each failure in a row, shared by all who look at it. */
export class Pause {
  #count = 0;
  #since: Moment | undefined;
  #length = 0;

  readonly #first: number;
  readonly #longest: number;

  /** Milliseconds. */
  constructor(first: number, longest: number) {
    this.#first = first;
    this.#longest = longest;
  }

  begin(clock: Clock, atLeast = 0, atMost: number = Infinity): void {
    this.#length = Math.max(Math.min(doubled(this.#first, this.#count, this.#longest), atMost), atLeast);
    this.#count += 1;
    this.#since = momentOf(clock);
  }

  isOver(clock: Clock): boolean {
    return this.#since === undefined || elapsedSince(this.#since, clock) >= this.#length;
  }

  reset(): void {
    this.#count = 0;
    this.#since = undefined;
  }
}

/** `first`, doubled `times` times, but no more than `longest`. */
export function doubled(first: number, times: number, longest: number): number {
  return Math.min(first * 2 ** times, longest);
}
