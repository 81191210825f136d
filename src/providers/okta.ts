import { checkArguments, hostName, pathSegment } from './arguments.js';
import type { Provider } from './provider.js';

/**
 * Okta, discovered. Web and native applications have refresh tokens that stay as they are unless rotation is on; then the one before is taken for as long as the application's
 * grace period says (30 seconds by default, 60 at most): declare it as `refreshGrace`. Beyond it, reuse ends the whole grant. One that isn't used for 7 days expires by default.
 * Ask for `offline_access`.
 *
 * The form of the issuer is not from a page that could be read: discovery checks it, and says if it is wrong.
 * @param given `domain`: of the organization, e.g. `example.okta.com`; `authorizationServer`: the ID of a custom one, e.g. `default`, else the organization's own is asked
 * @see https://developer.okta.com/docs/guides/refresh-tokens/main/ read 2026-11-29
 * @throws OAuthError `invalid_configuration`
 */
export function okta(given: { domain: string; authorizationServer?: string }): Provider {
  checkArguments('okta', given, { domain: hostName, authorizationServer: pathSegment }, ['authorizationServer']);
  const { domain, authorizationServer } = given;
  return { issuer: `https://${domain}${authorizationServer === undefined ? '' : `/oauth2/${authorizationServer}`}` };
}
