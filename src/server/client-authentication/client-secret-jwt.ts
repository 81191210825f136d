import { createSecretKey } from 'node:crypto';
import { checkOptions, text } from '../../validation.js';
import { compactJws } from '../keys/compact-jws.js';
import { listedAlgorithm } from '../keys/listed-algorithm.js';
import { assertionAlgorithms, assertionClaims, audienceHint, presentAssertion } from './assertion.js';
import type { ClientAuthentication } from './client-authentication.js';
import { holdSecret, type ClientSecret } from './client-secret.js';

const algorithms = ['HS256', 'HS384', 'HS512'] as const;

/** How `client_secret_jwt` is made. */
export interface ClientSecretJwtOptions {
  /** The JWS algorithm. @default the first of HS256, HS384 and HS512 that the server lists, HS256 where it lists none */
  alg?: 'HS256' | 'HS384' | 'HS512' | undefined;
  /** Whom the assertion is for: `token_endpoint` for servers that want the URL of that, or any other text. @default the issuer; the token endpoint where none is known */
  audience?: string | undefined;
}

/**
 * `client_secret_jwt` (OpenID Connect Core section 9): an assertion signed with the secret, which itself isn't sent. The secret may be shorter than the hash,
 * though RFC 7518 section 3.2 asks for more: it's the server that chose it.
 * @throws OAuthError `invalid_configuration`
 */
export function clientSecretJwt(secret: ClientSecret, options: ClientSecretJwtOptions = {}): ClientAuthentication {
  const holder = holdSecret('clientSecretJwt', secret);
  checkOptions<ClientSecretJwtOptions>('clientSecretJwt', options, {
    alg: { expected: 'HS256, HS384 or HS512; for a private key there is privateKeyJwt', accepts: (value) => algorithms.some((alg) => alg === value) },
    audience: text,
  });
  const { alg, audience } = options;
  return Object.freeze<ClientAuthentication>({
    method: 'client_secret_jwt',
    hint: `If the secret is right, the server may want another algorithm: set the \`alg\` that is registered for the client. ${audienceHint(audience)}`,
    async authenticate(request) {
      const value = await holder.current(request.signal);
      const header = { alg: alg ?? listedAlgorithm(algorithms, assertionAlgorithms(request)) };
      const assertion = await compactJws(assertionClaims(request, audience), header, createSecretKey(value, 'utf8'));
      presentAssertion(request, assertion);
      const { replace } = holder;
      return { secrets: [assertion, value], ...(replace && { renew: () => replace(value, request.signal) }) };
    },
  });
}
