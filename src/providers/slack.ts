import type { Provider } from './provider.js';

const server = { authorization_endpoint: 'https://slack.com/oauth/v2/authorize', token_endpoint: 'https://slack.com/api/oauth.v2.access' };
const errors = { invalid_refresh_token: 'invalid_grant', invalid_code: 'invalid_grant', bad_client_secret: 'invalid_client', invalid_client_id: 'invalid_client' } as const;

/**
 * Slack, the token of the bot. Tokens expire, after 12 hours, only where the app has token rotation on. Then a refresh token is used once; the one before is taken for a "short"
 * grace whose length is not said, so none is declared. `token_type` is `bot`, failures come with HTTP 200.
 *
 * PKCE is for apps that were made public clients by turning it on, which can't be undone and ends their refresh tokens after 30 days; for those leave `pkce` out.
 * @see https://api.slack.com/authentication/oauth-v2 as of 2025-03-27, read 2026-11-29
 * @see https://docs.slack.dev/reference/methods/oauth.v2.access read 2026-11-29
 * @see https://docs.slack.dev/authentication/using-token-rotation as of 2025-03-27, read 2026-11-29
 * @see https://docs.slack.dev/authentication/using-pkce read 2026-11-29
 */
export const slack: Provider = { server, dialect: { scopeSeparator: ',', authorizationRequest: { pkce: false }, tokenResponse: { tokenType: 'Bearer', errors } } };

/**
 * Slack, the token of the user: its scopes are `user_scope`, and a login has its tokens in `authed_user`. A refresh has them at the top, by Slack's own clients.
 * @see https://docs.slack.dev/authentication/using-token-rotation as of 2025-03-27, read 2026-11-29
 * @see https://github.com/slackapi/python-slack-sdk/blob/main/slack_sdk/oauth/token_rotation/rotator.py read 2026-11-29
 */
export const slackUser: Provider = {
  server,
  dialect: {
    scopeSeparator: ',',
    authorizationRequest: { pkce: false, names: { scope: 'user_scope' } },
    tokenResponse: { tokenType: 'Bearer', errors },
    parseTokenResponse: ({ body }) => ofUser(body),
  },
};

/** Not by `at`, since the answer to a refresh may have an `authed_user` without tokens. What is beside a user's token is the bot's. */
function ofUser(body: unknown): unknown {
  if (!isObject(body) || !isObject(body['authed_user']) || !('access_token' in body['authed_user'])) return body;
  const { authed_user: user, ...others } = body;
  const bots = ['access_token', 'refresh_token', 'expires_in', 'token_type', 'scope', 'bot_user_id'];
  return { ...Object.fromEntries(Object.entries(others).filter(([name]) => !bots.includes(name))), ...user };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
