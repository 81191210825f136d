import { genericGrantRequest } from 'openid-client';
import { authenticatedRequest } from './authenticated-request.js';
import type { ConnectedClient } from './connected-client.js';
import { speechOf, type Subject } from './dialect/speech.js';
import type { ProofKey } from './dpop/proof-key.js';
import type { TokenEndpointExchange } from './received-tokens.js';

/** What the token endpoint is asked, in the words of RFC 6749. */
export interface TokenEndpointRequest {
  readonly grantType: string;
  readonly parameters: URLSearchParams;
  /** Those of its values that must appear nowhere else. */
  readonly secrets: readonly string[];
  readonly key: ProofKey | undefined;
  /** What a dialect may speak of. @default a request that none speaks of */
  readonly subject?: Subject | undefined;
}

/** One token request. Rejects with what `tokenError` makes of an error answer. */
export async function requestTokens(client: ConnectedClient, { grantType, parameters, secrets, key, subject = { grant: undefined, kept: {} } }: TokenEndpointRequest, signal: AbortSignal): Promise<TokenEndpointExchange> {
  const exchange = await authenticatedRequest(client, {
    endpoint: 'The token endpoint',
    send: async (configuration) => genericGrantRequest(configuration, grantType, parameters),
    placeholder: () => Response.json({ access_token: 'received', token_type: 'bearer' }),
    speech: speechOf(subject, client),
    secrets,
    key,
  }, signal);
  return { ...exchange, isBound: key !== undefined, kept: subject.grant === 'authorization_code' ? subject.kept : {} };
}
