import type { Provider } from './provider.js';

/**
 * Instagram, business login. A login's token lives for an hour, and is exchanged for one of 60 days right away; that renews itself, once it is 24 hours old and as long as it
 * hasn't expired. A login's answer is documented as a list in `data`, and comes without one too.
 * @see https://developers.facebook.com/documentation/instagram-platform/instagram-api-with-instagram-login/business-login of 2026-03-13, read 2026-11-29
 * @see https://developers.facebook.com/documentation/instagram-platform/reference/oauth-authorize of 2025-07-17, read 2026-11-29
 * @see https://developers.facebook.com/documentation/instagram-platform/reference/access_token of 2026-03-09, read 2026-11-29
 * @see https://developers.facebook.com/documentation/instagram-platform/reference/refresh_access_token of 2025-07-17, read 2026-11-29
 */
export const instagram: Provider = {
  server: {
    authorization_endpoint: 'https://api.instagram.com/oauth/authorize',
    token_endpoint: 'https://api.instagram.com/oauth/access_token',
    token_endpoint_auth_methods_supported: ['client_secret_post'],
  },
  dialect: {
    scopeSeparator: ',',
    refreshRequest: {
      endpoint: 'https://graph.instagram.com/refresh_access_token', method: 'GET', grantType: 'ig_refresh_token', names: { client_id: null, client_secret: null, refresh_token: 'access_token' },
    },
    exchangeRequest: { endpoint: 'https://graph.instagram.com/access_token', grantType: 'ig_exchange_token', names: { client_id: null, refresh_token: 'access_token' } },
    tokenResponse: { names: { refresh_token: 'access_token' }, tokenType: 'Bearer', at: 'data.0' },
  },
};
