import { baseAddress, checkArguments, pathSegment } from './arguments.js';
import type { Provider } from './provider.js';

/**
 * Keycloak, discovered. Refresh tokens are single-use where the realm's "Revoke Refresh Token" is on, else they may be used again; there is no period of grace.
 * How long they live is the realm's session settings'; `offline_access` has settings of its own.
 *
 * The form of the issuer is not from a page that could be read: discovery checks it, and says if it is wrong.
 * @param given `url`: of the server, with the path that it's served at, e.g. `https://login.example.com` or `https://example.com/auth`; `realm`
 * @see https://www.keycloak.org/docs/latest/server_admin/#_timeouts read 2026-11-29
 * @throws OAuthError `invalid_configuration`
 */
export function keycloak(given: { url: string; realm: string }): Provider {
  checkArguments('keycloak', given, { url: baseAddress, realm: pathSegment });
  return { issuer: `${given.url.replace(/\/+$/, '')}/realms/${given.realm}` };
}
