import type { OAuthError } from '../errors.js';

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

/** Codes of failures before a request has left: name look-up, connection, TLS. */
const beforeSending = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|EADDRNOTAVAIL|EMFILE|ENFILE|EACCES|EPERM|UND_ERR_CONNECT_TIMEOUT|CERT_\w+|ERR_TLS_\w+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+)$/;

/** A 5xx and a 429 say nothing of the grant, whatever their body says: often they are not the authorization server's own. */
export function outcomeOf(failure: OAuthError): RefreshOutcome {
  if (failure.code === 'token_request_failed') return outcomeOfAnswer(failure);
  if (failure.code === 'invalid_response') return 'unclear';
  if (failure.code === 'timeout') return 'lost';
  // Anything else than a lost connection is from before the request: a secret function that threw, a closed manager.
  return failure.code === 'server_unreachable' && !beforeSending.test(codeOf(failure)) ? 'lost' : 'not sent';
}

function outcomeOfAnswer({ error, retryable, status = 0 }: OAuthError): RefreshOutcome {
  if (status === 429) return 'kept';
  if (retryable || status >= 500) return 'unclear';
  return error === 'invalid_grant' ? 'refused' : 'kept';
}

function codeOf({ cause }: OAuthError): string {
  const code: unknown = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return typeof code === 'string' ? code : '';
}
