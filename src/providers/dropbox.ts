import type { Provider } from './provider.js';

/**
 * Dropbox. Access tokens live for 4 hours; a refresh token comes only with `token_access_type=offline`, and a refresh brings no other.
 * The address of its token endpoint is what clients use: its guide shows `api.dropbox.com`.
 * @see https://dropbox.tech/developers/using-oauth-2-0-with-offline-access of 2022-10-19, read 2026-11-29
 */
export const dropbox: Provider = {
  server: { authorization_endpoint: 'https://www.dropbox.com/oauth2/authorize', token_endpoint: 'https://api.dropboxapi.com/oauth2/token' },
  dialect: { authorizationRequest: { parameters: { token_access_type: 'offline' } } },
};
