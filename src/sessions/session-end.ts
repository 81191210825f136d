import type { OAuthError } from '../errors.js';
import { reauthorizationRequired, type EndReason } from './reauthorization.js';

/** That a session is over, as everybody in this process who asks for it is told. */
export class SessionEnd {
  #error: OAuthError | undefined;
  #told = new AbortController();

  get error(): OAuthError | undefined {
    return this.#error;
  }

  /** Aborted with `reauthorization_required`: who waits for the session's tokens waits no longer. */
  get signal(): AbortSignal {
    return this.#told.signal;
  }

  throwIfOver(): void {
    if (this.#error !== undefined) throw this.#error;
  }

  tell(reason: EndReason, cause?: OAuthError): OAuthError {
    this.#error = reauthorizationRequired(reason, cause);
    this.#told.abort(this.#error);
    return this.#error;
  }

  /** It could not be written, so the session is still there for all who ask later. */
  takeBack(): void {
    this.#error = undefined;
    this.#told = new AbortController();
  }
}
