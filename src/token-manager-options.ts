import type { Dispatcher } from 'undici';
import type { KeyvLike } from './cache/keyv-like.js';
import type { Lock } from './cache/lock.js';
import { decodeKey } from './cache/sealing.js';
import { systemClock, type Clock } from './clock.js';
import { retryPolicy, retryRules, type RetryOptions, type RetryPolicy } from './retry/retry-options.js';
import { checkSecure } from './transport/secure-url.js';
import type { ClientAuthentication } from './server/client-authentication/client-authentication.js';
import type { ClientSecret } from './server/client-authentication/client-secret.js';
import type { Dialect } from './server/dialect/dialect.js';
import { checkedDialect } from './server/dialect/dialect-rules.js';
import type { DPoPOption } from './server/dpop/proof-keys.js';
import { endpoints, type AuthorizationServerMetadata } from './server/metadata.js';
import type { SignedAuthorizationRequests } from './server/request-object.js';
import { defaultRefreshPolicy, type RefreshPolicy } from './tokens/lifetime.js';
import { checkOptions, duration, flag, having, invalid, isPlainObject, isWholeNumber, positiveDuration, shapeOf, text, type Rules } from './validation.js';

/** One of `issuer` and `server` is required, and `clientId`. Every duration is in milliseconds. */
export interface TokenManagerOptions {
  /**
   * The issuer identifier, spelled exactly as the server spells it; its metadata is discovered on first use: OpenID Connect Discovery, then RFC 8414.
   * https only; http to loopback with `allowInsecureRequests`.
   */
  issuer?: string | URL | undefined;
  /** The metadata itself, in the names of RFC 8414, for servers without discovery. At least `token_endpoint`. */
  server?: AuthorizationServerMetadata | undefined;
  /** The client identifier (RFC 6749 section 2.2). */
  clientId: string;
  /**
   * The client secret (RFC 6749 section 2.3.1), or a function that gives it, now or later. A function is asked on first use and again after
   * `invalid_client`: secrets rotate. It is used by the first of `client_secret_basic`,
   * `client_secret_post` and `client_secret_jwt` that the server lists, by the first where it lists none. Without a secret the client is a public one.
   */
  clientSecret?: ClientSecret | undefined;
  /**
   * How the client authenticates, where it's not by `clientSecret`: `privateKeyJwt(..)`, `tlsClientAuth(..)`, `selfSignedTlsClientAuth(..)`, `clientAssertion(..)`,
   * `clientSecretJwt(..)`, `clientSecretBasic(..)`, `clientSecretPost(..)`, `none()`.
   */
  clientAuthentication?: ClientAuthentication | undefined;
  /**
   * Binds every token to a key, by proofs of possession (DPoP, RFC 9449): a token that is stolen is of no use without the key. `true` makes a key for each session, which is
   * sealed with it, and one for machine tokens that lives as long as the manager. A private key of your own is used for all: then processes with a common store share
   * machine tokens. A server that answers with a token that isn't bound is an error; a session that began before this option was set goes on as it began. A key of your own may be
   * replaced, but for a public client, whose refresh tokens are bound to it too: there a session needs the key that it began with.
   * @default tokens are bound to no key
   */
  dpop?: DPoPOption | undefined;
  /**
   * Whether a login's parameters go to the server directly, before the browser is sent off with a reference to them (PAR, RFC 9126): nobody can read or change them there.
   * @default only where the server takes no other requests (`require_pushed_authorization_requests`)
   */
  pushedAuthorizationRequests?: boolean | undefined;
  /**
   * Signs the authorization requests of logins with a private key whose public half the server knows (JAR, RFC 9101): what was changed on the way is refused there. The
   * algorithm is the first that the key can do and the server lists (`request_object_signing_alg_values_supported`), unless `alg` names one.
   * @default they are not signed
   */
  signedAuthorizationRequests?: SignedAuthorizationRequests | undefined;
  /** Where the server deviates from the RFCs, as data. `grantkeeper/providers` has those of well-known ones. @default nowhere */
  dialect?: Dialect | undefined;
  /**
   * Where sessions are kept, and machine tokens behind memory, for other processes and the next start: any Keyv. One that swallows the failures of its
   * server is told to throw (`throwOnErrors`): a session must not be lost to a failed call that looks like an empty answer.
   * @default memory only
   */
  store?: KeyvLike | undefined;
  /** What keeps processes that share a store from using one refresh token at the same time. @default within this process */
  lock?: Lock | undefined;
  /**
   * Keys that seal what goes into the store, and what browsers keep during a login (AES-256-GCM): 32 bytes each, in base64url or hex. The first seals,
   * all open. Required with a store; `false` says aloud that tokens are stored in the clear. Without keys a login can be completed only by the manager
   * that started it.
   */
  encryptionKeys?: readonly string[] | false | undefined;
  /** The most tokens that are kept in memory; the least recently used go first. @default 10_000 */
  maxEntries?: number | undefined;
  /** A token is waited for when less than this is left, at most a tenth of its lifetime. @default 30_000 */
  expirySkew?: number | undefined;
  /** A token is renewed in the background when less than this is left, at most a fifth of its lifetime; 0 turns that off. @default 300_000 */
  refreshAhead?: number | undefined;
  /** The lifetime of a token whose server names none. @default 3_600_000 for machine tokens; a user's token is used until it's refused */
  assumedLifetime?: number | undefined;
  /**
   * How long the server still takes a refresh token that it has replaced, in milliseconds: within it a refresh whose answer was lost is simply sent again.
   * Declare what your server is set to, no more: beyond it a repetition may end the session.
   * @default 0, none
   */
  refreshGrace?: number | undefined;
  /** How long a session that isn't used is kept, in milliseconds. @default 90 days */
  sessionLifetime?: number | undefined;
  /** How long a session is kept at most, however much it's used, in milliseconds since the login. @default without limit */
  absoluteSessionLifetime?: number | undefined;
  /**
   * The most that one `getToken` or one discovery takes, retries included. Reading and writing the store come on top: each gets a quarter of it,
   * at most 1,000.
   * @default 10_000
   */
  timeout?: number | undefined;
  /** How token requests that failed in a way that may pass are repeated. */
  retry?: RetryOptions | undefined;
  /** The undici dispatcher for requests to the authorization server, e.g. a `ProxyAgent`. It goes before the connections of `tlsClientAuth`: then it has to present the certificate. @default the global one if one was set, else an `Agent` of the library's own */
  dispatcher?: Dispatcher | undefined;
  /** The source of time, for tests. @default the system's */
  clock?: Clock | undefined;
  /** Allows http to loopback: 127.0.0.0/8, ::1 and localhost. @default false */
  allowInsecureRequests?: boolean | undefined;
}

