import { createPrivateKey, type AsymmetricKeyDetails, type KeyObject } from 'node:crypto';

/** Without the parameters of RSASSA-PSS (RFC 4055 section 1.2), which no JWK can say: the PKCS #1 key that is inside the PKCS #8 one (RFC 5208 section 5). */
export function plainRsa(key: KeyObject): KeyObject {
  const [, , rsa] = members(key.export({ format: 'der', type: 'pkcs8' }));
  if (rsa === undefined) throw new TypeError('no PKCS #8 key');
  return createPrivateKey({ key: rsa, format: 'der', type: 'pkcs1' });
}

/** What RFC 7518 section 3.5 defines of what the key's own parameters allow. */
export function pssAlgorithms({ hashAlgorithm, mgf1HashAlgorithm, saltLength = 0 }: AsymmetricKeyDetails): string[] {
  return [256, 384, 512]
    .filter((bits) => hashAlgorithm === undefined || (hashAlgorithm === `sha${bits}` && mgf1HashAlgorithm === hashAlgorithm && saltLength <= bits / 8))
    .map((bits) => `PS${bits}`);
}

/** The contents of each member of a DER sequence. */
function members(der: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let rest = contents(der).inner; rest.length > 0;) {
    const { inner, after } = contents(rest);
    found.push(inner);
    rest = after;
  }
  return found;
}

function contents(der: Buffer): { inner: Buffer; after: Buffer } {
  const first = der.readUInt8(1);
  const extra = first < 0x80 ? 0 : first & 0x7f;
  const start = 2 + extra;
  const end = start + (extra === 0 ? first : der.readUIntBE(2, extra));
  return { inner: der.subarray(start, end), after: der.subarray(end) };
}
