import type { JWTVerifyGetKey } from 'jose';
import { OAuthError } from '../errors.js';
import { invalid } from '../validation.js';
import type { ConnectedClient } from './connected-client.js';
import { verifiedJwt } from './server-jwt.js';

/**
 * The parameters in a signed authorization response (JWT Secured Authorization Response Mode, section 2.4), its issuer among them.
 * @throws OAuthError `invalid_callback`, with the rule that it broke and nothing of the JWT
 */
export async function checkedAuthorizationResponse(jwt: string, { clientId, metadata, clock }: ConnectedClient, keyOf: JWTVerifyGetKey): Promise<URLSearchParams> {
  const { issuer, authorization_signing_alg_values_supported: listed } = metadata;
  if (issuer === undefined) throw invalid('completeLogin: the issuer that the callback\'s JWT must name is not known: pass it in the option `server`');
  const claims = await verifiedJwt(jwt, { issuer, clientId, listed, requiredClaims: ['exp'], now: clock.now(), keyOf, refused });
  return new URLSearchParams(Object.entries(claims).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

function refused(reason: string): OAuthError {
  return new OAuthError('invalid_callback', `The JWT of the callback (\`response\`) can't be accepted: ${reason}`);
}
