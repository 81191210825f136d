import type { PresentedCertificate } from '../../transport/client-certificate.js';
import type { AuthorizationServerMetadata } from '../metadata.js';

/**
 * How the client proves who it is (RFC 6749 section 2.3, OpenID Connect Core section 9, RFC 8705). Made by `clientSecretBasic`, `clientSecretPost`, `clientSecretJwt`,
 * `privateKeyJwt`, `clientAssertion`, `tlsClientAuth`, `selfSignedTlsClientAuth` and `none`.
 */
export interface ClientAuthentication {
  /** Its name in the IANA registry "OAuth Token Endpoint Authentication Methods", e.g. `client_secret_basic`. */
  readonly method: string;
  /** With which the connections to the server are made (RFC 8705): then requests go to its `mtls_endpoint_aliases`, and tokens to their API with the same certificate. */
  readonly certificate?: PresentedCertificate;
  /** What to look at where the server takes the proof for none: a sentence for the error after `invalid_client`. */
  readonly hint?: string;
  /** Adds the proof to one request. Called anew for each attempt. */
  authenticate(request: UnauthenticatedRequest): Promise<PresentedProof>;
}

/** A request that lacks the client's proof. */
export interface UnauthenticatedRequest {
  /** The client identifier (RFC 6749 section 2.2). */
  readonly clientId: string;
  /** The form that is sent; the proof may be added to it. */
  readonly parameters: URLSearchParams;
  /** The headers that are sent; the proof may be one. */
  readonly headers: Headers;
  /** To whom it's addressed. */
  readonly server: AuthorizationServerMetadata;
  /** Milliseconds since the epoch, for proofs that carry the time. */
  readonly now: number;
  /** Ends the waiting for a secret that doesn't come. */
  readonly signal: AbortSignal;
}

/** What a client authentication tells of the proof that it added. */
export interface PresentedProof {
  /** What was sent that must appear nowhere else. */
  readonly secrets: readonly string[];
  /** After `invalid_client`: asks for another secret, and tells whether there is one. Absent where secrets don't rotate. */
  readonly renew?: () => Promise<boolean>;
}
