import { canonicalTokenRequest } from '../grants/canonical-token-request.js';
import type { TokenRequest } from '../tokens/token-request.js';
import type { DecoupledFlow } from './decoupled-flow.js';

/**
 * The device authorization grant (RFC 8628): for programs without a browser, or on a device that nobody can type on. The user is shown an address and a code, and approves
 * on a device of their own.
 * @param request `parameters` go to the device authorization endpoint only
 * @throws OAuthError `invalid_configuration`
 */
export function deviceAuthorization(request: TokenRequest = {}): DecoupledFlow {
  canonicalTokenRequest('deviceAuthorization', request, { device_code: 'the library sends it' });
  return { grantType: 'urn:ietf:params:oauth:grant-type:device_code', endpoint: 'device_authorization_endpoint', code: 'device_code', isShown: true, request: { ...request } };
}
