import { baseAddress, checkArguments } from './arguments.js';
import type { Provider } from './provider.js';

/**
 * GitLab, discovered. A refresh makes the access token and the refresh token before it invalid at once.
 *
 * Its documentation's refreshes have a `redirect_uri`, which RFC 6749 section 6 has not; whether it's needed could not be checked.
 *
 * That its issuer is the bare address is from the page on OpenID Connect, as far as it could be read: discovery checks it.
 * @param given `url`: of a server of your own
 * @see https://docs.gitlab.com/api/oauth2/ read 2026-11-29
 * @see https://docs.gitlab.com/integration/openid_connect_provider/ as of 2023, read 2026-11-29
 * @throws OAuthError `invalid_configuration`
 */
export function gitlab(given: { url?: string } = {}): Provider {
  checkArguments('gitlab', given, { url: baseAddress }, ['url']);
  return { issuer: (given.url ?? 'https://gitlab.com').replace(/\/+$/, '') };
}
