import { allowInsecureRequests as allowInsecure, Configuration, customFetch, type CustomFetch, type ServerMetadata } from 'openid-client';
import { authenticated } from './client-authentication/authenticated.js';
import type { PresentedProof } from './client-authentication/client-authentication.js';
import type { ConnectedClient } from './connected-client.js';
import type { AuthorizationServerMetadata } from './metadata.js';

export interface ConfigurationOptions {
  /** Of the request that is built with it. */
  readonly signal?: AbortSignal;
  /** Absent where nothing is sent. */
  readonly fetch?: CustomFetch;
  readonly onProof?: (proof: PresentedProof) => void;
}

/** openid-client's view of this client and its server, for one request: its deadline is ours, its transport and client authentication too. */
export function configurationOf({ metadata, authentication, clientId, clock, allowInsecureRequests }: ConnectedClient, options: ConfigurationOptions = {}): Configuration {
  const { signal = new AbortController().signal, onProof } = options;
  // openid-client awaits it, though its type doesn't say so.
  // eslint-disable-next-line @typescript-eslint/no-misused-promises
  const configuration = new Configuration(serverMetadata(metadata), clientId, undefined, async (_server, _client, parameters, headers) => {
    const proof = await authenticated(authentication, { clientId, server: metadata, parameters, headers, now: clock.now(), signal });
    onProof?.(proof);
  });
  // Deprecated in the sense of 'beware': our own check lets http through to loopback only.
  // eslint-disable-next-line @typescript-eslint/no-deprecated
  if (allowInsecureRequests) allowInsecure(configuration);
  configuration.timeout = 0;
  if (options.fetch !== undefined) configuration[customFetch] = options.fetch;
  return configuration;
}

/** openid-client wants an issuer even where none is looked at. */
function serverMetadata(metadata: AuthorizationServerMetadata): ServerMetadata {
  return { ...metadata, issuer: metadata.issuer ?? new URL(metadata.token_endpoint).origin } as ServerMetadata;
}
