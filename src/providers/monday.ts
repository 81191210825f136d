import type { Provider } from './provider.js';

/**
 * monday.com, by its OAuth 2.1 flow: tokens of the one before are refused since 2026-10-01. PKCE is required. A refresh brings another refresh token; for how long the one before is
 * taken could not be checked: no grace is declared. Token requests are JSON with the secret in it, and answers have no `expires_in`, by several clients of this endpoint.
 * @see https://developer.monday.com/apps/docs/oauth-2-1 read 2026-11-29
 * @see https://developer.monday.com/apps/docs/migrating-to-the-new-oauth-flow read 2026-11-29
 */
export const monday: Provider = {
  server: {
    authorization_endpoint: 'https://auth.monday.com/oauth2/authorize',
    token_endpoint: 'https://auth.monday.com/oauth_ms/oauth/token',
    token_endpoint_auth_methods_supported: ['client_secret_post'],
  },
  dialect: { tokenRequest: { format: 'json' } },
};
