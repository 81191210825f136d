/** A text in which `{name}` stands for a value of the callback, kept by `authorizationResponse.keep`. Values are encoded; in a host one fills a single label. */
export type Template = string;

/** The parameters and members that the RFCs name, and servers otherwise. */
export const renamable = [
  'response_type', 'client_id', 'redirect_uri', 'scope', 'state', 'code', 'code_verifier', 'grant_type', 'client_secret', 'refresh_token',
  'access_token', 'token_type', 'expires_in', 'expires_at', 'id_token', 'error', 'error_description',
] as const;

/** What a server calls what the RFCs name; `null`: it has none. In a token response the names are dotted paths. */
export type Names = Readonly<Partial<Record<(typeof renamable)[number], string | null | undefined>>>;

/** What a server's own error code, or its HTTP status, means in the RFC's words. */
export type DeclaredError = 'invalid_grant' | 'invalid_client' | 'temporarily_unavailable';

/** Where an authorization server deviates from the RFCs, one member for each message. What it does as they say is left out. */
export interface Dialect {
  /** Between scopes, in requests and responses. @default ' ' */
  scopeSeparator?: string | undefined;
  /** RFC 6749 section 4.1.1. */
  authorizationRequest?: AuthorizationRequestDialect | undefined;
  /** RFC 6749 section 4.1.2: the callback. */
  authorizationResponse?: AuthorizationResponseDialect | undefined;
  /** RFC 6749 sections 4.1.3 and 4.4.2. */
  tokenRequest?: TokenRequestDialect | undefined;
  /** RFC 6749 section 6. A member that is left out is as in `tokenRequest`. */
  refreshRequest?: TokenRequestDialect | undefined;
  /** A refresh that is sent right after the exchange of the code, where that gives a short-lived token only. A member that is left out is as in `refreshRequest`. */
  exchangeRequest?: TokenRequestDialect | undefined;
  /** RFC 6749 section 5. `expires_in` may always be a numeric string or h:mm:ss, the answer JSON or form-encoded, its status any 2xx. */
  tokenResponse?: TokenResponseDialect | undefined;
  /** The last word on a token request, for signatures and values that are used once: changes the request it's given. If it fails, nothing was sent. */
  prepareTokenRequest?: ((request: PreparedTokenRequest, context: DialectContext) => void | Promise<void>) | undefined;
  /** Gives the members of an answer in the RFC's words, errors too; runs before `tokenResponse` reads it. If it fails, what the server had answered is lost, though no session ends. */
  parseTokenResponse?: ((response: RawTokenResponse, context: DialectContext) => unknown) | undefined;
}

export interface AuthorizationRequestDialect {
  /** For servers that refuse the parameters of RFC 7636. Then only `state` ties the code to the login: whoever reads the code on its way can use it, where they also have the client's secret. @default 'S256' */
  pkce?: false | undefined;
  /** `state` can be renamed but not left out. */
  names?: Names | undefined;
  /** Sent at every login; those of `startLogin` win. */
  parameters?: Readonly<Record<string, string>> | undefined;
}

export interface AuthorizationResponseDialect {
  names?: Names | undefined;
  /** Parameters that live as long as the session, e.g. `realmId`: in `parameters` of its tokens, and for templates. Nothing secret: everybody who has a token sees them. */
  keep?: readonly string[] | undefined;
}

export interface TokenRequestDialect {
  /** @default the token endpoint of the server */
  endpoint?: Template | undefined;
  /** Where a placeholder of `endpoint` decides who is asked: the only origins that the callback may choose. */
  origins?: readonly string[] | undefined;
  /** GET sends a query. @default 'POST' */
  method?: 'GET' | undefined;
  /** How the parameters are sent. @default 'form' */
  format?: 'json' | 'query' | undefined;
  grantType?: string | undefined;
  /** Also of the client authentication's parameters. */
  names?: Names | undefined;
  parameters?: Readonly<Record<string, Template>> | undefined;
  headers?: Readonly<Record<string, Template>> | undefined;
}

export interface TokenResponseDialect {
  /** Dotted path of the object with the tokens, where it is there, e.g. `authed_user` or `data.0`; `error` is looked up at the top. Where it is there and has no token, the tokens around it are not taken for its own. */
  at?: string | undefined;
  /**
   * `refresh_token: 'access_token'`: the access token renews itself. `expires_at`: seconds or milliseconds since the epoch, or a date (UTC, where it has no zone). `expires_in: null`: it's there, but wrong.
   */
  names?: Names | undefined;
  /** Of `expires_in`. @default 'seconds' */
  lifetimeUnit?: 'milliseconds' | undefined;
  /** For servers that leave `token_type` out, or put something else there. */
  tokenType?: 'Bearer' | undefined;
  /**
   * This server's error codes, or HTTP statuses, in the RFC's words: `invalid_grant` ends a session, `invalid_client` asks for the secret again. A code goes before a status, and so does
   * every code of RFC 6749 but `invalid_request`. What is declared counts whatever the status is, 5xx and 429 included.
   */
  errors?: Readonly<Record<string | number, DeclaredError>> | undefined;
}

/** A token request on its way out. */
export interface PreparedTokenRequest {
  url: URL;
  method: string;
  headers: Headers;
  body?: string | undefined;
}

/** A token answer as it came in: its body is parsed JSON, or the text where it's none. */
export interface RawTokenResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

/** What the hooks of a dialect are told. */
export interface DialectContext {
  readonly grant: DialectGrant;
  /** Of the callback, by `authorizationResponse.keep`. */
  readonly kept: Readonly<Record<string, string>>;
  /** The access token that is to be renewed. */
  readonly previous?: { readonly accessToken: string };
  readonly clock: { now(): number };
  /** The token manager's: its dispatcher, and the deadline of the request. */
  readonly fetch: typeof globalThis.fetch;
}

/** The token requests that a dialect speaks of. */
export type DialectGrant = 'authorization_code' | 'refresh_token' | 'exchange' | 'client_credentials';
