import type { TokenRequest } from '../tokens/token-request.js';
import type { ExtensionGrant } from './extension-grant.js';

/** The client credentials grant (RFC 6749 section 4.4): the subject is the client itself. */
export function clientCredentials(request: TokenRequest): ExtensionGrant {
  return { grantType: 'client_credentials', request, subject: { identity: ['client'], parameters: async () => Promise.resolve({}) } };
}
