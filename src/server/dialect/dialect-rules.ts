import { callable, checkOptions, invalid, text, texts, type Rules } from '../../validation.js';
import type { AuthorizationRequestDialect, AuthorizationResponseDialect, Dialect, TokenResponseDialect } from './dialect.js';
import { checkDistinct, checkNames, type Check } from './names-rules.js';
import { requestDialect } from './request-dialect.js';
import { anObject, only, strings, valuesOf } from './rules.js';
import { checkTokenRequest } from './token-request-rules.js';

const dialectRules: Rules<Dialect> = {
  scopeSeparator: text,
  authorizationRequest: anObject,
  authorizationResponse: anObject,
  tokenRequest: anObject,
  refreshRequest: anObject,
  exchangeRequest: anObject,
  tokenResponse: anObject,
  prepareTokenRequest: callable,
  parseTokenResponse: callable,
};

const authorizationRequestRules: Rules<AuthorizationRequestDialect> = { pkce: only(false), names: anObject, parameters: strings };

const authorizationResponseRules: Rules<AuthorizationResponseDialect> = { names: anObject, keep: texts };

const tokenResponseRules: Rules<TokenResponseDialect> = {
  at: text,
  names: anObject,
  lifetimeUnit: only('milliseconds'),
  tokenType: only('Bearer'),
  errors: valuesOf("'invalid_grant', 'invalid_client' or 'temporarily_unavailable'", (value) => ['invalid_grant', 'invalid_client', 'temporarily_unavailable'].includes(value as string)),
};

/**
 * A copy of a dialect without unknown members and combinations that can't work, each refused by its path.
 * @param where the function that the messages begin with
 * @throws OAuthError `invalid_configuration`
 */
export function checkedDialect(where: string, dialect: Dialect, allowInsecureRequests: boolean): Dialect {
  const check: Check = { where, allowInsecureRequests, keep: [] };
  checkOptions<Dialect>(where, dialect, dialectRules, 'dialect.');
  const { prepareTokenRequest, parseTokenResponse, ...data } = dialect;
  const { authorizationRequest = {}, authorizationResponse = {}, tokenResponse = {} } = data;
  checkOptions<AuthorizationRequestDialect>(where, authorizationRequest, authorizationRequestRules, 'dialect.authorizationRequest.');
  checkOptions<AuthorizationResponseDialect>(where, authorizationResponse, authorizationResponseRules, 'dialect.authorizationResponse.');
  checkOptions<TokenResponseDialect>(where, tokenResponse, tokenResponseRules, 'dialect.tokenResponse.');
  const reserved = ['state', 'code_challenge', 'code_challenge_method'].find((name) => name in (authorizationRequest.parameters ?? {}));
  if (reserved !== undefined) throw invalid(`${where}: \`dialect.authorizationRequest.parameters.${reserved}\` is reserved: the library sends it`);
  checkNames(check, 'dialect.authorizationRequest.names', authorizationRequest.names, ['state']);
  checkNames(check, 'dialect.authorizationResponse.names', authorizationResponse.names, ['state', 'code']);
  checkNames(check, 'dialect.tokenResponse.names', tokenResponse.names, ['state', 'access_token']);
  checkDistinct(check, 'dialect.authorizationRequest.names', authorizationRequest.names, ['response_type', 'client_id', 'redirect_uri', 'scope', 'state']);
  checkDistinct(check, 'dialect.authorizationResponse.names', authorizationResponse.names, ['state', 'code', 'error', 'error_description']);
  checkKept(check, authorizationResponse);
  for (const [name, grant] of [['tokenRequest', 'authorization_code'], ['refreshRequest', 'refresh_token'], ['exchangeRequest', 'exchange']] as const) {
    const request = data[name];
    if (request !== undefined) checkTokenRequest({ ...check, keep: authorizationResponse.keep ?? [] }, `dialect.${name}`, request, () => requestDialect(data, grant));
  }
  // By way of JSON: a member that is undefined is not there.
  return { ...JSON.parse(JSON.stringify(data)) as Dialect, prepareTokenRequest, parseTokenResponse };
}

/** What is kept is shown to everybody who has a token, so it's nothing that only the login may know. */
function checkKept({ where }: Check, { keep = [], names = {} }: AuthorizationResponseDialect): void {
  const secret = keep.find((name) => ['code', 'state', 'response', 'access_token', 'refresh_token', 'id_token', names.code, names.state].includes(name));
  if (secret !== undefined) throw invalid(`${where}: \`dialect.authorizationResponse.keep\` must not name \`${secret}\`: what is kept goes into \`parameters\` of every token`);
}
