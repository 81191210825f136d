import type { OAuthError } from '../errors.js';
import { failureMark, type FailureMark } from './failure-mark.js';

const unsent = failureMark();

/** Notes that the request of this failure never left: the client's proof could not be had, or its deadline came first. */
export const markUnsent: FailureMark['note'] = unsent.note;

/** Codes of failures before a request has left: name look-up, a socket to be had, connection, TLS. */
const beforeSending = [
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|EADDRNOTAVAIL|EMFILE|ENFILE|EACCES|EPERM|UND_ERR_CONNECT_TIMEOUT)$/,
  /^(CERT_\w+|ERR_TLS_\w+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+)$/,
  // The client's certificate, in the handshake of TLS 1.2 (RFC 5246 section 7.2).
  /^ERR_SSL_\w+_ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE)$/,
];

/** Whether the authorization server has certainly seen nothing of the request. */
export function isUnsent(failure: OAuthError): boolean {
  return unsent.isNoted(failure) || beforeSending.some((pattern) => pattern.test(codeOf(failure)));
}

function codeOf({ cause }: OAuthError): string {
  const code: unknown = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return typeof code === 'string' ? code : '';
}
