import type { ClientCertificate } from '../../transport/client-certificate.js';
import { byCertificate } from './by-certificate.js';
import type { ClientAuthentication } from './client-authentication.js';

/**
 * `self_signed_tls_client_auth` (RFC 8705 section 2.2): a certificate that is itself registered for the client, in its key set; no CA is asked.
 * A `dispatcher` of your own goes before the connections that present it: then it has to present it.
 * @throws OAuthError `invalid_configuration`
 */
export function selfSignedTlsClientAuth(certificate: ClientCertificate): ClientAuthentication {
  return byCertificate('selfSignedTlsClientAuth', 'self_signed_tls_client_auth', certificate);
}
