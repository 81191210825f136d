import { className, OAuthError } from '../../errors.js';
import type { ClientAuthentication, PresentedProof, UnauthenticatedRequest } from './client-authentication.js';

/** A client authentication may be the user's own: what it throws is no answer of the server. */
export async function authenticated(authentication: ClientAuthentication, request: UnauthenticatedRequest): Promise<PresentedProof> {
  try {
    return await authentication.authenticate(request);
  } catch (thrown) {
    if (thrown instanceof OAuthError) throw thrown;
    throw new OAuthError('invalid_configuration', `\`clientAuthentication\`: authenticate() threw ${className(thrown)}`, { retryable: true });
  }
}
