import type { GrantParameters } from '../server/authorization-server.js';
import type { TokenRequest } from '../tokens/token-request.js';

/**
 * A grant by which a client gets tokens whenever it needs some (RFC 6749 section 4.5): what `grant` of a token manager makes a source of. Made by `tokenExchange` and
 * `jwtBearer`; one of your own is an object of this shape.
 */
export interface ExtensionGrant {
  /** The `grant_type`. */
  readonly grantType: string;
  /** What is asked for. @default nothing in particular */
  readonly request?: TokenRequest;
  /** On whose behalf; a function is asked at every `getToken`. */
  readonly subject: GrantSubject | ((options: { readonly signal?: AbortSignal | undefined }) => Promise<GrantSubject>);
}

/** On whose behalf a token is had. */
export interface GrantSubject {
  /** Tells subjects apart, by at least one text: tokens of different ones are never shared. A hash of it is in the cache key, so it may hold a token. */
  readonly identity: readonly string[];
  /** The parameters of one token request beside those of every grant; asked anew at each attempt. */
  readonly parameters: (signal: AbortSignal) => Promise<GrantParameters>;
}
