import { OAuthError, systemReason } from '../errors.js';

/** No HTTP answer came, or only a part of one. */
export function unreachable(what: string, thrown: unknown): OAuthError {
  const reason = systemReason(thrown);
  return new OAuthError('server_unreachable', `${what} could not be reached${reason === undefined ? '' : `: ${reason}`}`, { retryable: true, cause: thrown });
}
