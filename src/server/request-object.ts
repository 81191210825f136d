import { randomBytes } from 'node:crypto';
import { checkOptions, invalid, text, type Rules } from '../validation.js';
import type { ConnectedClient } from './connected-client.js';
import { parseJsonObject } from './body.js';
import { signatureAlgorithm } from './keys/key-algorithms.js';
import { signingKey, type PrivateKey } from './keys/signing-key.js';

/** How authorization requests are signed (RFC 9101). */
export interface SignedAuthorizationRequests {
  /** A private key whose public half the server knows. */
  key: PrivateKey;
  /** The JWS algorithm, e.g. `PS256`. @default the JWK's; else the first that the key can do and the server lists; else ES256, ES384, ES512, EdDSA or RS256, as the key is */
  alg?: string | undefined;
  /** The key's id in the client's JWKS, sent in the header. @default the JWK's, else none */
  kid?: string | undefined;
}

/** Makes a request object of the parameters of an authorization request. */
export type RequestSigner = (parameters: URLSearchParams, client: ConnectedClient) => Promise<string>;

const where = 'createTokenManager: `signedAuthorizationRequests`';

const rules: Rules<SignedAuthorizationRequests> = {
  // What it has to be is the business of `signingKey`.
  key: { expected: 'a private key', accepts: () => true, secret: true },
  alg: signatureAlgorithm,
  kid: text,
};

/** Seconds that a request object is good for: the browser is sent off with it at once. */
const lifetime = 5 * 60;
/** Seconds by which it's good earlier: a server whose clock is a little behind must not find it too early. */
const margin = 30;

/** @throws OAuthError `invalid_configuration`, with nothing of the key */
export function requestSigner(option: SignedAuthorizationRequests): RequestSigner {
  checkOptions<SignedAuthorizationRequests>(where, option, rules);
  const { key, ...options } = option;
  const signing = signingKey(where, key, options);
  return async (parameters, { clientId, metadata, clock }) => {
    const { issuer, request_object_signing_alg_values_supported: supported } = metadata;
    if (issuer === undefined) throw invalid('startLogin: the option `signedAuthorizationRequests` needs the `issuer` that requests are signed for: pass it in the option `server`');
    const iat = Math.floor(clock.now() / 1_000);
    const claims = {
      response_type: 'code',
      ...claimsOf(parameters),
      client_id: clientId,
      iss: clientId,
      aud: issuer,
      jti: randomBytes(16).toString('base64url'),
      iat,
      nbf: iat - margin,
      exp: iat + lifetime,
    };
    return signing.sign(claims, { alg: signing.algorithm(supported), typ: 'oauth-authz-req+jwt', kid: signing.kid });
  };
}

/** RFC 9101 section 4: a number is one, and what is JSON in a query is itself here; a parameter that is there more than once is a list. */
function claimsOf(parameters: URLSearchParams): Record<string, unknown> {
  return Object.fromEntries([...new Set(parameters.keys())].map((name) => {
    const [value = '', ...others] = parameters.getAll(name);
    return [name, others.length > 0 ? [value, ...others] : claimOf(name, value)];
  }));
}

function claimOf(name: string, value: string): unknown {
  if (name === 'max_age') return Number(value);
  if (name === 'authorization_details') return JSON.parse(value);
  return name === 'claims' ? parseJsonObject(value) ?? value : value;
}
