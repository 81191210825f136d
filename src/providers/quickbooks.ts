import type { Provider } from './provider.js';

/**
 * QuickBooks Online. The callback's `realmId` names the company, in the tokens' `parameters` from then on. A refresh token that isn't used lives for 100 days, any of them for five
 * years at most; which one a refresh brings, and for how long the one before is taken, could not be checked: no grace is declared. Tokens are revoked by JSON, not as in RFC 7009.
 * @see https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/faq read 2026-11-29
 * @see https://github.com/intuit/oauth-jsclient/blob/master/src/OAuthClient.js read 2026-11-29
 * @see https://github.com/intuit/QuickBooks-V3-Java-SDK/releases/tag/v6.5.4 for the lifetimes, read 2026-11-29
 */
export const quickbooks: Provider = {
  server: { authorization_endpoint: 'https://appcenter.intuit.com/connect/oauth2', token_endpoint: 'https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer' },
  dialect: { authorizationResponse: { keep: ['realmId'] } },
};
