import { OAuthError, systemReason } from '../errors.js';
import type { TransportOptions } from '../transport/transport.js';

/** What a server's refusal of a client certificate looks like: an alert (RFC 8446 section 6.2), or, mostly, no more than a connection that is cut. */
const mayBeRefusal = /\b(ERR_SSL_\w*ALERT\w*|ECONNRESET|EPIPE|UND_ERR_SOCKET)\b/;

/** No HTTP answer came, or only a part of one. */
export function unreachable(what: string, thrown: unknown, { certificate }: Pick<TransportOptions, 'certificate'>): OAuthError {
  const reason = systemReason(thrown) ?? '';
  const hint = certificate !== undefined && mayBeRefusal.test(reason) ? '. The server may not have accepted the client certificate: it must be issued by a CA that the server trusts, for TLS clients, or be registered there itself' : '';
  return new OAuthError('server_unreachable', `${what} could not be reached${reason === '' ? '' : `: ${reason}`}${hint}`, { retryable: true, cause: thrown });
}
