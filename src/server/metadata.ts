/** Authorization server metadata in the names of RFC 8414 section 2. Further members are allowed. */
export interface AuthorizationServerMetadata {
  /** The issuer identifier, as the server spells it. */
  readonly issuer?: string;
  /** https; http to loopback with `allowInsecureRequests`. */
  readonly token_endpoint: string;
  /** Names of client authentication methods. Where it is absent the server takes `client_secret_basic`. */
  readonly token_endpoint_auth_methods_supported?: readonly string[];
  readonly [member: string]: unknown;
}
