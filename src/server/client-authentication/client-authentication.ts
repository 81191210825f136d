/**
 * How the client proves who it is (RFC 6749 section 2.3). Made by `clientSecretBasic`, `clientSecretPost` and `none`.
 */
export interface ClientAuthentication {
  /** Its name in the IANA registry "OAuth Token Endpoint Authentication Methods", e.g. `client_secret_basic`. */
  readonly method: string;
  /** Adds the proof to one token request. Called anew for each attempt. */
  authenticate(request: UnauthenticatedRequest): Promise<PresentedProof>;
}

export interface UnauthenticatedRequest {
  readonly clientId: string;
  /** The form that is sent; the proof may be added to it. */
  readonly parameters: URLSearchParams;
  readonly headers: Headers;
  /** Ends the waiting for a secret that doesn't come. */
  readonly signal: AbortSignal;
}

export interface PresentedProof {
  /** What was sent that must appear nowhere else. */
  readonly secrets: readonly string[];
  /** After `invalid_client`: asks for another secret, and tells whether there is one. Absent where secrets don't rotate. */
  readonly renew?: () => Promise<boolean>;
}
