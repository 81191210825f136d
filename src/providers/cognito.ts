import { checkArguments, matches } from './arguments.js';
import type { Provider } from './provider.js';

/**
 * A user pool of Amazon Cognito, discovered; its endpoints are there once the pool has a domain. A refresh token stays as it is unless the app client rotates; then the one
 * before is taken for its `RetryGracePeriodSeconds`, 60 at most: declare them as `refreshGrace`, in milliseconds.
 *
 * The form of the issuer is not from a page that could be read: discovery checks it, and says if it is wrong.
 * @param given `region`: e.g. `eu-central-1`; `userPoolId`: e.g. `eu-central-1_a1B2c3D4e`
 * @see https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html read 2026-11-29
 * @see https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_RefreshTokenRotationType.html read 2026-11-29
 * @throws OAuthError `invalid_configuration`
 */
export function cognito(given: { region: string; userPoolId: string }): Provider {
  checkArguments('cognito', given, {
    region: { expected: 'a region of AWS, such as "eu-central-1"', accepts: (value) => matches(value, /^[a-z]{2}(?:-[a-z]+)+-\d+$/) },
    userPoolId: { expected: 'the ID of a user pool, such as "eu-central-1_a1B2c3D4e"', accepts: (value) => matches(value, /^[\w-]+_[0-9a-z]+$/i) },
  });
  return { issuer: `https://cognito-idp.${given.region}.amazonaws.com/${given.userPoolId}` };
}
