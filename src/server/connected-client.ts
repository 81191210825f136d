import type { Clock } from '../clock.js';
import type { TransportOptions } from '../transport/transport.js';
import type { ClientAuthentication } from './client-authentication/client-authentication.js';
import type { AuthorizationServerMetadata } from './metadata.js';

/** One client at one authorization server whose metadata are known. */
export interface ConnectedClient {
  readonly clientId: string;
  readonly metadata: AuthorizationServerMetadata;
  readonly authentication: ClientAuthentication;
  readonly transport: TransportOptions;
  readonly clock: Clock;
  readonly allowInsecureRequests: boolean;
}
