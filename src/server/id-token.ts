import { JOSEError, JWKSMultipleMatchingKeys, JWTClaimValidationFailed, JWTExpired } from 'jose/errors';
import { jwtVerify } from 'jose/jwt/verify';
import type { JWTVerifyGetKey, JWTVerifyOptions } from 'jose';
import { OAuthError } from '../errors.js';
import type { AuthorizationServerMetadata } from './metadata.js';

export type Claims = Readonly<Record<string, unknown>>;

/** What an ID token has to say, beside what every one has to. */
export type IdTokenExpectation = LoginExpectation | RefreshExpectation;

export interface LoginExpectation {
  readonly nonce: string;
  /** Whether there has to be an ID token, and a nonce in it: the login asked for `openid`. */
  readonly isRequired: boolean;
  /** Seconds since the user last signed in, at most. */
  readonly maxAge: number | undefined;
}

/** OpenID Connect Core section 12.2: the same user, of the same login. */
export interface RefreshExpectation {
  readonly previous: Claims | undefined;
}

export interface IdTokenContext {
  readonly metadata: AuthorizationServerMetadata;
  readonly clientId: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly keyOf: JWTVerifyGetKey;
}

/** Signatures that anyone can check and only the server can make: neither `none` nor HMAC, whose key others may hold. */
const asymmetric = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'];

/** Seconds that the server's clock may be ahead or behind. */
const tolerance = 30;

/**
 * The claims of an ID token that may be believed (OpenID Connect Core section 3.1.3.7). Its signature is checked though it came from the server
 * itself: what stands between may not be as careful as TLS.
 *
 * By jose and not by openid-client, which would throw before a refresh token in the same answer is kept, and reads the machine's clock only.
 * @throws OAuthError `invalid_response`, with the rule that it broke and nothing of the token
 */
export async function checkIdToken(idToken: string, expected: IdTokenExpectation, context: IdTokenContext): Promise<Claims> {
  const { issuer } = context.metadata;
  if (issuer === undefined) throw idTokenRefused('the issuer that it must name is not known: pass it in the option `server`');
  const claims = await verified(idToken, issuer, context);
  checkParties(claims, context.clientId);
  if ('previous' in expected) checkSameLogin(claims, expected.previous);
  else checkLogin(claims, expected, context.now / 1_000);
  return claims;
}

async function verified(idToken: string, issuer: string, { metadata, clientId, now, keyOf }: IdTokenContext): Promise<Claims> {
  const listed = metadata.id_token_signing_alg_values_supported;
  const options: JWTVerifyOptions = {
    issuer,
    audience: clientId,
    algorithms: Array.isArray(listed) ? asymmetric.filter((alg) => listed.includes(alg)) : asymmetric,
    requiredClaims: ['sub', 'iat', 'exp'],
    clockTolerance: tolerance,
    currentDate: new Date(now),
  };
  try {
    return { ...(await jwtVerify(idToken, keyOf, options)).payload };
  } catch (thrown) {
    if (thrown instanceof JWKSMultipleMatchingKeys) return verifiedByOneOf(thrown, idToken, options);
    throw refusal(thrown);
  }
}

/** A token without `kid`, of a server with several keys that fit. */
async function verifiedByOneOf(keys: JWKSMultipleMatchingKeys, idToken: string, options: JWTVerifyOptions): Promise<Claims> {
  let last: unknown = keys;
  for await (const key of keys) {
    try {
      return { ...(await jwtVerify(idToken, key, options)).payload };
    } catch (thrown) {
      last = thrown;
      // The signature was right, the claims aren't.
      if (thrown instanceof JWTExpired || thrown instanceof JWTClaimValidationFailed) break;
    }
  }
  throw refusal(last);
}

function checkParties({ aud, azp, sub }: Claims, clientId: string): void {
  if (typeof sub !== 'string' || sub === '') throw idTokenRefused('its `sub` is not a text');
  if (azp !== undefined && azp !== clientId) throw idTokenRefused('it was issued to another client (`azp`)');
  if (Array.isArray(aud) && aud.length > 1 && azp === undefined) throw idTokenRefused('it has several audiences and no `azp`');
}

function checkLogin({ nonce, auth_time: authTime }: Claims, expected: LoginExpectation, nowInSeconds: number): void {
  if (nonce === undefined ? expected.isRequired : nonce !== expected.nonce) throw idTokenRefused('its `nonce` is not that of this login');
  if (expected.maxAge === undefined) return;
  if (typeof authTime !== 'number') throw idTokenRefused('it has no `auth_time`, though `maxAge` asks for it');
  if (nowInSeconds - authTime > expected.maxAge + tolerance) throw idTokenRefused('the user signed in longer ago than `maxAge` allows');
}

function checkSameLogin(claims: Claims, previous: Claims | undefined): void {
  if (previous === undefined) return;
  const audiences = ({ aud }: Claims): string => JSON.stringify([aud].flat().sort());
  if (claims['iss'] !== previous['iss'] || claims['sub'] !== previous['sub']) throw idTokenRefused('it names another user than the login (`iss`, `sub`)');
  if (audiences(claims) !== audiences(previous)) throw idTokenRefused('its `aud` is not that of the login');
  for (const name of ['auth_time', 'nonce']) {
    if (claims[name] !== undefined && previous[name] !== undefined && claims[name] !== previous[name]) throw idTokenRefused(`its \`${name}\` is not that of the login`);
  }
}

/** Reasons of jose's in words of ours: its own hold parts of the token. */
function refusal(thrown: unknown): OAuthError {
  if (thrown instanceof OAuthError) return thrown;
  if (thrown instanceof JWTExpired) return idTokenRefused('it has expired');
  if (thrown instanceof JWTClaimValidationFailed) return idTokenRefused(`its \`${thrown.claim}\` ${thrown.reason === 'missing' ? 'is missing' : 'is not what it must be'}`);
  return idTokenRefused(thrown instanceof JOSEError ? reasons[thrown.code] ?? 'it is not a signed JWT' : 'its signature could not be checked');
}

const reasons: Readonly<Record<string, string>> = {
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'its signature is not the server\'s',
  ERR_JWKS_NO_MATCHING_KEY: 'its signing key is not among the server\'s',
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: 'none of the server\'s keys that fit can be used',
  ERR_JOSE_ALG_NOT_ALLOWED: 'its signature algorithm is not accepted: it must be an asymmetric one that the server lists',
  ERR_JOSE_NOT_SUPPORTED: 'its signature algorithm is not supported',
};

export function idTokenRefused(reason: string): OAuthError {
  return new OAuthError('invalid_response', `The ID token can't be accepted: ${reason}`);
}
