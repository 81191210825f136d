import type { JWTVerifyGetKey } from 'jose';
import { OAuthError } from '../errors.js';
import type { AuthorizationServerMetadata } from './metadata.js';
import { tolerance, verifiedJwt } from './server-jwt.js';

export type Claims = Readonly<Record<string, unknown>>;

/** What an ID token has to say, beside what every one has to. */
export type IdTokenExpectation = LoginExpectation | RefreshExpectation;

export interface LoginExpectation {
  /** Undefined where none was sent: then none is looked at. */
  readonly nonce: string | undefined;
  /** Whether there has to be an ID token, and the nonce in it: the login asked for `openid`. */
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

/**
 * The claims of an ID token that may be believed (OpenID Connect Core section 3.1.3.7). Its signature is checked though it came from the server
 * itself: what stands between may not be as careful as TLS.
 *
 * By jose and not by openid-client, which would throw before a refresh token in the same answer is kept, and reads the machine's clock only.
 * @throws OAuthError `invalid_response`, with the rule that it broke and nothing of the token
 */
export async function checkIdToken(idToken: string, expected: IdTokenExpectation, context: IdTokenContext): Promise<Claims> {
  const { metadata: { issuer, id_token_signing_alg_values_supported: listed }, clientId, now, keyOf } = context;
  if (issuer === undefined) throw idTokenRefused('the issuer that it must name is not known: pass it in the option `server`');
  const claims = await verifiedJwt(idToken, { issuer, clientId, listed, requiredClaims: ['sub', 'iat', 'exp'], now, keyOf, refused: idTokenRefused });
  checkParties(claims, clientId);
  if ('previous' in expected) checkSameLogin(claims, expected.previous);
  else checkLogin(claims, expected, now / 1_000);
  return claims;
}

function checkParties({ aud, azp, sub }: Claims, clientId: string): void {
  if (typeof sub !== 'string' || sub === '') throw idTokenRefused('its `sub` is not a text');
  if (azp !== undefined && azp !== clientId) throw idTokenRefused('it was issued to another client (`azp`)');
  if (Array.isArray(aud) && aud.length > 1 && azp === undefined) throw idTokenRefused('it has several audiences and no `azp`');
}

function checkLogin({ nonce, auth_time: authTime }: Claims, expected: LoginExpectation, nowInSeconds: number): void {
  const isWrong = nonce === undefined ? expected.isRequired : nonce !== expected.nonce;
  if (expected.nonce !== undefined && isWrong) throw idTokenRefused('its `nonce` is not that of this login');
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

export function idTokenRefused(reason: string): OAuthError {
  return new OAuthError('invalid_response', `The ID token can't be accepted: ${reason}`);
}
