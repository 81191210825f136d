/** Milliseconds that each `slow_down` adds (RFC 8628 section 3.5, CIBA section 11). */
const slowDown = 5_000;
/** Milliseconds: pauses after failures grow no longer, so that a login is noticed when the server is back. */
const longestBackoff = 60_000;

/** How long to wait before the server is asked again (RFC 8628 section 3.5). */
export class PollingPace {
  #interval: number;
  #failures = 0;
  #retryAfter = 0;

  readonly #maxRetryAfter: number;

  /** Both in milliseconds. */
  constructor(interval: number, maxRetryAfter: number) {
    this.#interval = interval;
    this.#maxRetryAfter = maxRetryAfter;
  }

  /** Milliseconds: the interval, doubled by each failure since the last answer; and what the server asked for, up to a limit, if that is longer. */
  get pause(): number {
    return Math.max(this.#interval, Math.min(this.#interval * 2 ** this.#failures, longestBackoff), this.#retryAfter);
  }

  /** The server says that the user has not decided yet. */
  pending(isTooFast: boolean, retryAfter = 0): void {
    if (isTooFast) this.#interval += slowDown;
    this.#failures = 0;
    this.#retryAfter = Math.min(retryAfter, this.#maxRetryAfter);
  }

  /** No answer came, or one of a server in trouble. */
  failed(retryAfter = 0): void {
    this.#failures += 1;
    this.#retryAfter = Math.min(retryAfter, this.#maxRetryAfter);
  }
}
