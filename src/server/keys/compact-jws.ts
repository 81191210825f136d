import type { KeyObject, webcrypto } from 'node:crypto';
import { SignJWT } from 'jose/jwt/sign';

export interface JwsHeader {
  /** RFC 7518 section 3.1, RFC 8037, RFC 9864. */
  readonly alg: string;
  readonly typ?: string | undefined;
  readonly kid?: string | undefined;
  /** A public key (RFC 7515 section 4.1.3). */
  readonly jwk?: object | undefined;
}

/** Claims as a signed JWT in the compact serialization (RFC 7515 section 7.1). */
export async function compactJws(claims: Record<string, unknown>, header: JwsHeader, key: KeyObject | webcrypto.CryptoKey): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ ...header } as { alg: string }).sign(key);
}
