import { OAuthError } from '../errors.js';
import { isSecure } from '../transport/secure-url.js';

/** Authorization server metadata in the names of RFC 8414 section 2. Further members are allowed. */
export interface AuthorizationServerMetadata {
  /** The issuer identifier, as the server spells it. */
  readonly issuer?: string | undefined;
  /** https, as every endpoint; http to loopback with `allowInsecureRequests`. */
  readonly token_endpoint: string;
  /** Where browsers sign in. Needed for logins. */
  readonly authorization_endpoint?: string | undefined;
  /** The server's keys, with which ID tokens are signed. Needed, as `issuer` is, for logins with the scope `openid`. */
  readonly jwks_uri?: string | undefined;
  /** Where tokens are revoked (RFC 7009). */
  readonly revocation_endpoint?: string | undefined;
  /** Where browsers sign out (OpenID Connect RP-Initiated Logout 1.0). */
  readonly end_session_endpoint?: string | undefined;
  /** Names of client authentication methods. Where it is absent the server takes `client_secret_basic`. */
  readonly token_endpoint_auth_methods_supported?: readonly string[] | undefined;
  /** JWS algorithms of ID tokens. */
  readonly id_token_signing_alg_values_supported?: readonly string[] | undefined;
  /** Whether every callback names the issuer (RFC 9207 section 3). */
  readonly authorization_response_iss_parameter_supported?: boolean | undefined;
  readonly [member: string]: unknown;
}

export type Endpoint = 'authorization_endpoint' | 'jwks_uri' | 'revocation_endpoint' | 'end_session_endpoint';

/**
 * An endpoint that not every client needs; undefined where the server has none.
 * @throws OAuthError `discovery_failed` for one that nothing may be sent to
 */
export function endpointOf(metadata: AuthorizationServerMetadata, name: Endpoint, allowInsecureRequests: boolean): URL | undefined {
  const value: unknown = metadata[name];
  if (value === undefined || value === null) return undefined;
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
  if (url?.username === '' && url.password === '' && isSecure(url, allowInsecureRequests)) return url;
  throw new OAuthError('discovery_failed', `The authorization server's metadata name no usable \`${name}\`: it must be an https URL without user and password; http is for loopback only, with \`allowInsecureRequests\``);
}

/** @throws OAuthError `invalid_configuration` */
export function requiredEndpoint(metadata: AuthorizationServerMetadata, name: Endpoint, purpose: string, allowInsecureRequests: boolean): URL {
  const url = endpointOf(metadata, name, allowInsecureRequests);
  if (url !== undefined) return url;
  throw new OAuthError('invalid_configuration', `The authorization server's metadata have no \`${name}\`, which ${purpose} needs: pass it in the option \`server\``);
}
