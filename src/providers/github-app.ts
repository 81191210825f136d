import type { Provider } from './provider.js';

/**
 * A GitHub App, on behalf of a user. Where user access tokens expire, they live for 8 hours and refresh tokens for 6 months; a refresh token that was used, and the access token
 * before it, work no more: there is no grace. It knows no scopes. Failures come with HTTP 200.
 *
 * `bad_refresh_token` is what clients report; GitHub's documentation doesn't list it.
 * @see https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-user-access-token-for-a-github-app read 2026-11-29
 * @see https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens read 2026-11-29
 */
export const githubApp: Provider = {
  server: {
    authorization_endpoint: 'https://github.com/login/oauth/authorize',
    token_endpoint: 'https://github.com/login/oauth/access_token',
    device_authorization_endpoint: 'https://github.com/login/device/code',
    token_endpoint_auth_methods_supported: ['client_secret_post'],
  },
  dialect: { scopeSeparator: ',', tokenResponse: { errors: { bad_verification_code: 'invalid_grant', bad_refresh_token: 'invalid_grant', incorrect_client_credentials: 'invalid_client' } } },
};
