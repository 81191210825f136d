import type { Provider } from './provider.js';

/**
 * Discord. Access tokens live for 7 days. A refresh is answered as a login is, with a refresh token; whether the one before is still taken is not documented. Revoking one token
 * ends all of its grant. Machine tokens are those of the app's owner.
 * @see https://docs.discord.com/developers/topics/oauth2 read 2026-11-29
 */
export const discord: Provider = {
  server: {
    authorization_endpoint: 'https://discord.com/oauth2/authorize',
    token_endpoint: 'https://discord.com/api/oauth2/token',
    revocation_endpoint: 'https://discord.com/api/oauth2/token/revoke',
  },
};
