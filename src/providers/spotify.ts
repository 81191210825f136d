import type { Provider } from './provider.js';

/**
 * Spotify. Access tokens live for an hour; a refresh may bring another refresh token, and one that came with PKCE is used once, by clients: no grace is
 * declared. The address of its authorization endpoint is what clients use: the page that has it could not be read.
 * @see https://developer.spotify.com/documentation/web-api/tutorials/refreshing-tokens read 2026-11-29
 */
export const spotify: Provider = {
  server: { authorization_endpoint: 'https://accounts.spotify.com/authorize', token_endpoint: 'https://accounts.spotify.com/api/token' },
};
