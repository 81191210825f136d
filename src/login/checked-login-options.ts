import { canonicalTokenRequest, tokenRequestRules } from '../grants/canonical-token-request.js';
import type { CanonicalTokenRequest } from '../tokens/token-request.js';
import { checkOptions, count, invalid, shapeOf, text, type Rules } from '../validation.js';
import type { LoginOptions } from './login-options.js';

/** Of what every login of an application may have in common. */
export const commonLoginRules: Rules<Omit<LoginOptions, 'returnTo'>> = {
  ...tokenRequestRules,
  redirectUri: { expected: 'an absolute URL without a fragment (RFC 6749 section 3.1.2)', accepts: (value) => (typeof value === 'string' || value instanceof URL) && URL.canParse(String(value)) && !String(value).includes('#') },
  prompt: text,
  maxAge: { ...count, expected: 'a whole number of seconds, 0 or more' },
  loginHint: text,
  acrValues: text,
  responseMode: { expected: '"jwt" (JARM); others go into `parameters.response_mode`', accepts: (value) => value === 'jwt' },
};

const rules: Rules<LoginOptions> = { ...commonLoginRules, returnTo: { expected: 'a string', accepts: (value) => typeof value === 'string' } };

/** Parameters of the authorization request that are checked when the browser comes back: they can't be what a caller likes. */
const reserved: Readonly<Record<string, string>> = {
  max_age: 'use the option `maxAge`, which is checked in the ID token',
  request: 'use the option `signedAuthorizationRequests` of createTokenManager',
  ...Object.fromEntries(['response_type', 'state', 'nonce', 'code_challenge', 'code_challenge_method', 'request_uri'].map((name) => [name, 'the library sends it'])),
};

export interface CheckedLoginOptions extends CanonicalTokenRequest {
  /** As it's sent. */
  readonly redirectUri: string;
  readonly returnTo: string | undefined;
  /** Seconds. */
  readonly maxAge: number | undefined;
  readonly responseMode: 'jwt' | undefined;
}

/**
 * What a login asks for, checked and in one form; options win over parameters of the same meaning.
 * @param where the function that the messages begin with
 * @throws OAuthError `invalid_configuration`
 */
export function checkedLoginOptions(where: string, options: LoginOptions): CheckedLoginOptions {
  checkOptions<LoginOptions>(where, options, rules);
  const { redirectUri, returnTo, prompt, maxAge, loginHint, acrValues, responseMode, ...request } = options;
  if (redirectUri === undefined as unknown) throw invalid(`${where}: \`redirectUri\` is required`);
  const canonical = canonicalTokenRequest(where, request, reserved);
  checkResponseMode(where, responseMode, canonical.parameters['response_mode']);
  const named = Object.entries({ prompt, login_hint: loginHint, acr_values: acrValues }).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { ...canonical, parameters: { ...canonical.parameters, ...Object.fromEntries(named) }, redirectUri: String(redirectUri), returnTo, maxAge, responseMode };
}

/** A JWT is checked only where the transaction says that there has to be one. */
function checkResponseMode(where: string, responseMode: 'jwt' | undefined, parameter: string | undefined): void {
  if (parameter === undefined) return;
  if (responseMode !== undefined) throw invalid(`${where}: pass \`responseMode\` or \`parameters.response_mode\`, not both`);
  if (/(^|\.)jwt$/.test(parameter)) throw invalid(`${where}: \`parameters.response_mode\` must not be ${shapeOf(parameter)}: use the option \`responseMode\`, whose JWT is checked`);
}
