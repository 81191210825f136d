import type { Provider } from './provider.js';

/**
 * Jira and Confluence in the cloud (3LO). A refresh brings another refresh token; for how long the one before is taken could not be checked: no grace is declared. Ask for
 * `offline_access`. Token requests are shown as JSON, with the secret in it. PKCE is not documented.
 * @see https://developer.atlassian.com/cloud/oauth/getting-started/refresh-tokens read 2026-11-29
 * @see https://developer.atlassian.com/cloud/oauth/getting-started/implementing-oauth-3lo of 2023-10-09, read 2026-11-29
 * @see https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps of 2025-01-10, for `audience`, read 2026-11-29
 */
export const atlassian: Provider = {
  server: {
    authorization_endpoint: 'https://auth.atlassian.com/authorize',
    token_endpoint: 'https://auth.atlassian.com/oauth/token',
    token_endpoint_auth_methods_supported: ['client_secret_post'],
  },
  dialect: { authorizationRequest: { parameters: { audience: 'api.atlassian.com', prompt: 'consent' } }, tokenRequest: { format: 'json' } },
};
