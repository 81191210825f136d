import { orAbort } from '../deadline.js';
import type { AuthorizationServer } from '../server/authorization-server.js';
import { callbackRefused, isSame, type CallbackParameters } from './callback.js';
import { claimedState } from './claimed-state.js';
import type { Transaction } from './transaction.js';

/**
 * What a callback says, by the response mode that its login asked for: bare, or in a JWT that the server signed. Neither stands in for the other, or the signature
 * could be stripped on the way. Beside a JWT no `state` may stand.
 * @throws OAuthError `invalid_callback`
 */
export async function responseParameters(parameters: CallbackParameters, { responseMode, state }: Transaction, server: AuthorizationServer, signal: AbortSignal): Promise<CallbackParameters> {
  const [response, ...others] = parameters.getAll('response');
  if (responseMode === undefined) {
    if (response !== undefined && !parameters.has('state')) throw callbackRefused('it comes as a JWT (`response`), which the login did not ask for');
    return parameters;
  }
  if (response === undefined || others.length > 0) throw callbackRefused('it must come as one JWT (`response`), since the login asked for that with `responseMode`');
  // Keys are fetched for no stranger.
  if (!isSame(claimedState(parameters) ?? '', state)) throw callbackRefused('its `state` is not that of this login: it belongs to another one, or another browser');
  return orAbort(server.authorizationResponse(response, signal), signal);
}
