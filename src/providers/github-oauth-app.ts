import type { Provider } from './provider.js';

/**
 * An OAuth app of GitHub. Its tokens don't expire, so there is no refresh. Failures come with HTTP 200; scopes are separated by commas in answers, and requests may have them so.
 * @see https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps read 2026-11-29
 * @see https://docs.github.com/en/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors read 2026-11-29
 * @see https://github.com/octokit/oauth-authorization-url.js for commas in requests, read 2026-11-29
 */
export const githubOAuthApp: Provider = {
  server: {
    authorization_endpoint: 'https://github.com/login/oauth/authorize',
    token_endpoint: 'https://github.com/login/oauth/access_token',
    device_authorization_endpoint: 'https://github.com/login/device/code',
    token_endpoint_auth_methods_supported: ['client_secret_post'],
  },
  dialect: { scopeSeparator: ',', tokenResponse: { errors: { bad_verification_code: 'invalid_grant', incorrect_client_credentials: 'invalid_client' } } },
};
