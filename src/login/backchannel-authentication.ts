import { canonicalTokenRequest, tokenRequestRules } from '../grants/canonical-token-request.js';
import type { TokenRequest } from '../tokens/token-request.js';
import { checkOptions, invalid, positiveCount, text } from '../validation.js';
import type { DecoupledFlow } from './decoupled-flow.js';

/** Who is asked, and for what. One of `loginHint`, `loginHintToken` and `idTokenHint` says who. The scope must have `openid` in it. */
export interface BackchannelAuthenticationRequest extends TokenRequest {
  /** Who the user is, in words that the server knows, e.g. an e-mail address or a telephone number. */
  loginHint?: string | undefined;
  /** The same as a token that the server can read. */
  loginHintToken?: string | undefined;
  /** The same as an ID token that the user was issued before. */
  idTokenHint?: string | undefined;
  /** A short text that the user sees on both devices, and can compare. */
  bindingMessage?: string | undefined;
  /** What the user has agreed upon with the server, so that nobody else can have them asked. */
  userCode?: string | undefined;
  /** Authentication contexts, separated by spaces, the preferred first. */
  acrValues?: string | undefined;
  /** Seconds that the user should be given. @default the server's choice */
  requestedExpiry?: number | undefined;
}

/** CIBA section 7.1. */
const names = ['login_hint', 'login_hint_token', 'id_token_hint', 'binding_message', 'user_code', 'acr_values', 'requested_expiry'];
const reserved = {
  ...Object.fromEntries(names.map((name) => [name, 'use the option of backchannelAuthentication'])),
  auth_req_id: 'the library sends it',
  client_notification_token: 'the server is polled, and notifies nobody',
};

/**
 * Client-initiated backchannel authentication (OpenID Connect CIBA Core 1.0) in poll mode: the server asks a user that the client knows of, on the user's own device.
 * @param options `parameters` go to the backchannel authentication endpoint only
 * @throws OAuthError `invalid_configuration`
 */
export function backchannelAuthentication(options: BackchannelAuthenticationRequest): DecoupledFlow {
  checkOptions<BackchannelAuthenticationRequest>('backchannelAuthentication', options, {
    ...tokenRequestRules,
    loginHint: text,
    loginHintToken: { ...text, secret: true },
    idTokenHint: { ...text, secret: true },
    bindingMessage: text,
    userCode: { ...text, secret: true },
    acrValues: text,
    requestedExpiry: { ...positiveCount, expected: 'a whole number of seconds above 0' },
  });
  const { loginHint, loginHintToken, idTokenHint, bindingMessage, userCode, acrValues, requestedExpiry, ...request } = options;
  const { scope } = canonicalTokenRequest('backchannelAuthentication', request, reserved);
  if (!scope.includes('openid')) throw invalid('backchannelAuthentication: `scope` must have `openid` in it (CIBA section 7.1)');
  if ([loginHint, loginHintToken, idTokenHint].filter((hint) => hint !== undefined).length !== 1) {
    throw invalid('backchannelAuthentication: one of `loginHint`, `loginHintToken` and `idTokenHint` is required, and only one: it says who is asked (CIBA section 7.1)');
  }
  return {
    grantType: 'urn:openid:params:grant-type:ciba',
    endpoint: 'backchannel_authentication_endpoint',
    code: 'auth_req_id',
    request,
    parameters: async () => Promise.resolve({
      plain: present({ login_hint: loginHint, binding_message: bindingMessage, acr_values: acrValues, requested_expiry: requestedExpiry?.toString() }),
      secret: present({ login_hint_token: loginHintToken, id_token_hint: idTokenHint, user_code: userCode }),
    }),
  };
}

function present(parameters: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(parameters).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
