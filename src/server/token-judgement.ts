import { OAuthError } from '../errors.js';
import { isTokenText, type AccessToken } from '../tokens/access-token.js';
import type { TokenMembers } from './token-answer.js';

/** What a token answer must be before anyone gets the token (RFC 6749 section 5.1). Nothing of the answer is in the error. */
export function judgeToken({ accessToken, tokenType }: TokenMembers, status: number): { accessToken: string; tokenType: AccessToken['type'] } {
  const refuse = (reason: string): OAuthError => new OAuthError('invalid_response', `The token endpoint answered with HTTP ${status}, but ${reason}`, { status });
  if (typeof accessToken !== 'string' || accessToken === '') throw refuse('the answer has no access_token that is a text');
  if (!isTokenText(accessToken)) throw refuse('its access_token has characters that no header may carry');
  if (typeof tokenType !== 'string' || tokenType === '') throw refuse('the answer has no token_type');
  switch (tokenType.toLowerCase()) {
    case 'bearer':
      return { accessToken, tokenType: 'Bearer' };
    case 'dpop':
      throw refuse('its token is bound to a key (DPoP), and this client has none: it would be refused without a proof');
    default:
      throw refuse('its token_type is not one that this client can send; only Bearer is');
  }
}
