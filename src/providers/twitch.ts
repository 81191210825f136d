import type { Provider } from './provider.js';

/**
 * Twitch. The secret goes into the body. Its failures have no code but a `message`, and `error` is the name of the HTTP status. Whether a refresh token may change could not be checked.
 *
 * The address of its authorization endpoint, and that message, are what clients use: the pages that have them could not be read.
 * @see https://dev.twitch.tv/docs/authentication read 2026-11-29
 * @see https://dev.twitch.tv/docs/authentication/refresh-tokens read 2026-11-29
 */
export const twitch: Provider = {
  server: {
    authorization_endpoint: 'https://id.twitch.tv/oauth2/authorize',
    token_endpoint: 'https://id.twitch.tv/oauth2/token',
    token_endpoint_auth_methods_supported: ['client_secret_post'],
  },
  dialect: { tokenResponse: { names: { error: 'message', error_description: 'error' }, errors: { 'Invalid refresh token': 'invalid_grant' } } },
};
