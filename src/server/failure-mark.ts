import type { OAuthError } from '../errors.js';

export interface FailureMark {
  /** @returns the failure itself */
  readonly note: <Failure extends OAuthError>(failure: Failure) => Failure;
  readonly isNoted: (failure: OAuthError) => boolean;
}

/** Something about a failure that the library has to know of it, and nobody else sees. */
export function failureMark(): FailureMark {
  const noted = new WeakSet<OAuthError>();
  return {
    note(failure) {
      noted.add(failure);
      return failure;
    },
    isNoted: (failure) => noted.has(failure),
  };
}
