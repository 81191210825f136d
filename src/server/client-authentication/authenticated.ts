import { orAbort } from '../../deadline.js';
import { className, OAuthError } from '../../errors.js';
import type { ClientAuthentication, PresentedProof, UnauthenticatedRequest } from './client-authentication.js';

/** A client authentication may be the user's own: what it throws is no answer of the server, and one that hangs ends with the request's deadline. */
export async function authenticated(authentication: ClientAuthentication, request: UnauthenticatedRequest): Promise<PresentedProof> {
  try {
    return await orAbort(authentication.authenticate(request), request.signal);
  } catch (thrown) {
    if (thrown instanceof OAuthError) throw thrown;
    throw new OAuthError('invalid_configuration', `\`clientAuthentication\`: authenticate() threw ${className(thrown)}`, { retryable: true });
  }
}
