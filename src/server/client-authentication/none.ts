import type { ClientAuthentication } from './client-authentication.js';

/** `none` (RFC 7591 section 2): a public client that has no secret sends its id only. */
export function none(): ClientAuthentication {
  return Object.freeze<ClientAuthentication>({
    method: 'none',
    hint: 'No secret was sent: `clientSecret` is not set',
    authenticate({ clientId, parameters }) {
      parameters.set('client_id', clientId);
      return Promise.resolve({ secrets: [] });
    },
  });
}
