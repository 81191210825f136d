/** What a token is asked for. */
export interface TokenRequest {
  /** Scopes, separated by spaces or as a list (RFC 6749 section 3.3). Their order does not matter. */
  scope?: string | readonly string[] | undefined;
  /** The API or APIs that the token is for, as absolute URIs (RFC 8707); servers that take other names get those. */
  resource?: string | readonly string[] | undefined;
  /** The same for servers that call it `audience`, e.g. Auth0. */
  audience?: string | undefined;
  /** What is to be authorized in detail, for servers that know types of it (RFC 9396): objects with a `type`. */
  authorizationDetails?: readonly AuthorizationDetail[] | undefined;
  /** Further parameters of the token request. Those that have an option of their own are refused here. */
  parameters?: Readonly<Record<string, string>> | undefined;
}

/** One authorization detail (RFC 9396 section 2): its `type` says which further members there are. */
export interface AuthorizationDetail {
  readonly type: string;
  readonly [member: string]: unknown;
}

/** Nothing in particular: what a login, or the client, has anyway. */
export const emptyRequest: CanonicalTokenRequest = { scope: [], resource: [], audience: undefined, parameters: {} };

/** The same, checked: lists without duplicates in the caller's order. */
export interface CanonicalTokenRequest {
  readonly scope: readonly string[];
  readonly resource: readonly string[];
  readonly audience: string | undefined;
  /** As it's sent: JSON. */
  readonly authorizationDetails?: string | undefined;
  readonly parameters: Readonly<Record<string, string>>;
}
