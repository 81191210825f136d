import type { OAuthError } from '../errors.js';
import { isAnswered } from '../server/answered.js';
import { isDeclared } from '../server/declared-refusal.js';
import { isUnsent } from '../server/unsent.js';

/** What became of a refresh token that was sent (RFC 6749 section 6), as far as the failure tells. */
export type RefreshOutcome =
  /** The server takes it no more: the grant is over, or somebody else has used the token. */
  | 'refused'
  /** It never left. */
  | 'not sent'
  /** The server looked at the request and said no to something else: the token is as good as before. */
  | 'kept'
  /** An answer came, but not from who would know: it may have been used. */
  | 'unclear'
  /** No answer came: it may have been used. */
  | 'lost';

/** A 5xx and a 429 say nothing of the grant, whatever their body says: often they are not the authorization server's own. */
export function outcomeOf(failure: OAuthError): RefreshOutcome {
  if (isUnsent(failure)) return 'not sent';
  if (isDeclared(failure)) return failure.error === 'invalid_grant' ? 'refused' : failure.retryable ? 'unclear' : 'kept';
  if (failure.code === 'token_request_failed') return outcomeOfAnswer(failure);
  if (failure.code === 'invalid_response' || isAnswered(failure)) return 'unclear';
  // Anything else than these two is from before the request: a secret function that threw, a closed manager.
  return failure.code === 'timeout' || failure.code === 'server_unreachable' ? 'lost' : 'not sent';
}

function outcomeOfAnswer({ error, retryable, status = 0 }: OAuthError): RefreshOutcome {
  if (status === 429) return 'kept';
  if (retryable || status >= 500) return 'unclear';
  return error === 'invalid_grant' ? 'refused' : 'kept';
}
