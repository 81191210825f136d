import type { OAuthError } from '../errors.js';

const answered = new WeakSet<OAuthError>();

/** Notes that the answer had come, and was not read in time. */
export function markAnswered(failure: OAuthError): OAuthError {
  answered.add(failure);
  return failure;
}

/** Whether an answer had come, though nobody knows what it says. */
export function isAnswered(failure: OAuthError): boolean {
  return answered.has(failure);
}
