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
  /** Where authorization requests are pushed (RFC 9126). */
  readonly pushed_authorization_request_endpoint?: string | undefined;
  /** Whether it takes no other authorization requests (RFC 9126 section 5). */
  readonly require_pushed_authorization_requests?: boolean | undefined;
  /** Whether it takes only authorization requests that are signed (RFC 9101 section 10.5). */
  readonly require_signed_request_object?: boolean | undefined;
  /** JWS algorithms of signed authorization requests. */
  readonly request_object_signing_alg_values_supported?: readonly string[] | undefined;
  /** JWS algorithms of callbacks in a JWT (JARM section 4). */
  readonly authorization_signing_alg_values_supported?: readonly string[] | undefined;
  /** Where users of devices without a browser begin (RFC 8628). */
  readonly device_authorization_endpoint?: string | undefined;
  /** Where users are asked on another device (OpenID Connect CIBA Core 1.0). */
  readonly backchannel_authentication_endpoint?: string | undefined;
  /** Where tokens are looked into (RFC 7662). */
  readonly introspection_endpoint?: string | undefined;
  /** JWS algorithms of client assertions. */
  readonly token_endpoint_auth_signing_alg_values_supported?: readonly string[] | undefined;
  /** JWS algorithms of DPoP proofs (RFC 9449 section 5.1). */
  readonly dpop_signing_alg_values_supported?: readonly string[] | undefined;
  /** The same endpoints for clients with a certificate (RFC 8705 section 5). */
  readonly mtls_endpoint_aliases?: Readonly<Record<string, string>> | undefined;
  /** Whether every callback names the issuer (RFC 9207 section 3). */
  readonly authorization_response_iss_parameter_supported?: boolean | undefined;
  readonly [member: string]: unknown;
}

/** Those that not every client needs. */
export const endpoints = [
  'authorization_endpoint',
  'jwks_uri',
  'revocation_endpoint',
  'end_session_endpoint',
  'pushed_authorization_request_endpoint',
  'device_authorization_endpoint',
  'backchannel_authentication_endpoint',
  'introspection_endpoint',
] as const;

export type Endpoint = (typeof endpoints)[number];

/** Whether secrets may be sent there. */
export function isEndpointUrl(value: unknown, allowInsecureRequests: boolean): value is string {
  if (typeof value !== 'string' || !URL.canParse(value)) return false;
  const url = new URL(value);
  return url.username === '' && url.password === '' && isSecure(url, allowInsecureRequests);
}

/**
 * An endpoint that not every client needs; undefined where the server has none.
 * @throws OAuthError `discovery_failed` for one that nothing may be sent to
 */
export function endpointOf(metadata: AuthorizationServerMetadata, name: string, allowInsecureRequests: boolean): URL | undefined {
  const value: unknown = metadata[name];
  if (value === undefined || value === null) return undefined;
  if (isEndpointUrl(value, allowInsecureRequests)) return new URL(value);
  throw new OAuthError('discovery_failed', `The authorization server's metadata name no usable \`${name}\`: it must be an https URL without user and password; http is for loopback only, with \`allowInsecureRequests\``);
}

/** @throws OAuthError `invalid_configuration` */
export function requiredEndpoint(metadata: AuthorizationServerMetadata, name: string, purpose: string, allowInsecureRequests: boolean): URL {
  const url = endpointOf(metadata, name, allowInsecureRequests);
  if (url !== undefined) return url;
  throw new OAuthError('invalid_configuration', `The authorization server's metadata have no \`${name}\`, which ${purpose} needs: pass it in the option \`server\``);
}
