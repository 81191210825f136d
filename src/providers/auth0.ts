import { checkArguments, hostName } from './arguments.js';
import type { Provider } from './provider.js';

/**
 * Auth0, discovered. Refresh tokens rotate where the application says so, with an overlap period that is set there as well (0 by default): declare it as `refreshGrace`.
 * Ask for `offline_access`, and for an API by `audience`.
 *
 * The form of the issuer is not from a page that could be read: discovery checks it, and says if it is wrong.
 * @param given `domain`: of the tenant, e.g. `example.eu.auth0.com`, or its custom one
 * @see https://auth0.com/docs/secure/tokens/refresh-tokens/configure-refresh-token-rotation read 2026-11-29
 * @see https://auth0.com/docs/secure/tokens/refresh-tokens/configure-refresh-token-expiration read 2026-11-29
 * @throws OAuthError `invalid_configuration`
 */
export function auth0(given: { domain: string }): Provider {
  checkArguments('auth0', given, { domain: hostName });
  return { issuer: `https://${given.domain}/` };
}
