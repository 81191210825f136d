import { inspect } from 'node:util';
import type { TokenBinding } from './token-binding.js';

/**
 * An access token (RFC 6749 section 1.4): frozen data. Its value is not enumerable; `util.inspect` and `JSON.stringify` show all but it.
 */
export interface AccessToken {
  /** The token itself. */
  readonly value: string;
  /** How it is sent (RFC 6749 section 7.1), in canonical spelling whatever the server's case. */
  readonly type: 'Bearer' | 'DPoP';
  /** Milliseconds since the epoch; absent if the server named no lifetime. */
  readonly expiresAt?: number;
  /** The granted scope, separated by spaces; the requested one where the server names none (RFC 6749 section 5.1). */
  readonly scope?: string;
  /** Other members of the token response, e.g. `instance_url`. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** What a header can carry of what a token may be (RFC 6749 appendix A.12), without the spaces that a header would lose. */
export function isTokenText(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value);
}

/** What became of a token: told by those who send it to the one who keeps it. */
export interface TokenObserver {
  accepted(): void;
  /** It was revoked, and is of no use to anybody. */
  revoked(): void;
  refusedBy(status: number, origin: string): void;
}

export interface IssuedTokenFields {
  readonly value: string;
  readonly type: AccessToken['type'];
  readonly expiresAt: number | undefined;
  readonly scope: string | undefined;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly binding?: TokenBinding | undefined;
}

/** An access token of ours. The value is a private field: nothing that walks an object's properties can come across it. */
export class IssuedToken implements AccessToken {
  readonly #value: string;
  readonly #observer: TokenObserver | undefined;
  readonly #binding: TokenBinding | undefined;
  readonly type: 'Bearer' | 'DPoP';
  declare readonly expiresAt?: number;
  declare readonly scope?: string;
  readonly parameters: Readonly<Record<string, unknown>>;

  constructor({ value, type, expiresAt, scope, parameters, binding }: IssuedTokenFields, observer?: TokenObserver) {
    this.#value = value;
    this.#observer = observer;
    this.#binding = binding;
    this.type = type;
    if (expiresAt !== undefined) this.expiresAt = expiresAt;
    if (scope !== undefined) this.scope = scope;
    this.parameters = deepFreeze(parameters);
    Object.freeze(this);
  }

  get value(): string {
    return this.#value;
  }

  /** The observer of a token, if it is one of ours. */
  static observerOf(token: AccessToken): TokenObserver | undefined {
    return #observer in token ? token.#observer : undefined;
  }

  /** What has to be sent with a token, if it's one of ours and bound to something. */
  static bindingOf(token: AccessToken): TokenBinding | undefined {
    return #binding in token ? token.#binding : undefined;
  }
}

Object.defineProperty(IssuedToken.prototype, inspect.custom, {
  value(this: IssuedToken): unknown {
    return Object.assign({ value: '[redacted]' }, this);
  },
});

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}
