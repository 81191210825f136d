import { randomBytes } from 'node:crypto';
import type { UnauthenticatedRequest } from './client-authentication.js';

/** Seconds that an assertion is good for: it's made for one attempt. */
const lifetime = 60;

/**
 * What a client says of itself (RFC 7523 section 3, OpenID Connect Core section 9). Without `nbf`: a server whose clock is a little behind must not find it too early.
 * @param audience the issuer by default, which every server knows itself by
 */
export function assertionClaims({ clientId, server, now }: UnauthenticatedRequest, audience: string | undefined): Record<string, unknown> {
  const iat = Math.floor(now / 1_000);
  return {
    iss: clientId,
    sub: clientId,
    aud: audience === 'token_endpoint' ? server.token_endpoint : audience ?? server.issuer ?? server.token_endpoint,
    jti: randomBytes(16).toString('base64url'),
    iat,
    exp: iat + lifetime,
  };
}

/** For servers that know the key and still don't take the assertion. */
export function audienceHint(audience: string | undefined): string {
  return audience === undefined ? 'Some servers want their token endpoint as the audience: set `audience: \'token_endpoint\'`' : 'It may want another `audience`: most want the issuer, which is the default';
}

/** RFC 7523 section 2.2. */
export function presentAssertion({ clientId, parameters }: UnauthenticatedRequest, assertion: string): void {
  parameters.set('client_id', clientId);
  parameters.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
  parameters.set('client_assertion', assertion);
}

/** What the server takes assertions to be signed with (RFC 8414 section 2). */
export function assertionAlgorithms({ server }: UnauthenticatedRequest): unknown {
  return server.token_endpoint_auth_signing_alg_values_supported;
}