/** The same with every default filled in. */
export interface TokenManagerSettings extends Pick<TokenManagerOptions, 'clientId' | 'clientSecret' | 'clientAuthentication' | 'dpop' | 'pushedAuthorizationRequests' | 'signedAuthorizationRequests' | 'store' | 'lock' | 'dispatcher'> {
  /** Where the metadata comes from: an issuer to be discovered, or the metadata itself. */
  readonly authority: { readonly issuer: string | URL } | { readonly server: AuthorizationServerMetadata };
  readonly dialect: Dialect;
  readonly encryptionKeys: readonly Uint8Array[];
  readonly maxEntries: number;
  readonly refreshPolicy: RefreshPolicy;
  readonly assumedLifetime: { readonly machine: number; readonly user: number };
  readonly refreshGrace: number;
  readonly sessionLifetime: { readonly idle: number; readonly absolute: number };
  readonly timeout: number;
  /** Milliseconds for one call of the store or the lock. */
  readonly storeTimeout: number;
  readonly retry: RetryPolicy;
  readonly clock: Clock;
  readonly allowInsecureRequests: boolean;
}

const where = 'createTokenManager';

const rules: Rules<TokenManagerOptions> = {
  issuer: { expected: 'an absolute URL such as "https://login.example.com"', accepts: (value) => value instanceof URL || (typeof value === 'string' && URL.canParse(value)) },
  server: { expected: 'an object with the metadata of the authorization server (RFC 8414)', accepts: (value) => typeof value === 'object' && value !== null && !Array.isArray(value) },
  clientId: text,
  clientSecret: { expected: 'a non-empty string, or a function that returns one', accepts: (value) => text.accepts(value) || typeof value === 'function', secret: true },
  clientAuthentication: {
    expected: 'made by privateKeyJwt(), clientSecretBasic(), tlsClientAuth() or another of these, or an object with `method` and authenticate()',
    accepts: (value) => having('authenticate').accepts(value) && text.accepts(Reflect.get(value as object, 'method')),
    secret: true,
  },
  dpop: { expected: 'true, or an object with a `privateKey` and perhaps its `alg`, and nothing else', accepts: (value) => value === true || isDPoPKey(value), secret: true },
  pushedAuthorizationRequests: flag,
  signedAuthorizationRequests: { expected: 'an object with a `key`', accepts: (value) => isPlainObject(value) && 'key' in value, secret: true },
  dialect: { expected: 'an object', accepts: isPlainObject },
  store: having('get', 'set', 'delete'),
  lock: having('acquire', 'renew', 'release'),
  encryptionKeys: {
    expected: 'a list of keys of 32 bytes each, in base64url or hex, or false',
    accepts: (value) => value === false || (Array.isArray(value) && value.length > 0 && value.every((key) => typeof key === 'string' && decodeKey(key) !== undefined)),
    secret: true,
  },
  // The cache allocates for all of them up front.
  maxEntries: { expected: 'a whole number above 0, 10,000,000 at most', accepts: (value) => isWholeNumber(value) && value > 0 && value <= 10_000_000 },
  expirySkew: duration,
  refreshAhead: duration,
  assumedLifetime: positiveDuration,
  refreshGrace: duration,
  sessionLifetime: positiveDuration,
  absoluteSessionLifetime: positiveDuration,
  timeout: positiveDuration,
  retry: { expected: 'an object', accepts: (value) => typeof value === 'object' && value !== null },
  dispatcher: having('dispatch'),
  clock: having('now', 'monotonic'),
  allowInsecureRequests: flag,
};

