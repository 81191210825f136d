import type { AccessToken } from '../tokens/access-token.js';
import type { TokenRequest } from '../tokens/token-request.js';
import { checkOptions, having, invalid, text, type Rule } from '../validation.js';
import { canonicalTokenRequest, tokenRequestRules } from './canonical-token-request.js';
import type { ExtensionGrant } from './extension-grant.js';

/** A token that is exchanged: its text, or a source such as a session, whose token is asked for at each call. */
export type ExchangedToken = string | { getToken(options?: { signal?: AbortSignal }): Promise<AccessToken> };

/** What is exchanged for what. */
export interface TokenExchangeRequest extends TokenRequest {
  /** On whose behalf the new token is: the user's. */
  subjectToken: ExchangedToken;
  /** What it is, as a URI (RFC 8693 section 3). @default 'urn:ietf:params:oauth:token-type:access_token' */
  subjectTokenType?: string | undefined;
  /** Who acts for the subject, where that is to be told from the client (RFC 8693 section 1.1). */
  actorToken?: ExchangedToken | undefined;
  /** @default 'urn:ietf:params:oauth:token-type:access_token' */
  actorTokenType?: string | undefined;
  /** What is wanted. @default the server's choice */
  requestedTokenType?: string | undefined;
}

const accessToken = 'urn:ietf:params:oauth:token-type:access_token';

const aToken: Rule = { expected: 'a non-empty string, or a source of tokens', accepts: (value) => text.accepts(value) || having('getToken').accepts(value), secret: true };
/** RFC 8693 section 2.1. */
const names = ['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'requested_token_type'];
const reserved = Object.fromEntries(names.map((name) => [name, 'use the option of tokenExchange']));

/**
 * Token exchange (RFC 8693): a token for an API further on, on behalf of whoever a token at hand is for. Each subject and actor has a token of its own in the cache; another
 * token of the same user counts as another subject.
 * @throws OAuthError `invalid_configuration`
 */
export function tokenExchange(options: TokenExchangeRequest): ExtensionGrant {
  checkOptions<TokenExchangeRequest>('tokenExchange', options, { ...tokenRequestRules, subjectToken: aToken, subjectTokenType: text, actorToken: aToken, actorTokenType: text, requestedTokenType: text });
  const { subjectToken, subjectTokenType = accessToken, actorToken, actorTokenType = accessToken, requestedTokenType, ...request } = options;
  if (subjectToken === undefined as unknown) throw invalid('tokenExchange: `subjectToken` is required');
  canonicalTokenRequest('tokenExchange', request, reserved);
  return {
    grantType: 'urn:ietf:params:oauth:grant-type:token-exchange',
    request,
    async subject({ signal }) {
      const [subject, actor] = await Promise.all([subjectToken, actorToken].map(async (token) => textOf(token, signal)));
      const plain = {
        subject_token_type: subjectTokenType,
        ...(actor !== undefined && { actor_token_type: actorTokenType }),
        ...(requestedTokenType !== undefined && { requested_token_type: requestedTokenType }),
      };
      const secret = { ...(subject !== undefined && { subject_token: subject }), ...(actor !== undefined && { actor_token: actor }) };
      return { identity: Object.entries({ ...plain, ...secret }).flat(), parameters: async () => Promise.resolve({ plain, secret }) };
    },
  };
}

async function textOf(token: ExchangedToken | undefined, signal: AbortSignal | undefined): Promise<string | undefined> {
  if (typeof token !== 'object') return token;
  const { value } = Object(await token.getToken(signal && { signal })) as Partial<AccessToken>;
  if (text.accepts(value)) return value;
  throw invalid('tokenExchange: getToken() of a source must give an access token: an object with a `value`');
}
