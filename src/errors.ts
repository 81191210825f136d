import { isIP } from 'node:net';

/** What went wrong. A closed set: match errors by `code`, not by class or message. */
export type OAuthErrorCode =
  /** An option is missing, malformed or contradictory, the token manager is closed, or a secret function threw (only that is `retryable`). */
  | 'invalid_configuration'
  /** The metadata of the authorization server, or of an API, could not be had, or isn't that of the configured issuer (RFC 8414 section 3.3). */
  | 'discovery_failed'
  /** The authorization server answered a token request with an error (RFC 6749 section 5.2); see `error`, `status`, `retryAfter`. */
  | 'token_request_failed'
  /** No HTTP answer came. */
  | 'server_unreachable'
  /** An answer that no OAuth server may give; see `status`. */
  | 'invalid_response'
  /** The option `timeout` ran out. */
  | 'timeout'
  /** The login was refused: its callback, or the answer to a decoupled login, carries an error of the authorization server (RFC 6749 section 4.1.2.1, RFC 8628 section 3.5). */
  | 'authorization_failed'
  /** The login callback doesn't belong to this login, or not to this browser. Nothing was sent. */
  | 'invalid_callback'
  /** The login was completed before, or its exchange was tried. The session of the first lives on. */
  | 'callback_already_used'
  /** The login took too long: it has to be started again. */
  | 'login_expired'
  /** The session has ended: the user must log in again. */
  | 'reauthorization_required'
  /** The store or the lock failed. For machine tokens that is an event only; a session can't be refreshed without them. */
  | 'store_failed'
  /** The URL's origin is not one that may receive the token. Nothing was sent. */
  | 'origin_not_allowed';

/** What is known of a failure beside its code. */
export interface OAuthErrorDetails {
  /** Whether the same call may succeed later without anything being changed. @default false */
  retryable?: boolean;
  /** The HTTP status of the answer. */
  status?: number | undefined;
  /** The server's error code. */
  error?: string | undefined;
  /** The server's text for developers. */
  errorDescription?: string | undefined;
  /** Milliseconds that the server asked to wait. */
  retryAfter?: number | undefined;
  /** Whether a refresh before this failure was sent whose outcome nobody knows. */
  ambiguous?: boolean | undefined;
  /** Anything that was thrown: only an allow-list of its fields is copied. */
  cause?: unknown;
}

/**
 * The one error class of grantkeeper. It never holds a secret: not in its message, not in its cause at any depth.
 * What an API answers is never an `OAuthError`: a 401, 403 or 500 comes back as the `Response` it is.
 */
export class OAuthError extends Error {
  /** What went wrong. */
  readonly code: OAuthErrorCode;
  /** Whether the same call may succeed later without anything being changed. */
  readonly retryable: boolean;
  /** The HTTP status of the answer, if there was one. */
  declare readonly status?: number;
  /** The server's error code, e.g. `invalid_client` (RFC 6749 section 5.2). */
  declare readonly error?: string;
  /** The server's text for developers, credentials of the request replaced. */
  declare readonly errorDescription?: string;
  /** Milliseconds that the server asked to wait (RFC 9110 section 10.2.3), as it said them: not capped. */
  declare readonly retryAfter?: number;
  /** True where a session ended after a refresh whose answer was lost: the server may have taken the repetition for a theft. */
  declare readonly ambiguous?: boolean;

  constructor(code: OAuthErrorCode, message: string, details: OAuthErrorDetails = {}) {
    const { retryable = false, cause, ...fields } = details;
    super(message, cause === undefined ? undefined : { cause: safeCause(cause) });
    this.code = code;
    this.retryable = retryable;
    Object.assign(this, Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)));
  }

  static {
    Object.defineProperty(this.prototype, 'name', { value: 'OAuthError', configurable: true, writable: true });
  }
}

/**
 * A copy of whatever was thrown that is safe to print: its class, the code and address of a system error, and the same of its causes.
 * Messages are left out on purpose. Libraries put headers, bodies and URLs in them.
 */
export function safeCause(thrown: unknown, depth = 0): Error {
  if (thrown instanceof OAuthError) return thrown;
  const fields = {
    // Of the system, or of a database (SQLSTATE).
    code: allowed(thrown, 'code', /^([A-Z][A-Z0-9_]{1,63}|[0-9A-Z]{5})$/),
    syscall: allowed(thrown, 'syscall', /^[a-z]{1,32}$/),
    address: allowed(thrown, 'address', { test: (value) => isIP(value) !== 0 }),
    port: allowed(thrown, 'port', /^\d{1,5}$/),
    hostname: allowed(thrown, 'hostname', /^[\w.-]{1,253}$/),
  };
  const target = fields.address === undefined ? fields.hostname : [fields.address, fields.port].filter(Boolean).join(':');
  const name = className(thrown);
  const nested = depth < 5 ? read(thrown, 'cause') : undefined;
  const cause = nested instanceof Error ? safeCause(nested, depth + 1) : undefined;
  const copy = new Error([fields.syscall, fields.code, target].filter(Boolean).join(' '), cause && { cause });
  Object.defineProperty(copy, 'name', { value: name, configurable: true });
  Object.defineProperty(copy, 'stack', { value: copy.message === '' ? name : `${name}: ${copy.message}`, configurable: true });
  // fetch hides the system's error in the cause of its own.
  const code = fields.code ?? read(cause, 'code');
  return Object.assign(copy, code === undefined ? {} : { code });
}

/** What the system says of a failure, if it says anything: `connect ECONNREFUSED 127.0.0.1:443`. */
export function systemReason(thrown: unknown): string | undefined {
  for (let cause: unknown = safeCause(thrown); cause instanceof Error; cause = cause.cause) {
    if (cause.message !== '') return cause.message;
  }
  return undefined;
}

/** The class of a thrown value, and nothing else of it: `TypeError`, `TimeoutError`, `a string`. */
export function className(thrown: unknown): string {
  if (!(thrown instanceof Error)) return thrown === null || thrown === undefined ? String(thrown) : `a ${typeof thrown}`;
  if (thrown instanceof DOMException) return thrown.name;
  const constructor = read(thrown, 'constructor');
  return typeof constructor === 'function' && /^\w{1,64}$/.test(constructor.name) ? constructor.name : 'Error';
}

function allowed(thrown: unknown, field: string, rule: { test(value: string): boolean }): string | undefined {
  const value = read(thrown, field);
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  return rule.test(String(value)) ? String(value) : undefined;
}

/** A field of a value that may be anything, getters that throw included. */
function read(thrown: unknown, field: string): unknown {
  try {
    return typeof thrown === 'object' && thrown !== null ? (thrown as Record<string, unknown>)[field] : undefined;
  } catch {
    return undefined;
  }
}
