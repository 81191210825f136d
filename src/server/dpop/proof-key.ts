import { createHash, generateKeyPairSync, randomBytes, type JsonWebKey } from 'node:crypto';
import { signingKey, type PrivateKey, type SigningKey } from '../keys/signing-key.js';

/** A key pair to which tokens are bound (RFC 9449): without a proof made with it they are of no use. Its private key stays inside. */
export interface ProofKey {
  /** JWK SHA-256 thumbprint (RFC 7638), the confirmation `jkt` of tokens that are bound to it. */
  readonly thumbprint: string;
  /** A new proof for one request (RFC 9449 section 4.2). */
  prove(request: ProofRequest): Promise<string>;
  /** How a session keeps it. */
  record(): ProofKeyRecord;
}

export interface ProofRequest {
  readonly method: string;
  readonly url: URL;
  /** The access token that goes with it. */
  readonly accessToken?: string | undefined;
  /** What the server gave for the next proof. */
  readonly nonce?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** The metadata `dpop_signing_alg_values_supported`. */
  readonly algorithms?: unknown;
}

export interface ProofKeyRecord {
  readonly thumbprint: string;
  /** Absent for a key that was configured: every process has it. */
  readonly privateKey?: JsonWebKey;
}

/** The key of the option `dpop`. */
export function configuredProofKey({ privateKey, alg }: { readonly privateKey: PrivateKey; readonly alg?: string | undefined }): ProofKey {
  return proofKey(signingKey('createTokenManager: `dpop.privateKey`', privateKey, { alg }));
}

/** A new one: ES256, which every server with DPoP knows. */
export function generatedProofKey(): ProofKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return storedProofKey(privateKey.export({ format: 'jwk' }));
}

/** @throws OAuthError `invalid_configuration` for what is no private key */
export function storedProofKey(privateKey: JsonWebKey): ProofKey {
  return proofKey(signingKey('dpop', privateKey), privateKey);
}

function proofKey(key: SigningKey, privateKey?: JsonWebKey): ProofKey {
  const { thumbprint, publicJwk: jwk } = key;
  // An API doesn't say what it takes: what its authorization server lists is the best guess.
  let listed: unknown;
  return Object.freeze<ProofKey>({
    thumbprint,
    async prove({ method, url, accessToken, nonce, now, algorithms }) {
      const claims = {
        jti: randomBytes(16).toString('base64url'),
        htm: method,
        htu: `${url.origin}${url.pathname}`,
        iat: Math.floor(now / 1_000),
        ...(accessToken !== undefined && { ath: createHash('sha256').update(accessToken).digest('base64url') }),
        ...(nonce !== undefined && { nonce }),
      };
      listed = algorithms ?? listed;
      return key.sign(claims, { alg: key.algorithm(listed), typ: 'dpop+jwt', jwk });
    },
    record: () => ({ thumbprint, ...(privateKey && { privateKey }) }),
  });
}
