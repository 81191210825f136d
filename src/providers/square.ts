import type { Provider } from './provider.js';

/**
 * Square, by its code flow, with a secret. Access tokens live for 30 days and say until when, not for how long; a refresh brings the same refresh token, which doesn't expire. Its PKCE
 * flow is for apps without a secret. Token requests are JSON. Its error codes could not be checked.
 * @see https://developer.squareup.com/docs/oauth-api/overview read 2026-11-29
 * @see https://developer.squareup.com/reference/square/o-auth/obtain-token read 2026-11-29
 * @see https://developer.squareup.com/reference/square/objects/ObtainTokenResponse read 2026-11-29
 */
export const square: Provider = {
  server: {
    authorization_endpoint: 'https://connect.squareup.com/oauth2/authorize',
    token_endpoint: 'https://connect.squareup.com/oauth2/token',
    token_endpoint_auth_methods_supported: ['client_secret_post'],
  },
  dialect: { authorizationRequest: { pkce: false }, tokenRequest: { format: 'json' }, tokenResponse: { names: { expires_at: 'expires_at' } } },
};