function isDPoPKey(value: unknown): boolean {
  if (!isPlainObject(value)) return false;
  const { privateKey, alg, ...others } = value as Readonly<Record<string, unknown>>;
  return privateKey !== undefined && (alg === undefined || text.accepts(alg)) && Object.keys(others).length === 0;
}

const newKey = "make one with `node -p \"crypto.randomBytes(32).toString('base64url')\"`";

/**
 * Checks everything that can be checked before the first request.
 * @throws OAuthError `invalid_configuration`, naming the option, the rule and what was received
 */
export function tokenManagerSettings(options: TokenManagerOptions): TokenManagerSettings {
  checkOptions<TokenManagerOptions>(where, options, rules);
  checkOptions<RetryOptions>(`${where}: retry`, options.retry ?? {}, retryRules);
  const { clientId, issuer, server, clientSecret, clientAuthentication, dpop, dialect = {}, pushedAuthorizationRequests, signedAuthorizationRequests, store, lock, encryptionKeys, dispatcher, allowInsecureRequests = false, timeout = 10_000, clock = systemClock } = options;
  if (!text.accepts(clientId)) throw invalid(`${where}: \`clientId\` is required`);
  const authority = checkedAuthority({ issuer, server, allowInsecureRequests });
  const spoken = checkedDialect(where, dialect, allowInsecureRequests);
  if (clientSecret !== undefined && clientAuthentication !== undefined) throw invalid(`${where}: pass \`clientSecret\` or \`clientAuthentication\`, not both: the secret goes into the latter`);
  if (store !== undefined && encryptionKeys === undefined) {
    throw invalid(`${where}: \`encryptionKeys\` is required with a \`store\` of your own: ${newKey}, or pass false to store tokens in the clear`);
  }
  return {
    authority,
    clientId,
    clientSecret,
    clientAuthentication,
    dpop,
    dialect: spoken,
    pushedAuthorizationRequests,
    signedAuthorizationRequests,
    store,
    lock,
    dispatcher,
    encryptionKeys: (encryptionKeys === false ? [] : encryptionKeys ?? []).flatMap((key) => decodeKey(key) ?? []),
    maxEntries: options.maxEntries ?? 10_000,
    refreshPolicy: { expirySkew: options.expirySkew ?? defaultRefreshPolicy.expirySkew, refreshAhead: options.refreshAhead ?? defaultRefreshPolicy.refreshAhead },
    assumedLifetime: { machine: options.assumedLifetime ?? 3_600_000, user: options.assumedLifetime ?? Infinity },
    refreshGrace: options.refreshGrace ?? 0,
    sessionLifetime: { idle: options.sessionLifetime ?? 90 * 24 * 60 * 60_000, absolute: options.absoluteSessionLifetime ?? Infinity },
    timeout,
    storeTimeout: Math.min(timeout / 4, 1_000),
    retry: retryPolicy(options.retry),
    clock,
    allowInsecureRequests,
  };
}

function checkedAuthority({ issuer, server, allowInsecureRequests = false }: Pick<TokenManagerOptions, 'issuer' | 'server' | 'allowInsecureRequests'>): TokenManagerSettings['authority'] {
  if (issuer !== undefined && server !== undefined) throw invalid(`${where}: pass \`issuer\` or \`server\`, not both`);
  if (issuer !== undefined) {
    checkIssuer(issuer, allowInsecureRequests);
    return { issuer: typeof issuer === 'string' ? issuer : new URL(issuer) };
  }
  if (server === undefined) throw invalid(`${where}: one of \`issuer\` and \`server\` is required: \`issuer\` for a server with discovery, \`server\` for one without`);
  checkServer(server, allowInsecureRequests);
  return { server: Object.freeze({ ...server }) };
}

function checkIssuer(issuer: string | URL, allowInsecureRequests: boolean): void {
  const url = new URL(issuer);
  checkSecure(where, 'issuer', url, allowInsecureRequests);
  if (url.search !== '' || url.hash !== '') throw invalid(`${where}: \`issuer\` must have no query and no fragment (RFC 8414 section 2); received ${shapeOf(url)}`);
}

function checkServer({ issuer, token_endpoint: tokenEndpoint, ...others }: AuthorizationServerMetadata, allowInsecureRequests: boolean): void {
  if (issuer !== undefined && !text.accepts(issuer)) throw invalid(`${where}: \`server.issuer\` must be a string; received ${shapeOf(issuer)}`);
  if (typeof tokenEndpoint !== 'string' || !URL.canParse(tokenEndpoint)) throw invalid(`${where}: \`server.token_endpoint\` must be a URL; received ${shapeOf(tokenEndpoint)}`);
  checkSecure(where, 'server.token_endpoint', new URL(tokenEndpoint), allowInsecureRequests);
  for (const name of endpoints) {
    const value: unknown = others[name];
    if (value === undefined) continue;
    if (typeof value !== 'string' || !URL.canParse(value)) throw invalid(`${where}: \`server.${name}\` must be a URL; received ${shapeOf(value)}`);
    checkSecure(where, `server.${name}`, new URL(value), allowInsecureRequests);
  }
}
