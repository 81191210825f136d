import { tokenRevocation } from 'openid-client';
import { authenticatedRequest } from './authenticated-request.js';
import type { ConnectedClient } from './connected-client.js';
import { endpointOf } from './metadata.js';

/** RFC 7009. @returns false where the server takes no revocations */
export async function revoke(client: ConnectedClient, token: string, hint: string | undefined, signal: AbortSignal): Promise<boolean> {
  if (endpointOf(client.metadata, 'revocation_endpoint', client.allowInsecureRequests) === undefined) return false;
  await authenticatedRequest(client, {
    endpoint: 'The revocation endpoint',
    send: async (configuration) => tokenRevocation(configuration, token, hint === undefined ? {} : { token_type_hint: hint }),
    placeholder: () => new Response(),
    secrets: [token],
  }, signal);
  return true;
}
