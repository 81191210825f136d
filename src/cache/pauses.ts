import { elapsedSince, momentOf, type Clock, type Moment } from '../clock.js';
import type { OAuthError } from '../errors.js';

/** A pause that doubles with each failure in a row, shared by all who look at it. */
export class Pause {
  #count = 0;
  #since: Moment | undefined;
  #length = 0;

  constructor(readonly first: number, readonly longest: number) {}

  begin(clock: Clock, atLeast = 0): void {
    this.#length = Math.max(Math.min(this.first * 2 ** this.#count, this.longest), atLeast);
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

/** Mistakes of the client that no further request will mend soon (RFC 6749 section 5.2). */
const remembered = new Set(['invalid_client', 'unauthorized_client', 'invalid_scope']);
const rememberedFor = 5_000;

/**
 * The last failure to get a token, for as long as it answers for the authorization server: a mistake of the client for some seconds, a failure
 * that may pass for one second, doubled up to thirty and never less than the server asked for. Anything else leaves no trace.
 */
export class FailureMemory {
  #error: OAuthError | undefined;
  #pause = new Pause(1_000, 30_000);

  constructor(readonly maxRetryAfter: number) {}

  current(clock: Clock): OAuthError | undefined {
    return this.#pause.isOver(clock) ? undefined : this.#error;
  }

  add(error: OAuthError, clock: Clock): void {
    if (error.error !== undefined && remembered.has(error.error)) {
      this.#pause.reset();
      this.#pause.begin(clock, rememberedFor);
    } else if (error.retryable) {
      this.#pause.begin(clock, Math.min(error.retryAfter ?? 0, this.maxRetryAfter));
    } else {
      this.#pause.reset();
    }
    this.#error = error;
  }

  clear(): void {
    this.#pause.reset();
    this.#error = undefined;
  }
}
