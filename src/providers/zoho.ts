import type { Provider, ProviderFetch } from './provider.js';

const dataCenters = ['zoho.com', 'zoho.eu', 'zoho.in', 'zoho.com.au', 'zoho.jp', 'zoho.com.cn', 'zohocloud.ca'];

/**
 * Zoho. The callback says which data center the user is in, and the code goes there: to one of those that its documentation lists. Access tokens live for an hour; the refresh
 * token comes once and stays. `api_domain` in the tokens' `parameters` is where the APIs are.
 *
 * `invalid_code`, also for a refresh token, comes with HTTP 200; it's what clients report, as is the comma between scopes.
 * @see https://www.zoho.com/accounts/protocol/oauth/web-apps/access-token.html read 2026-11-29
 * @see https://www.zoho.com/accounts/protocol/oauth/web-apps/access-token-expiry.html read 2026-11-29
 * @see https://www.zoho.com/accounts/protocol/oauth/multi-dc/client-authorization.html read 2026-11-29
 * @see https://www.zoho.com/invoice/api/v3/oauth/ for the data centers, read 2026-11-29
 */
export const zoho: Provider = {
  server: {
    authorization_endpoint: 'https://accounts.zoho.com/oauth/v2/auth',
    token_endpoint: 'https://accounts.zoho.com/oauth/v2/token',
    token_endpoint_auth_methods_supported: ['client_secret_post'],
  },
  dialect: {
    scopeSeparator: ',',
    authorizationRequest: { parameters: { access_type: 'offline', prompt: 'consent' } },
    authorizationResponse: { keep: ['accounts-server'] },
    tokenRequest: { endpoint: '{accounts-server}/oauth/v2/token', origins: dataCenters.map((domain) => `https://accounts.${domain}`) },
    tokenResponse: { errors: { invalid_code: 'invalid_grant' } },
  },
};

/** The word before the token. Some of Zoho's APIs take `Bearer` too. */
export const zohoFetch: ProviderFetch = { tokenScheme: 'Zoho-oauthtoken' };
