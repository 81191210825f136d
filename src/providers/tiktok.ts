import type { Provider } from './provider.js';

/**
 * TikTok for Developers, in a web app; not TikTok for Business. Access tokens live for 2 hours, refresh tokens for 180 days; a refresh brings another one and the one before stops
 * working: there is no grace. The client is `client_key`. PKCE is documented for mobile and desktop apps only. Machine tokens are for its Research and Commercial Content APIs.
 * @see https://developers.tiktok.com/doc/oauth-get-a-user-access-token of 2026-11-02, read 2026-11-29
 * @see https://developers.tiktok.com/docs/en/oauth-refresh-a-user-access-token of 2026-11-02, read 2026-11-29
 * @see https://developers.tiktok.com/doc/client-access-token-management of 2026-11-05, read 2026-11-29
 */
export const tiktok: Provider = {
  server: {
    authorization_endpoint: 'https://www.tiktok.com/v2/auth/authorize/',
    token_endpoint: 'https://open.tiktokapis.com/v2/oauth/token/',
    token_endpoint_auth_methods_supported: ['client_secret_post'],
  },
  dialect: { scopeSeparator: ',', authorizationRequest: { pkce: false, names: { client_id: 'client_key' } }, tokenRequest: { names: { client_id: 'client_key' } } },
};
