import type { AuthorizationServerMetadata } from '../metadata.js';
import { printable } from '../printable.js';
import type { ClientAuthentication } from './client-authentication.js';

/** What to look at after `invalid_client`: what the method knows of itself, and where the server's metadata say otherwise. */
export function invalidClientHint({ method, hint }: ClientAuthentication, metadata: AuthorizationServerMetadata): string | undefined {
  const { token_endpoint_auth_methods_supported: methods, token_endpoint_auth_signing_alg_values_supported: algorithms } = metadata;
  const isSigned = method === 'private_key_jwt' || method === 'client_secret_jwt';
  const sentences = [
    hint,
    isListing(methods) && !methods.includes(method) ? `The server's metadata list ${printable(methods.join(', '), 300)}, not ${method}` : undefined,
    isSigned && isListing(algorithms) ? `It takes assertions signed with ${printable(algorithms.join(', '), 300)}` : undefined,
  ].filter((sentence) => sentence !== undefined);
  return sentences.length === 0 ? undefined : sentences.join('. ');
}

function isListing(value: unknown): value is readonly unknown[] {
  return Array.isArray(value) && value.length > 0;
}
