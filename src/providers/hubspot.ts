import type { Provider } from './provider.js';

/**
 * HubSpot, by its API of 2026-03: the one before, v1, ends on 2027-02-16. All parameters go into the body. Whether a refresh may bring another refresh token could not be checked.
 * @see https://developers.hubspot.com/docs/api-reference/2026-03/authentication/oauth-tokens/refresh-oauth-token read 2026-11-29
 * @see https://developers.hubspot.com/docs/api-reference/auth-oauth-v3/guide read 2026-11-29
 */
export const hubspot: Provider = {
  server: {
    authorization_endpoint: 'https://app.hubspot.com/oauth/authorize',
    token_endpoint: 'https://api.hubapi.com/oauth/2026-03/token',
    token_endpoint_auth_methods_supported: ['client_secret_post'],
  },
};
