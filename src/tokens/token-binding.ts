import type { Dispatcher } from 'undici';

/** What has to come with an access token that is bound to more than its holder (sender-constrained, RFC 9700 section 2.2.1). */
export interface TokenBinding {
  /** The proof of possession for one request, for its header `DPoP` (RFC 9449 section 4); absent for a token that is bound to no key. */
  readonly prove?: (request: BoundRequest) => Promise<string>;
  /**
   * Told the headers of every answer: they may hold a nonce for the next proof (RFC 9449 section 9).
   * @returns whether there is one
   */
  readonly learn?: (origin: string, headers: Headers) => boolean;
  /** Connections that present the client's certificate (RFC 8705 section 3); absent where there is none. */
  readonly dispatcher?: () => Promise<Dispatcher>;
}

export interface BoundRequest {
  readonly method: string;
  readonly url: URL;
  readonly accessToken: string;
}
