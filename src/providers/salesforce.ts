import { checkArguments, isHostName } from './arguments.js';
import type { Provider } from './provider.js';

/**
 * Salesforce. Answers have no `expires_in`: a token is used until it's refused. `instance_url` in the tokens' `parameters` is where the API is. Refresh tokens rotate where the app
 * says so; then the one before is invalid at once. Ask for `refresh_token`.
 *
 * The paths of the endpoints are not from a page that could be read.
 * @param given `domain`: a host below salesforce.com, e.g. `test.salesforce.com` or `example.my.salesforce.com`
 * @see https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_refresh_token_flow.htm&type=5 read 2026-11-29
 * @see https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_pkce.htm&type=5 read 2026-11-29
 * @see https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/intro_understanding_refresh_token_oauth.htm read 2026-11-29
 * @throws OAuthError `invalid_configuration`
 */
export function salesforce(given: { domain?: string } = {}): Provider {
  checkArguments('salesforce', given, { domain: { expected: 'a host below salesforce.com, such as "example.my.salesforce.com"', accepts: (value) => isHostName(value) && /\.salesforce\.com$/i.test(value) } }, ['domain']);
  const origin = `https://${(given.domain ?? 'login.salesforce.com').toLowerCase()}`;
  return {
    server: {
      authorization_endpoint: `${origin}/services/oauth2/authorize`,
      token_endpoint: `${origin}/services/oauth2/token`,
      token_endpoint_auth_methods_supported: ['client_secret_post'],
    },
  };
}
