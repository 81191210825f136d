import { JOSEError, JWKSMultipleMatchingKeys, JWTClaimValidationFailed, JWTExpired } from 'jose/errors';
import { jwtVerify } from 'jose/jwt/verify';
import type { JWTVerifyGetKey, JWTVerifyOptions } from 'jose';
import { OAuthError } from '../errors.js';

/** Of a JWT that the server signed for this client. */
export interface ExpectedJwt {
  readonly issuer: string;
  readonly clientId: string;
  /** Which algorithms the metadata list for it. */
  readonly listed: unknown;
  readonly requiredClaims: readonly string[];
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly keyOf: JWTVerifyGetKey;
  /** What to throw for the rule that it broke. */
  readonly refused: (reason: string) => OAuthError;
}

/** Signatures that anyone can check and only the server can make: neither `none` nor HMAC, whose key others may hold. */
const asymmetric = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'];

/** Seconds that the server's clock may be ahead or behind. */
export const tolerance = 30;

/** The claims of a JWT whose signature, issuer, audience and times are as they must be. Of the JWT nothing is in what it throws. */
export async function verifiedJwt(jwt: string, { issuer, clientId, listed, requiredClaims, now, keyOf, refused }: ExpectedJwt): Promise<Readonly<Record<string, unknown>>> {
  const options: JWTVerifyOptions = {
    issuer,
    audience: clientId,
    algorithms: Array.isArray(listed) ? asymmetric.filter((alg) => listed.includes(alg)) : asymmetric,
    requiredClaims: [...requiredClaims],
    clockTolerance: tolerance,
    currentDate: new Date(now),
  };
  try {
    return { ...(await verified(jwt, keyOf, options)) };
  } catch (thrown) {
    throw thrown instanceof OAuthError ? thrown : refused(reasonOf(thrown));
  }
}

async function verified(jwt: string, keyOf: JWTVerifyGetKey, options: JWTVerifyOptions): Promise<object> {
  try {
    return (await jwtVerify(jwt, keyOf, options)).payload;
  } catch (thrown) {
    if (thrown instanceof JWKSMultipleMatchingKeys) return verifiedByOneOf(thrown, jwt, options);
    throw thrown;
  }
}

/** One without `kid`, of a server with several keys that fit. */
async function verifiedByOneOf(keys: JWKSMultipleMatchingKeys, jwt: string, options: JWTVerifyOptions): Promise<object> {
  let last: unknown = keys;
  for await (const key of keys) {
    try {
      return (await jwtVerify(jwt, key, options)).payload;
    } catch (thrown) {
      last = thrown;
      // The signature was right, the claims aren't.
      if (thrown instanceof JWTExpired || thrown instanceof JWTClaimValidationFailed) break;
    }
  }
  throw last;
}

/** Reasons of jose's in words of ours: its own hold parts of the JWT. */
function reasonOf(thrown: unknown): string {
  if (thrown instanceof JWTExpired) return 'it has expired';
  if (thrown instanceof JWTClaimValidationFailed) return `its \`${thrown.claim}\` ${thrown.reason === 'missing' ? 'is missing' : 'is not what it must be'}`;
  return thrown instanceof JOSEError ? reasons[thrown.code] ?? 'it is not a signed JWT' : 'its signature could not be checked';
}

const reasons: Readonly<Record<string, string>> = {
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'its signature is not the server\'s',
  ERR_JWKS_NO_MATCHING_KEY: 'its signing key is not among the server\'s',
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: 'none of the server\'s keys that fit can be used',
  ERR_JOSE_ALG_NOT_ALLOWED: 'its signature algorithm is not accepted: it must be an asymmetric one that the server lists',
  ERR_JOSE_NOT_SUPPORTED: 'its signature algorithm is not supported',
};
