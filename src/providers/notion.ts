import type { Provider } from './provider.js';

/**
 * Notion, a public connection. It knows no scopes. A refresh brings another refresh token; for how long the one before is taken is not documented. Answers have no `expires_in`: a
 * token is used until it's refused. Token requests are JSON with a closed list of members, without those of PKCE.
 *
 * That the list of members is closed could not be checked.
 * @see https://github.com/makenotion/notion-sdk-js for the authorization endpoint, read 2026-11-29
 * @see https://developers.notion.com/reference/create-a-token read 2026-11-29
 * @see https://developers.notion.com/reference/refresh-a-token read 2026-11-29
 */
export const notion: Provider = {
  server: { authorization_endpoint: 'https://api.notion.com/v1/oauth/authorize', token_endpoint: 'https://api.notion.com/v1/oauth/token' },
  dialect: { authorizationRequest: { pkce: false, parameters: { owner: 'user' } }, tokenRequest: { format: 'json' } },
};
