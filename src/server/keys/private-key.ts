import { createPrivateKey, createPublicKey, KeyObject, sign, verify, type JsonWebKey, type webcrypto } from 'node:crypto';
import { types } from 'node:util';
import { invalid, shapeOf, text, typeName } from '../../validation.js';
import { keyAlgorithms, type KeyAlgorithms } from './key-algorithms.js';
import { privateKeyOfPem } from './pem.js';
import { plainRsa } from './rsa-pss.js';

/** A private key: a CryptoKey (one that can't be exported too), a KeyObject, a JWK (RFC 7517), or the text of a PEM (PKCS #8, PKCS #1 or SEC 1). */
export type PrivateKey = webcrypto.CryptoKey | KeyObject | JsonWebKey | webcrypto.JsonWebKey | string;

/** A private key that was read, and what it says of its use. */
export interface ReadPrivateKey extends KeyAlgorithms {
  /** What signs: a CryptoKey stays one, since it may not be exported. */
  readonly signer: KeyObject | webcrypto.CryptoKey;
  readonly publicKey: KeyObject;
  /** Of a JWK. */
  readonly kid?: string | undefined;
}

/** @throws OAuthError `invalid_configuration`, naming what to change and nothing of the key */
export function readPrivateKey(where: string, key: unknown): ReadPrivateKey {
  if (typeof key === 'string' && key !== '') return ofKeyObject(where, privateKeyOfPem(where, key));
  if (types.isKeyObject(key)) return ofKeyObject(where, key);
  if (types.isCryptoKey(key)) return ofCryptoKey(where, key);
  if (typeof key === 'object' && key !== null && text.accepts(Reflect.get(key, 'kty'))) return ofJwk(where, key as JsonWebKey);
  if (types.isUint8Array(key)) throw invalid(`${where}: the key must be a PEM as a string; received bytes: call toString() on them`);
  const isPair = typeof key === 'object' && key !== null && 'privateKey' in key;
  throw invalid(`${where}: the key must be a CryptoKey, a KeyObject, a JWK or a PEM; received ${isPair ? 'a key pair: pass its `privateKey`' : typeName(key)}`);
}

function ofKeyObject(where: string, key: KeyObject): ReadPrivateKey {
  assertPrivate(where, key.type);
  const known = keyAlgorithms(where, key);
  const signer = key.asymmetricKeyType === 'rsa-pss' ? plainRsa(key) : key;
  return { ...known, signer, publicKey: createPublicKey(signer) };
}

function ofCryptoKey(where: string, key: webcrypto.CryptoKey): ReadPrivateKey {
  assertPrivate(where, key.type);
  if (!key.usages.includes('sign')) throw invalid(`${where}: the CryptoKey must have the usage \`sign\`; its usages are ${key.usages.join(', ') || 'none'}`);
  const read = ofKeyObject(where, KeyObject.from(key));
  const { name, hash } = key.algorithm as webcrypto.RsaHashedKeyAlgorithm;
  const family = { 'RSASSA-PKCS1-v1_5': 'RS', 'RSA-PSS': 'PS' }[name];
  if (family === undefined) return { ...read, signer: key };
  const [alg] = read.algorithms.filter((known) => known === hash.name.replace('SHA-', family));
  if (alg === undefined) throw invalid(`${where}: the CryptoKey's hash must be SHA-256, SHA-384 or SHA-512; it is ${hash.name}`);
  return { ...read, signer: key, kind: `a CryptoKey for ${name} with ${hash.name}`, algorithms: [alg] };
}

function ofJwk(where: string, jwk: JsonWebKey): ReadPrivateKey {
  const { kty, d, alg, kid, use, key_ops: operations } = jwk;
  if (kty === 'oct') assertPrivate(where, 'secret');
  if (d === undefined) assertPrivate(where, 'public');
  if (use !== undefined && use !== 'sig') throw invalid(`${where}: the JWK's \`use\` must be "sig" where it has one (RFC 7517 section 4.2)`);
  if (Array.isArray(operations) && !operations.includes('sign')) throw invalid(`${where}: the JWK's \`key_ops\` must include "sign" where it has them (RFC 7517 section 4.3)`);
  const key = keyOfJwk(where, jwk);
  const read = ofKeyObject(where, key);
  if (!isOnePair(key, read.publicKey)) throw invalid(`${where}: the JWK's public and private members are not of one key`);
  const named = typeof kid === 'string' && kid !== '' ? { kid } : {};
  if (alg === undefined) return { ...read, ...named };
  if (!read.algorithms.some((known) => known === alg)) throw invalid(`${where}: the JWK's \`alg\` must be one of ${read.algorithms.join(', ')} for this key (${read.kind}); received ${shapeOf(alg)}`);
  // EdDSA and Ed25519 are two names of one signature (RFC 9864 section 2.2): WebCrypto writes the new one into its JWKs, and many servers know the old one only.
  const algorithms = read.kind === 'Ed25519' ? [alg as string, ...read.algorithms.filter((known) => known !== alg)] : [alg as string];
  return { ...read, ...named, kind: `${read.kind}, by the JWK's \`alg\``, algorithms };
}

function keyOfJwk(where: string, jwk: JsonWebKey): KeyObject {
  try {
    return createPrivateKey({ key: jwk, format: 'jwk' });
  } catch {
    const hint = jwk.kty === 'RSA' ? '; an RSA one must have n, e, d, p, q, dp, dq and qi' : '';
    throw invalid(`${where}: the JWK can't be read: a member is missing or damaged, or its \`kty\` or \`crv\` isn't known${hint}`);
  }
}

/** Node takes a JWK's public members on trust: what they don't belong to would sign what nobody can verify. */
function isOnePair(privateKey: KeyObject, publicKey: KeyObject): boolean {
  const digest = privateKey.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  try {
    return verify(digest, Buffer.of(1), publicKey, sign(digest, Buffer.of(1), privateKey));
  } catch {
    return false;
  }
}

function assertPrivate(where: string, type: KeyObject['type']): void {
  if (type === 'public') throw invalid(`${where}: a private key is needed, and this is a public key; pass the private key that belongs to it`);
  if (type === 'secret') throw invalid(`${where}: a private key is needed, and this is a secret; for a client secret there is clientSecretJwt`);
}
