import { createHash, type JsonWebKey } from 'node:crypto';
import { invalid, shapeOf } from '../../validation.js';
import { compactJws, type JwsHeader } from './compact-jws.js';
import { listedAlgorithm } from './listed-algorithm.js';
import { readPrivateKey, type PrivateKey } from './private-key.js';

export type { PrivateKey } from './private-key.js';

export interface SigningKeyOptions {
  /** The JWS algorithm. @default the key's usual one, or the first it can do that the server lists */
  readonly alg?: string | undefined;
  /** The key's id at the server. @default the JWK's, else none */
  readonly kid?: string | undefined;
}

/** A private key that signs, and shows nothing of itself. */
export interface SigningKey {
  readonly kid: string | undefined;
  /** What its kind requires and nothing else: kty, crv, x, y, or kty, n, e. */
  readonly publicJwk: JsonWebKey;
  /** RFC 7638, by SHA-256, in base64url. */
  readonly thumbprint: string;
  /** The JWS algorithm: the one that was named, else the first of the key's that the server lists, else its usual one. */
  algorithm(supported?: unknown): string;
  /** A JWT in the compact serialization. */
  sign(claims: Record<string, unknown>, header: JwsHeader): Promise<string>;
}

/**
 * Reads a private key, at once: what is wrong with it is said where it was passed.
 * @param where what the message begins with, e.g. `privateKeyJwt`
 * @throws OAuthError `invalid_configuration`, naming what to change and nothing of the key
 */
export function signingKey(where: string, key: PrivateKey, { alg, kid }: SigningKeyOptions = {}): SigningKey {
  const read = readPrivateKey(where, key);
  const algorithms = (alg === undefined ? read.algorithms : read.algorithms.filter((known) => known === alg)) as [string, ...string[]];
  if (algorithms.length === 0) throw invalid(`${where}: \`alg\` must be one of ${read.algorithms.join(', ')} for this key (${read.kind}); received ${shapeOf(alg)}`);
  const publicJwk = Object.freeze(read.publicKey.export({ format: 'jwk' }));
  return Object.freeze<SigningKey>({
    kid: kid ?? read.kid,
    publicJwk,
    thumbprint: thumbprintOf(publicJwk),
    algorithm: (supported) => listedAlgorithm(algorithms, supported),
    sign: async (claims, header) => compactJws(claims, header, read.signer),
  });
}

/** RFC 7638 section 3: the required members in the order of their names. */
function thumbprintOf({ crv, e, kty, n, x, y }: JsonWebKey): string {
  return createHash('sha256').update(JSON.stringify({ crv, e, kty, n, x, y })).digest('base64url');
}
