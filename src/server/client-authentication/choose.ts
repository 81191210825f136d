import { invalid } from '../../validation.js';
import type { AuthorizationServerMetadata } from '../metadata.js';
import type { ClientAuthentication } from './client-authentication.js';
import { clientSecretBasic } from './client-secret-basic.js';
import { clientSecretJwt } from './client-secret-jwt.js';
import { clientSecretPost } from './client-secret-post.js';
import type { ClientSecret } from './client-secret.js';
import { none } from './none.js';

/** How one client authenticates at the server with this metadata. */
export type AuthenticationChoice = (metadata: AuthorizationServerMetadata) => ClientAuthentication;

/**
 * One method, never probed: the one that was named; else for a secret the first of basic, post and client_secret_jwt that the server
 * lists, basic where it lists none (RFC 8414 section 2, `token_endpoint_auth_methods_supported`); `none` without a secret.
 */
export function chooseAuthentication({ clientSecret, clientAuthentication }: { clientSecret?: ClientSecret | undefined; clientAuthentication?: ClientAuthentication | undefined }): AuthenticationChoice {
  if (clientAuthentication !== undefined) return () => clientAuthentication;
  if (clientSecret === undefined) return none;
  const methods = [clientSecretBasic(clientSecret), clientSecretPost(clientSecret), clientSecretJwt(clientSecret)] as const;
  return ({ token_endpoint_auth_methods_supported: supported }) => {
    if (!Array.isArray(supported) || supported.length === 0) return methods[0];
    const listed = methods.find(({ method }) => supported.includes(method));
    if (listed === undefined) throw invalid(`\`clientSecret\`: the authorization server takes none of ${methods.map(({ method }) => method).join(', ')}, only ${supported.join(', ')}; set \`clientAuthentication\``);
    return listed;
  };
}

/** What of the client authentication belongs to the identity of a token. */
export function authenticationIdentity({ clientSecret, clientAuthentication }: { clientSecret?: unknown; clientAuthentication?: ClientAuthentication | undefined }): string {
  return clientAuthentication?.method ?? (clientSecret === undefined ? 'none' : 'client_secret');
}
