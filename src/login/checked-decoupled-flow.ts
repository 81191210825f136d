import { canonicalTokenRequest } from '../grants/canonical-token-request.js';
import { guardedParameters } from '../grants/checked-grant.js';
import type { DecoupledLoginRequest } from '../server/authorization-server.js';
import { callable, checkOptions, flag, invalid, isPlainObject, text } from '../validation.js';
import type { DecoupledFlow } from './decoupled-flow.js';

/**
 * A flow may be the caller's own.
 * @param where the function that the messages begin with
 * @throws OAuthError `invalid_configuration`
 */
export function checkedDecoupledFlow(where: string, flow: DecoupledFlow): Omit<DecoupledLoginRequest, 'key'> {
  checkOptions<DecoupledFlow>(where, flow, { grantType: text, endpoint: text, code: text, isShown: flag, request: { expected: 'an object', accepts: isPlainObject }, parameters: callable });
  for (const name of ['grantType', 'endpoint', 'code'] as const) if (flow[name] === undefined as unknown) throw invalid(`${where}: \`${name}\` is required`);
  const { grantType, endpoint, code, isShown = false, request = {}, parameters } = flow;
  return {
    grantType, endpoint, code, isShown,
    request: canonicalTokenRequest(where, request),
    parameters: async (signal) => (parameters === undefined ? {} : guardedParameters(where, async () => parameters(signal), signal)),
  };
}
