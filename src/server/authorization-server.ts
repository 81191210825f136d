import type { Moment } from '../clock.js';
import type { AccessToken } from '../tokens/access-token.js';
import type { CanonicalTokenRequest } from '../tokens/token-request.js';
import type { Claims, IdTokenExpectation } from './id-token.js';

/** The authorization server, as everything behind `server/` sees it: conformant. Each call rejects with an `OAuthError` and nothing else. */
export interface AuthorizationServer {
  /** One token request of the client credentials grant (RFC 6749 section 4.4), not repeated on failure. */
  clientCredentials(request: CanonicalTokenRequest, signal: AbortSignal): Promise<TokenResponse>;
  /** Where the browser is sent (RFC 6749 section 4.1.1). */
  authorizationUrl(parameters: URLSearchParams, signal: AbortSignal): Promise<URL>;
  /** What a callback has to name as its issuer (RFC 9207). */
  callbackIssuer(signal: AbortSignal): Promise<CallbackIssuer>;
  /** One exchange of a code (RFC 6749 section 4.1.3), never repeated. */
  authorizationCode(exchange: CodeExchange, signal: AbortSignal): Promise<ReceivedTokens>;
  /** All that has to be there before a refresh token may leave: the metadata and the client's proof. */
  prepareRefresh(signal: AbortSignal): Promise<SendRefresh>;
  /** RFC 7009; nothing where the server takes no revocations. */
  revoke(token: string, kind: 'refresh_token' | 'access_token', signal: AbortSignal): Promise<void>;
  /** RP-initiated logout; undefined where the server has none. */
  endSessionUrl(parameters: Readonly<Record<string, string>>, signal: AbortSignal): Promise<URL | undefined>;
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
}

/** One token request of the refresh token grant (RFC 6749 section 6). */
export type SendRefresh = (refreshToken: string, request: CanonicalTokenRequest, signal: AbortSignal) => Promise<ReceivedTokens>;

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
