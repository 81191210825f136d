import type { Dispatcher } from 'undici';
import { retryPolicy, retryRules, type RetryOptions, type RetryPolicy } from '../retry/retry-options.js';
import { checkSecure } from '../transport/secure-url.js';
import { callable, checkOptions, flag, having, invalid, positiveDuration, shapeOf, texts, type Rule, type Rules } from '../validation.js';

/** At least one of `baseUrl` and `origins` is required: a token only goes where it was meant to go. */
export interface FetchOptions {
  /** Resolves relative URLs as the URL standard does; its origin may receive the token. */
  baseUrl?: string | URL | undefined;
  /** Further origins that may receive the token, e.g. `https://files.example.com`. */
  origins?: readonly string[] | undefined;
  /** Whether a request whose token was refused is sent once more with another. A body that can't be sent twice never is. @default true */
  replay?: boolean | undefined;
  /** Statuses that mean "this token is refused". One other than 401 counts whatever its challenge says. @default [401] */
  rejectedStatus?: readonly number[] | undefined;
  /** How 429, 502, 503, 504 and network errors of idempotent methods are repeated; `false`: not at all. */
  retry?: FetchRetryOptions | false | undefined;
  /** The header that carries the token, for APIs with one of their own: it then holds the bare token. @default 'Authorization' */
  tokenHeader?: string | undefined;
  /** The word before the token. @default the token's type, e.g. `Bearer`; none in a `tokenHeader` of the API's own */
  tokenScheme?: string | undefined;
  /** Further headers of the caller's that must not leave the allowed origins on a redirect, e.g. `x-api-key`. */
  secretHeaders?: readonly string[] | undefined;
  /** Milliseconds until the response's headers are there, waits, retries and replay included. @default none */
  timeout?: number | undefined;
  /** Allows http to loopback: 127.0.0.0/8, ::1 and localhost. @default false */
  allowInsecureRequests?: boolean | undefined;
  /** The undici dispatcher; a `dispatcher` in a call's init goes before it (Node's types know only those of its own copy of undici there). @default the global one if one was set, else an `Agent` of the library's own */
  dispatcher?: Dispatcher | undefined;
  /** The fetch that sends. @default `globalThis.fetch`, looked up at each call */
  fetch?: typeof globalThis.fetch | undefined;
}

/** How requests to an API are repeated. */
export interface FetchRetryOptions extends RetryOptions {
  /** Methods that may be repeated. Add `POST` only where the API takes the same request twice without doing it twice. @default ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'] */
  methods?: readonly string[] | undefined;
}

/** The same, checked, with every default filled in. Header names are in lower case. */
export interface FetchSettings {
  readonly baseUrl: URL | undefined;
  readonly origins: ReadonlySet<string>;
  readonly replay: boolean;
  readonly rejectedStatus: ReadonlySet<number>;
  readonly retry: (RetryPolicy & { readonly methods: ReadonlySet<string> }) | undefined;
  readonly tokenHeader: string;
  readonly tokenScheme: string | undefined;
  readonly secretHeaders: ReadonlySet<string>;
  readonly timeout: number | undefined;
  readonly dispatcher: Dispatcher | undefined;
  readonly fetch: typeof globalThis.fetch | undefined;
}

const headerName: Rule = { expected: 'the name of a header', accepts: (value) => typeof value === 'string' && /^[!#$%&'*+.^_`|~\w-]+$/.test(value) };

const rules: Rules<FetchOptions> = {
  baseUrl: { expected: 'an absolute URL', accepts: (value) => value instanceof URL || (typeof value === 'string' && URL.canParse(value)) },
  origins: texts,
  replay: flag,
  rejectedStatus: { expected: 'a list of HTTP statuses from 400 to 599', accepts: (value) => Array.isArray(value) && value.every((status) => Number.isInteger(status) && status >= 400 && status <= 599) },
  retry: { expected: 'an object, or false', accepts: (value) => value === false || (typeof value === 'object' && value !== null) },
  tokenHeader: { ...headerName, expected: `${headerName.expected}, but not DPoP, which holds the proof`, accepts: (value) => headerName.accepts(value) && String(value).toLowerCase() !== 'dpop' },
  tokenScheme: { expected: 'one word, such as Bearer', accepts: headerName.accepts },
  secretHeaders: { expected: 'a list of header names', accepts: (value) => Array.isArray(value) && value.every(headerName.accepts) },
  timeout: positiveDuration,
  allowInsecureRequests: flag,
  dispatcher: having('dispatch'),
  fetch: callable,
};

const idempotentMethods = ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'];

/** @throws OAuthError `invalid_configuration`, naming the option, the rule and what was received */
export function fetchSettings(source: unknown, options: FetchOptions): FetchSettings {
  const where = 'createFetch';
  if (!having('getToken').accepts(source)) throw invalid(`${where}: the source must be an object with getToken(), e.g. tokens.clientCredentials(); received ${shapeOf(source)}`);
  checkOptions<FetchOptions>(where, options, rules);
  const { origins = [], replay = true, rejectedStatus = [401], retry = {}, tokenHeader = 'Authorization', tokenScheme, secretHeaders = [], timeout, allowInsecureRequests = false, dispatcher, fetch } = options;
  if (options.baseUrl === undefined && origins.length === 0) throw invalid(`${where}: one of \`baseUrl\` and \`origins\` is required: without it no URL may receive the token`);
  const baseUrl = options.baseUrl === undefined ? undefined : new URL(options.baseUrl);
  if (baseUrl !== undefined) checkSecure(where, 'baseUrl', baseUrl, allowInsecureRequests);
  const allowed = origins.map((origin) => checkedOrigin(where, origin, allowInsecureRequests));
  return {
    baseUrl,
    origins: new Set(baseUrl === undefined ? allowed : [baseUrl.origin, ...allowed]),
    replay,
    rejectedStatus: new Set(rejectedStatus),
    retry: retry === false ? undefined : checkedRetry(where, retry),
    tokenHeader: tokenHeader.toLowerCase(),
    tokenScheme,
    secretHeaders: new Set(secretHeaders.map((name) => name.toLowerCase())),
    timeout,
    dispatcher,
    fetch,
  };
}

function checkedOrigin(where: string, origin: string, allowInsecureRequests: boolean): string {
  const url = URL.canParse(origin) ? new URL(origin) : undefined;
  if (url?.pathname !== '/' || url.search !== '' || url.hash !== '') throw invalid(`${where}: \`origins\` must hold origins such as "https://api.example.com", without a path; received ${shapeOf(origin)}`);
  checkSecure(where, 'origins', url, allowInsecureRequests);
  return url.origin;
}

function checkedRetry(where: string, retry: FetchRetryOptions): FetchSettings['retry'] {
  checkOptions<FetchRetryOptions>(`${where}: retry`, retry, { ...retryRules, methods: texts });
  const { methods = idempotentMethods, ...options } = retry;
  return { ...retryPolicy(options), methods: new Set(methods.map((method) => method.toUpperCase())) };
}
