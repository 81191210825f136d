import { OAuthError } from '../errors.js';
import { isTokenText, type AccessToken } from '../tokens/access-token.js';
import type { TokenMembers } from './token-answer.js';

/**
 * What a token answer must be before anyone gets the token (RFC 6749 section 5.1). Nothing of the answer is in the error, but how its members are called.
 * @param shape what the answer has, in words
 * @param isBound whether the request had a proof of a key: a token that isn't bound to it would be less than what was asked for
 */
export function judgeToken({ accessToken, tokenType }: TokenMembers, status: number, shape: () => string | undefined, isBound: boolean): { accessToken: string; tokenType: AccessToken['type'] } {
  const refuse = (reason: string): OAuthError => new OAuthError('invalid_response', `The token endpoint answered with HTTP ${status}, but ${reason}`, { status });
  if (typeof accessToken !== 'string' || accessToken === '') throw refuse(`the answer has no access_token that is a text. ${whereHint(shape())}`);
  if (!isTokenText(accessToken)) throw refuse('its access_token has characters that no header may carry');
  if (typeof tokenType !== 'string' || tokenType === '') throw refuse(`the answer has no token_type; ${bearerHint}`);
  switch (tokenType.toLowerCase()) {
    case 'bearer':
      if (isBound) throw refuse('its token is bound to no key (token_type Bearer), though a DPoP proof was sent: the server, or this client there, is not set up for DPoP. Leave the option `dpop` out to do without');
      return { accessToken, tokenType: 'Bearer' };
    case 'dpop':
      if (isBound) return { accessToken, tokenType: 'DPoP' };
      throw refuse('its token is bound to a key (DPoP), and this client has none: it would be refused without a proof. Set the option `dpop`');
    case 'n_a':
      throw refuse('what came is no access token (token_type N_A, RFC 8693 section 2.2.1): ask for one, with `requestedTokenType` or without it');
    default:
      throw refuse(`its token_type is not one that this client can send; only Bearer and DPoP are; ${bearerHint}`);
  }
}

const bearerHint = 'if this server means Bearer, declare `dialect.tokenResponse.tokenType`';

function whereHint(shape: string | undefined): string {
  return `${shape === undefined ? 'If it has one elsewhere' : `It has ${shape}: if the token is one of these, or in one`}, declare where in \`dialect.tokenResponse.at\` or \`dialect.tokenResponse.names.access_token\``;
}
