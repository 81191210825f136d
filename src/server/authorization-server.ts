import type { Moment } from '../clock.js';
import type { AccessToken } from '../tokens/access-token.js';
import type { CanonicalTokenRequest } from '../tokens/token-request.js';
import type { UnderstoodCallback } from './dialect/callback.js';
import type { Kept } from './dialect/template.js';
import type { ProofKey } from './dpop/proof-key.js';
import type { Claims, IdTokenExpectation } from './id-token.js';

/** The authorization server, as everything behind `server/` sees it: conformant. Each call rejects with an `OAuthError` and nothing else. */
export interface AuthorizationServer {
  /** One token request of a grant that can be used again, not repeated on failure. */
  grant(grant: TokenGrant, signal: AbortSignal): Promise<TokenResponse>;
  /** Where the browser is sent (RFC 6749 section 4.1.1); the request may be signed (RFC 9101) or pushed (RFC 9126) before. */
  authorizationUrl(parameters: URLSearchParams, signal: AbortSignal): Promise<URL>;
  /**
   * A callback in the words of RFC 6749, and what of it lives as long as the session.
   * @throws OAuthError `invalid_callback`
   */
  understoodCallback(parameters: URLSearchParams): UnderstoodCallback;
  /** What a callback has to name as its issuer (RFC 9207). */
  callbackIssuer(signal: AbortSignal): Promise<CallbackIssuer>;
  /** The parameters in a callback's JWT (JARM); rejects with `invalid_callback` if it isn't one that the server signed for this client. */
  authorizationResponse(jwt: string, signal: AbortSignal): Promise<URLSearchParams>;
  /** One exchange of a code (RFC 6749 section 4.1.3), never repeated. */
  authorizationCode(exchange: CodeExchange, signal: AbortSignal): Promise<ReceivedTokens>;
  /** Begins a login that is completed on another device (RFC 8628 section 3.1, CIBA section 7.1); never repeated. */
  decoupledLogin(login: DecoupledLoginRequest, signal: AbortSignal): Promise<DecoupledAuthorization>;
  /** All that has to be there before a refresh token may leave: the metadata and the client's proof. */
  prepareRefresh(signal: AbortSignal): Promise<SendRefresh>;
  /** RFC 7009. @returns false where the server takes no revocations */
  revoke(token: string, hint: string | undefined, signal: AbortSignal): Promise<boolean>;
  /** RFC 7662: what the server says, in its own words. */
  introspect(token: string, hint: string | undefined, signal: AbortSignal): Promise<Readonly<Record<string, unknown>>>;
  /** RP-initiated logout; undefined where the server has none. */
  endSessionUrl(parameters: Readonly<Record<string, string>>, signal: AbortSignal): Promise<URL | undefined>;
}

/** Parameters of one token request beside those of every grant. */
export interface GrantParameters {
  readonly plain?: Readonly<Record<string, string>>;
  /** The same for values that must appear nowhere else: they are looked for in whatever the server says. */
  readonly secret?: Readonly<Record<string, string>>;
}

/** What a token is asked for, and by what right. */
export interface TokenGrant {
  /** The `grant_type` (RFC 6749 section 4). */
  readonly grantType: string;
  readonly request: CanonicalTokenRequest;
  /** Further parameters of the grant, asked for anew at each attempt; the secret ones appear nowhere else. */
  readonly parameters: (signal: AbortSignal) => Promise<GrantParameters>;
  /** To which the tokens are bound. */
  readonly key: ProofKey | undefined;
}

export interface CallbackIssuer {
  /** Undefined where the metadata were passed without one. */
  readonly issuer: string | undefined;
  /** Whether the server promises to name it in every callback. */
  readonly isPromised: boolean;
}

export interface CodeExchange {
  readonly code: string;
  readonly codeVerifier: string;
  /** As it was sent to the authorization endpoint, byte for byte. */
  readonly redirectUri: string;
  readonly resource: string | undefined;
  readonly key: ProofKey | undefined;
  /** Of the callback. */
  readonly kept: Kept;
}

/** A login that begins at an endpoint of its own and is completed on another device. */
export interface DecoupledLoginRequest {
  /** The `grant_type` of the token requests. */
  readonly grantType: string;
  /** The endpoint's member of the metadata. */
  readonly endpoint: string;
  /** The name of what stands for the login, in the answer and in the token requests. */
  readonly code: string;
  /** Whether there is something that the user has to be shown. */
  readonly isShown: boolean;
  readonly request: CanonicalTokenRequest;
  /** Further parameters of the request that begins it. */
  readonly parameters: TokenGrant['parameters'];
  readonly key: ProofKey | undefined;
}

/** A login that waits for its user; what stands for it at the server is in a closure. */
export interface DecoupledAuthorization {
  /** Fit for showing, as the addresses are: there where the user has to be shown them. */
  readonly userCode?: string | undefined;
  readonly verificationUri?: string | undefined;
  readonly verificationUriComplete?: string | undefined;
  /** Milliseconds, counted from `sentAt`. */
  readonly lifetime: number;
  /** Milliseconds between two token requests. */
  readonly interval: number;
  /** When the request was sent. */
  readonly sentAt: Moment;
  /** One token request: `token_request_failed` with `authorization_pending` or `slow_down` until the user has decided (RFC 8628 section 3.5). */
  readonly poll: (signal: AbortSignal) => Promise<ReceivedTokens>;
}

/** One token request of the refresh token grant (RFC 6749 section 6). */
export type SendRefresh = (refresh: Refresh, signal: AbortSignal) => Promise<ReceivedTokens>;

export interface Refresh {
  readonly refreshToken: string;
  readonly request: CanonicalTokenRequest;
  /** To which the tokens are bound. */
  readonly key: ProofKey | undefined;
  /** What the login's callback left. */
  readonly kept: Kept;
  /** The access token that is to be renewed. */
  readonly accessToken: string | undefined;
}

/**
 * What a token endpoint handed out, before any of it is judged: a refresh token in it has to be kept even if the rest can't be used.
 * Held by closures, so that nothing that prints it shows a token.
 */
export interface ReceivedTokens {
  /** Undefined where the answer has none: then the one that was sent stays good. */
  refreshToken(): string | undefined;
  /** As it came, for its revocation. */
  accessToken(): string | undefined;
  /** @throws OAuthError `invalid_response` */
  judged(): TokenResponse;
  readonly hasIdToken: boolean;
  /** Checks the ID token; rejects with `invalid_response` if it can't be accepted. Undefined where there is none and none is required. */
  identity(expected: IdTokenExpectation, signal: AbortSignal): Promise<Identity | undefined>;
}

export interface Identity {
  readonly idToken: string;
  readonly claims: Claims;
}

/** A token response (RFC 6749 section 5.1), read and checked. */
export interface TokenResponse {
  readonly accessToken: string;
  readonly tokenType: AccessToken['type'];
  /** Milliseconds, counted from `sentAt`; absent if the server named none that can be read. */
  readonly lifetime: number | undefined;
  readonly scope: string | undefined;
  /** Further members, none of which is a token. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** When the request was sent: the server can't have issued the token before. */
  readonly sentAt: Moment;
}
