import type { Provider } from './provider.js';

/**
 * LinkedIn. Access tokens live for 60 days. Approved partners get a refresh token, which lives for 365 days from the login on, whatever it's used for. PKCE is for native apps, by
 * an endpoint of their own.
 *
 * That PKCE's parameters are for another endpoint, and that answers have no `token_type`, could not be checked.
 * @see https://learn.microsoft.com/linkedin/shared/authentication/authorization-code-flow read 2026-11-29
 * @see https://learn.microsoft.com/linkedin/shared/authentication/programmatic-refresh-tokens read 2026-11-29
 */
export const linkedin: Provider = {
  server: {
    authorization_endpoint: 'https://www.linkedin.com/oauth/v2/authorization',
    token_endpoint: 'https://www.linkedin.com/oauth/v2/accessToken',
    token_endpoint_auth_methods_supported: ['client_secret_post'],
  },
  dialect: { authorizationRequest: { pkce: false }, tokenResponse: { tokenType: 'Bearer' } },
};
