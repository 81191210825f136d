import type { Clock } from '../clock.js';
import type { TransportOptions } from '../transport/transport.js';
import type { ClientAuthentication } from './client-authentication/client-authentication.js';
import type { Dialect } from './dialect/dialect.js';
import type { Nonces } from './dpop/nonces.js';
import type { AuthorizationServerMetadata } from './metadata.js';

/** One client at one authorization server whose metadata are known. */
export interface ConnectedClient {
  readonly clientId: string;
  readonly metadata: AuthorizationServerMetadata;
  readonly authentication: ClientAuthentication;
  /** Where the server deviates from the RFCs. */
  readonly dialect: Dialect;
  readonly transport: TransportOptions;
  readonly clock: Clock;
  /** Of the authorization server, for proofs of a key. */
  readonly nonces: Nonces;
  readonly allowInsecureRequests: boolean;
}
