import type { Clock } from '../clock.js';
import type { OAuthError } from '../errors.js';
import { Pause } from './pause.js';

/** Mistakes of the client that no further request will mend soon (RFC 6749 section 5.2). */
const remembered = new Set(['invalid_client', 'unauthorized_client', 'invalid_scope']);
const rememberedFor = 5_000;

/**
 * The last failure to get a token, for as long as it answers for the authorization server: a mistake of the client for some seconds, a failure
 * that may pass for one second, doubled up to thirty and never less than the server asked for. Anything else leaves no trace.
 */
export class FailureMemory {
  #error: OAuthError | undefined;
  readonly #pause = new Pause(1_000, 30_000);
  readonly #maxRetryAfter: number;

  constructor(maxRetryAfter: number) {
    this.#maxRetryAfter = maxRetryAfter;
  }

  current(clock: Clock): OAuthError | undefined {
    return this.#pause.isOver(clock) ? undefined : this.#error;
  }

  /** @param atMost milliseconds that a pause of our own lasts at most; what the server asked for is waited all the same */
  add(error: OAuthError, clock: Clock, atMost: number = Infinity): void {
    if (error.error !== undefined && remembered.has(error.error)) {
      this.#pause.reset();
      this.#pause.begin(clock, rememberedFor);
    } else if (error.retryable) {
      this.#pause.begin(clock, Math.min(error.retryAfter ?? 0, this.#maxRetryAfter), atMost);
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
