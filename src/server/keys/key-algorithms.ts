import type { AsymmetricKeyDetails, KeyObject } from 'node:crypto';
import { invalid, type Rule } from '../../validation.js';
import { pssAlgorithms } from './rsa-pss.js';

/** The signatures that a private key can make (RFC 7518 section 3.1, RFC 8037 section 3.1, RFC 9864 section 2.2). */
const signatureAlgorithms: readonly string[] = ['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];

/** For options that name one; whether the key can make it is asked later. */
export const signatureAlgorithm: Rule = { expected: `one of ${signatureAlgorithms.join(', ')}`, accepts: (value) => signatureAlgorithms.some((alg) => alg === value) };

/** What a key is, e.g. `EC P-256`, and what it can do, the usual one first. */
export interface KeyAlgorithms {
  readonly kind: string;
  readonly algorithms: readonly string[];
}

const curves: Readonly<Record<string, KeyAlgorithms>> = {
  prime256v1: { kind: 'EC P-256', algorithms: ['ES256'] },
  secp384r1: { kind: 'EC P-384', algorithms: ['ES384'] },
  secp521r1: { kind: 'EC P-521', algorithms: ['ES512'] },
};

/** By `asymmetricKeyType`. */
const families: Readonly<Record<string, (details: AsymmetricKeyDetails) => KeyAlgorithms | undefined>> = {
  'ec': ({ namedCurve = '' }) => curves[namedCurve],
  'ed25519': () => ({ kind: 'Ed25519', algorithms: ['EdDSA', 'Ed25519'] }),
  'rsa': () => ({ kind: 'RSA', algorithms: ['RS256', 'PS256', 'RS384', 'PS384', 'RS512', 'PS512'] }),
  'rsa-pss': (details) => ({ kind: 'RSA-PSS', algorithms: pssAlgorithms(details) }),
};

/** @throws OAuthError `invalid_configuration` for a key that can do none */
export function keyAlgorithms(where: string, key: KeyObject): KeyAlgorithms {
  const { asymmetricKeyType: type = 'unknown', asymmetricKeyDetails: details = {} } = key as { asymmetricKeyType?: string; asymmetricKeyDetails?: AsymmetricKeyDetails };
  const { modulusLength = 0, namedCurve, hashAlgorithm } = details;
  if (type.startsWith('rsa') && modulusLength < 2048) {
    throw invalid(`${where}: an RSA key must have 2048 bits or more (RFC 7518 section 3.3); this one has ${modulusLength}: make a new one, or one for ES256`);
  }
  const known = families[type]?.(details);
  if (known !== undefined && known.algorithms.length > 0) return known;
  throw invalid(`${where}: no signature can be made with this key (${[type, namedCurve, hashAlgorithm].filter(Boolean).join(' ')}); use an EC key on P-256, P-384 or P-521, an Ed25519 key, or an RSA key`);
}
