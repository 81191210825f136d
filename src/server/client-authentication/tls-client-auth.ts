import type { ClientCertificate } from '../../transport/client-certificate.js';
import { byCertificate } from './by-certificate.js';
import type { ClientAuthentication } from './client-authentication.js';

/**
 * `tls_client_auth` (RFC 8705 section 2.1): a certificate by a CA that the server trusts, whose subject or name is registered for the client.
 * A `dispatcher` of your own goes before the connections that present it: then it has to present it.
 * @throws OAuthError `invalid_configuration`
 */
export function tlsClientAuth(certificate: ClientCertificate): ClientAuthentication {
  return byCertificate('tlsClientAuth', 'tls_client_auth', certificate);
}
