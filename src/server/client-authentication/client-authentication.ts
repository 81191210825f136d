/**
 * How the client proves who it is (RFC 6749 section 2.3). Made by `clientSecretBasic`, `clientSecretPost` and `none`.
 */
export interface ClientAuthentication {
  /** Its name in the IANA registry "OAuth Token Endpoint Authentication Methods", e.g. `client_secret_basic`. */
  readonly method: string;
  /** Adds the proof to one token request. Called anew for each attempt. */
  authenticate(request: UnauthenticatedRequest): Promise<PresentedProof>;
}

/** A token request that lacks the client's proof. */
export interface UnauthenticatedRequest {
  /** The client identifier (RFC 6749 section 2.2). */
  readonly clientId: string;
  /** The form that is sent; the proof may be added to it. */
  readonly parameters: URLSearchParams;
  /** The headers that are sent; the proof may be one. */
  readonly headers: Headers;
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
