import { presentedCertificate, type ClientCertificate } from '../../transport/client-certificate.js';
import type { ClientAuthentication } from './client-authentication.js';

/**
 * What both methods of RFC 8705 section 2 do: the request names the client, and its connection is the proof.
 * @throws OAuthError `invalid_configuration`
 */
export function byCertificate(where: string, method: 'tls_client_auth' | 'self_signed_tls_client_auth', options: ClientCertificate): ClientAuthentication {
  const certificate = presentedCertificate(where, options);
  return Object.freeze<ClientAuthentication>({
    method,
    hint: 'The certificate that is presented must be the one that is registered for the client',
    certificate,
    authenticate: async ({ clientId, parameters }) => {
      parameters.set('client_id', clientId);
      return Promise.resolve({ secrets: [] });
    },
  });
}
