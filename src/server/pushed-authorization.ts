import { buildAuthorizationUrl, buildAuthorizationUrlWithPAR } from 'openid-client';
import { OAuthError } from '../errors.js';
import { text } from '../validation.js';
import { authenticatedRequest } from './authenticated-request.js';
import { configurationOf } from './configuration.js';
import type { ConnectedClient } from './connected-client.js';
import { requiredEndpoint } from './metadata.js';

/**
 * Pushes an authorization request (RFC 9126 section 2): what the browser is given then says nothing of it, and can't be changed.
 * @param secrets those of its values that must appear nowhere else
 * @returns where the browser is sent (section 4)
 */
export async function pushedRequestUrl(client: ConnectedClient, request: URLSearchParams, secrets: readonly string[], signal: AbortSignal): Promise<URL> {
  requiredEndpoint(client.metadata, 'pushed_authorization_request_endpoint', 'the option `pushedAuthorizationRequests`', client.allowInsecureRequests);
  const { answer: { status, members } } = await authenticatedRequest(client, {
    endpoint: 'The pushed authorization request endpoint',
    send: async (configuration) => buildAuthorizationUrlWithPAR(configuration, request),
    placeholder: () => Response.json({ request_uri: 'received', expires_in: 1 }, { status: 201 }),
    secrets,
  }, signal);
  const requestUri = members?.['request_uri'];
  if (text.accepts(requestUri)) return buildAuthorizationUrl(configurationOf(client), { request_uri: requestUri as string });
  throw new OAuthError('invalid_response', `The pushed authorization request endpoint answered with HTTP ${status}, but without a \`request_uri\` that is a text`, { status });
}
