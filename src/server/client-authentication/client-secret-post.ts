import type { ClientAuthentication } from './client-authentication.js';
import { holdSecret, type ClientSecret } from './client-secret.js';

/**
 * `client_secret_post` (RFC 6749 section 2.3.1): id and secret in the body, for servers that don't take the `Authorization` header.
 * @throws OAuthError `invalid_configuration`
 */
export function clientSecretPost(secret: ClientSecret): ClientAuthentication {
  const holder = holdSecret('clientSecretPost', secret);
  return Object.freeze<ClientAuthentication>({
    method: 'client_secret_post',
    async authenticate({ clientId, parameters, signal }) {
      const value = await holder.current(signal);
      parameters.set('client_id', clientId);
      parameters.set('client_secret', value);
      const { replace } = holder;
      return { secrets: [value], ...(replace && { renew: () => replace(value, signal) }) };
    },
  });
}
