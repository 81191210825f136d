import { tokenIntrospection } from 'openid-client';
import { OAuthError } from '../errors.js';
import { authenticatedRequest } from './authenticated-request.js';
import type { ConnectedClient } from './connected-client.js';
import { requiredEndpoint } from './metadata.js';

/** RFC 7662: the members of the answer, in the server's words; `active` is true or false. */
export async function introspect(client: ConnectedClient, token: string, hint: string | undefined, signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> {
  requiredEndpoint(client.metadata, 'introspection_endpoint', 'introspect()', client.allowInsecureRequests);
  const { answer } = await authenticatedRequest(client, {
    endpoint: 'The introspection endpoint',
    send: async (configuration) => tokenIntrospection(configuration, token, hint === undefined ? {} : { token_type_hint: hint }),
    placeholder: () => Response.json({ active: false }),
    secrets: [token],
  }, signal);
  const { status, members } = answer;
  if (typeof members?.['active'] === 'boolean') return members;
  throw new OAuthError('invalid_response', `The introspection endpoint answered with HTTP ${status}, but without an \`active\` that is true or false`, { status });
}
