import type { Dialect, DialectGrant, TokenRequestDialect } from './dialect.js';

/** What a dialect says of one kind of token request: refreshes are as other requests where nothing else is said, the exchange right after a login as refreshes. */
export function requestDialect({ tokenRequest = {}, refreshRequest = {}, exchangeRequest = {} }: Dialect, grant: DialectGrant): TokenRequestDialect {
  const parts = { authorization_code: [tokenRequest], client_credentials: [tokenRequest], refresh_token: [tokenRequest, refreshRequest], exchange: [tokenRequest, refreshRequest, exchangeRequest] }[grant];
  return Object.assign({}, ...parts.map((part) => Object.fromEntries(Object.entries(part).filter(([, value]) => value !== undefined)))) as TokenRequestDialect;
}
