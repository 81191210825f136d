import type { Provider } from './provider.js';

/**
 * Xero. Access tokens live for 30 minutes, a refresh token that isn't used for 60 days; a refresh brings another, and the one before is taken for 30 minutes more. Ask for `offline_access`.
 *
 * With `openid`, use `issuer: 'https://identity.xero.com'` instead of `server`.
 * @see https://developer.xero.com/faq/oauth2 read 2026-11-29
 */
export const xero: Provider = {
  server: { authorization_endpoint: 'https://login.xero.com/identity/connect/authorize', token_endpoint: 'https://identity.xero.com/connect/token' },
  refreshGrace: 30 * 60_000,
};
