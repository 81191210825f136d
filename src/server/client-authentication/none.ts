import type { ClientAuthentication } from './client-authentication.js';

/** `none` (RFC 7591 section 2): a public client that has no secret sends its id only. */
export function none(): ClientAuthentication {
  return Object.freeze<ClientAuthentication>({
    method: 'none',
    authenticate({ clientId, parameters }) {
      parameters.set('client_id', clientId);
      return Promise.resolve({ secrets: [] });
    },
  });
}
