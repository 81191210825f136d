import { printable } from '../printable.js';

const assertionHint = 'If the server knows the key, it may want another audience: some servers want their token endpoint as the audience: set `audience: \'token_endpoint\'`';
const certificateHint = 'The certificate that is presented must be the one that is registered for the client';

const hints: Readonly<Record<string, string>> = {
  // Most servers that refuse Basic say nothing else.
  client_secret_basic: 'If id and secret are right, the server may want them in the body: set `clientAuthentication: clientSecretPost(secret)`',
  client_secret_jwt: 'If the secret is right, the server may want another audience or algorithm: set `audience: \'token_endpoint\'`, or the `alg` that is registered for the client',
  private_key_jwt: assertionHint,
  tls_client_auth: certificateHint,
  self_signed_tls_client_auth: certificateHint,
  none: 'No secret was sent: `clientSecret` is not set',
};

/**
 * What to look at after `invalid_client`.
 * @param supported `token_endpoint_auth_methods_supported` of the metadata (RFC 8414 section 2)
 */
export function invalidClientHint(method: string, supported: unknown): string | undefined {
  const sentences = [hints[method], unlisted(method, supported)].filter((sentence) => sentence !== undefined);
  return sentences.length === 0 ? undefined : sentences.join('. ');
}

function unlisted(method: string, supported: unknown): string | undefined {
  if (!Array.isArray(supported) || supported.length === 0 || supported.includes(method)) return undefined;
  return `The server's metadata list ${printable(supported.join(', '), 300)}, not ${method}`;
}
