/** What a token is asked for. */
export interface TokenRequest {
  /** Scopes, separated by spaces or as a list (RFC 6749 section 3.3). Their order does not matter. */
  scope?: string | readonly string[] | undefined;
  /** The API or APIs that the token is for, as absolute URIs (RFC 8707); servers that take other names get those. */
  resource?: string | readonly string[] | undefined;
  /** The same for servers that call it `audience`, e.g. Auth0. */
  audience?: string | undefined;
  /** Further parameters of the token request. Those that have an option of their own are refused here. */
  parameters?: Readonly<Record<string, string>> | undefined;
}

/** The same, checked: lists without duplicates in the caller's order. */
export interface CanonicalTokenRequest {
  readonly scope: readonly string[];
  readonly resource: readonly string[];
  readonly audience: string | undefined;
  readonly parameters: Readonly<Record<string, string>>;
}
