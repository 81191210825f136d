import { momentAt, type Clock, type Moment } from '../clock.js';
import type { TokenResponse } from '../server/authorization-server.js';
import { IssuedToken, type IssuedTokenFields } from '../tokens/access-token.js';
import type { StoredToken } from '../tokens/stored-token.js';
import type { TokenBinding } from '../tokens/token-binding.js';

/** A token on its way to the cache. */
export interface GrantedToken extends IssuedTokenFields {
  /** Milliseconds from `obtained`; `Infinity` for one that is used until it's refused. */
  readonly lifetime: number;
  /** When its request was sent. */
  readonly obtained: Moment;
  /** False for a token that nothing can follow: it's used to its last moment. */
  readonly renewable: boolean;
}

export interface Assumptions {
  /** What was asked for: it was granted where the server doesn't say otherwise (RFC 6749 section 5.1). */
  readonly scope: string | undefined;
  /** Milliseconds that a token lives whose server named no lifetime. */
  readonly lifetime: number;
  /** What the token is bound to. */
  readonly binding: TokenBinding | undefined;
}

/** The token of a server's answer, with what it left out filled in. */
export function fromResponse({ accessToken, tokenType, lifetime, scope, parameters, sentAt }: TokenResponse, assumed: Assumptions): GrantedToken {
  return {
    value: accessToken,
    type: tokenType,
    expiresAt: lifetime === undefined ? undefined : sentAt.now + lifetime,
    scope: scope ?? assumed.scope,
    parameters,
    lifetime: lifetime ?? assumed.lifetime,
    obtained: sentAt,
    renewable: true,
    binding: assumed.binding,
  };
}

export function fromStored({ token, lifetime, obtainedAt, renewable, binding }: StoredToken, clock: Clock): GrantedToken {
  const { value, type, expiresAt, scope, parameters } = token;
  return { value, type, expiresAt, scope, parameters, lifetime, obtained: momentAt(obtainedAt, clock), renewable, binding };
}

export function toStored(granted: GrantedToken): StoredToken {
  const { lifetime, obtained, renewable, binding } = granted;
  return { token: new IssuedToken(granted), lifetime, obtainedAt: obtained.now, renewable, binding };
}
