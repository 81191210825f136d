/** RFC 8414 names; whatever a test puts here is served. */
export interface ServedMetadata {
  issuer: string;
  token_endpoint: string;
  authorization_endpoint?: string | undefined;
  jwks_uri?: string | undefined;
  revocation_endpoint?: string | undefined;
  end_session_endpoint?: string | undefined;
  token_endpoint_auth_methods_supported?: string[] | undefined;
  /** RFC 9207: whether callbacks carry `iss`. */
  authorization_response_iss_parameter_supported?: boolean | undefined;
  [name: string]: unknown;
}

/** @param base the server's origin and the path that its endpoints are below */
export function servedMetadata(issuer: string, base: string, idTokenAlg: string): ServedMetadata {
  return {
    issuer,
    authorization_endpoint: `${base}/authorize`,
    token_endpoint: `${base}/token`,
    jwks_uri: `${base}/jwks`,
    revocation_endpoint: `${base}/revoke`,
    end_session_endpoint: `${base}/logout`,
    scopes_supported: ['openid', 'offline_access'],
    response_types_supported: ['code'],
    response_modes_supported: ['query', 'form_post'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [idTokenAlg],
    grant_types_supported: ['client_credentials', 'authorization_code', 'refresh_token'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    authorization_response_iss_parameter_supported: true,
  };
}
