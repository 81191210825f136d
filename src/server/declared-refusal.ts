import type { OAuthError } from '../errors.js';

const declared = new WeakSet<OAuthError>();

/** Notes that a dialect says what this answer means: then its status doesn't. */
export function markDeclared(failure: OAuthError): OAuthError {
  declared.add(failure);
  return failure;
}

/** Whether a dialect says that the answer means what its `error` says, whatever its status. */
export function isDeclared(failure: OAuthError): boolean {
  return declared.has(failure);
}
