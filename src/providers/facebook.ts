import { checkArguments, matches } from './arguments.js';
import type { Provider } from './provider.js';

/**
 * Facebook Login. A login's token lives for hours, and is exchanged for one of about 60 days right away. Such a token renews itself as long as it hasn't expired; whether that
 * prolongs it could not be checked: where it doesn't, the user has to log in again. Requests are queries, the secret is in them. Failures are in `error`, an object: 190 is a
 * token that is no longer good.
 *
 * The number 190, and that the code's exchange may be a GET, could not be checked on a page of its own.
 * @param given `version`: of the Graph API; the current one when this was read by default
 * @see https://developers.facebook.com/documentation/facebook-login/guides/access-tokens/get-long-lived of 2022-09-14, read 2026-11-29
 * @see https://developers.facebook.com/docs/facebook-login/guides/advanced/manual-flow as of version 21, read 2026-11-29
 * @throws OAuthError `invalid_configuration`
 */
export function facebook(given: { version?: string } = {}): Provider {
  checkArguments('facebook', given, { version: { expected: 'a version of the Graph API, such as "v25.0"', accepts: (value) => matches(value, /^v\d+\.\d+$/) } }, ['version']);
  const { version = 'v25.0' } = given;
  return {
    server: {
      authorization_endpoint: `https://www.facebook.com/${version}/dialog/oauth`,
      token_endpoint: `https://graph.facebook.com/${version}/oauth/access_token`,
      token_endpoint_auth_methods_supported: ['client_secret_post'],
    },
    dialect: {
      tokenRequest: { method: 'GET' },
      refreshRequest: { grantType: 'fb_exchange_token', names: { refresh_token: 'fb_exchange_token' } },
      exchangeRequest: {},
      tokenResponse: { names: { refresh_token: 'access_token', error: 'error.code', error_description: 'error.message' }, errors: { 190: 'invalid_grant' } },
    },
  };
}
