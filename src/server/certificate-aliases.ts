import { OAuthError } from '../errors.js';
import { isPlainObject } from '../validation.js';
import { isEndpointUrl, type AuthorizationServerMetadata } from './metadata.js';

const ofBrowsers = ['authorization_endpoint', 'end_session_endpoint'];

/**
 * The metadata for a client that has a certificate: requests go to the endpoints that ask for one, where the server has them apart (`mtls_endpoint_aliases`, RFC 8705 section 5).
 * @throws OAuthError `discovery_failed` for a token endpoint that nothing may be sent to
 */
export function withCertificateAliases(metadata: AuthorizationServerMetadata, allowInsecureRequests: boolean): AuthorizationServerMetadata {
  const { mtls_endpoint_aliases: aliases } = metadata;
  if (!isPlainObject(aliases)) return metadata;
  const named: Readonly<Record<string, unknown>> = Object.fromEntries(Object.entries(aliases).filter(([name]) => name.endsWith('_endpoint') && !ofBrowsers.includes(name)));
  const { token_endpoint: tokenEndpoint = metadata.token_endpoint } = named;
  if (isEndpointUrl(tokenEndpoint, allowInsecureRequests)) return { ...metadata, ...named, token_endpoint: tokenEndpoint };
  throw new OAuthError('discovery_failed', 'The authorization server\'s `mtls_endpoint_aliases` name no usable `token_endpoint`: it must be an https URL without user and password');
}
