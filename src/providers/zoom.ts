import type { Provider } from './provider.js';

/**
 * Zoom, on behalf of a user. Access tokens live for an hour; a refresh brings another refresh token, and the one before is refused: there is no grace.
 * @see https://devsupport.zoom.us/hc/en-us/articles/360060332931-Extending-the-expiration-for-an-OAuth-access-token read 2026-11-29
 * @see https://developers.zoom.us/blog/public-pkce read 2026-11-29
 */
export const zoom: Provider = {
  server: { authorization_endpoint: 'https://zoom.us/oauth/authorize', token_endpoint: 'https://zoom.us/oauth/token' },
};

/**
 * Zoom, server to server: `clientCredentials({ parameters: { account_id } })`. Tokens live for an hour; there is no refresh token.
 * @see https://developers.zoom.us/docs/rooms/s2s-oauth/ read 2026-11-29
 */
export const zoomServerToServer: Provider = {
  server: { token_endpoint: 'https://zoom.us/oauth/token' },
  dialect: { tokenRequest: { grantType: 'account_credentials' } },
};
