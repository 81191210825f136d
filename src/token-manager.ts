import { randomBytes } from 'node:crypto';
import { boundStore } from './cache/bound-store.js';
import { createGuard } from './cache/guard.js';
import { guardedStore } from './cache/guarded-store.js';
import { processLock } from './cache/in-process-lock.js';
import type { KeyvLike } from './cache/keyv-like.js';
import { machineTokenStore, noStore } from './cache/machine-token-store.js';
import { memoryStore } from './cache/memory-store.js';
import { createSealer, unsealed, type Sealer } from './cache/sealing.js';
import { sharedGrant } from './cache/shared-grant.js';
import { createStoreReport, type StoreReport } from './cache/store-report.js';
import { throwingStore } from './cache/throwing-store.js';
import { createTokenCache } from './cache/token-cache.js';
import type { TokenStore } from './cache/token-store.js';
import { deadlineIn, orAbort, waitFor } from './deadline.js';
import { OAuthError } from './errors.js';
import { createEvents, type Events, type TokenEvents, type TokenListener } from './events.js';
import { checkedGrant, type CheckedGrant } from './grants/checked-grant.js';
import { clientCredentials } from './grants/client-credentials.js';
import type { ExtensionGrant } from './grants/extension-grant.js';
import { grantSource } from './grants/grant-source.js';
import { repeatableGrant } from './grants/repeatable-grant.js';
import { completeLogin } from './login/complete-login.js';
import type { DecoupledFlow, DecoupledLogin } from './login/decoupled-flow.js';
import { startDecoupledLogin } from './login/decoupled-login.js';
import type { CompletedLogin, LoginContext, StartedLogin } from './login/login.js';
import type { LoginOptions } from './login/login-options.js';
import { startLogin } from './login/start-login.js';
import { createTransactions } from './login/transaction.js';
import { createRetryBudget } from './retry/retry-budget.js';
import { authenticationIdentity, chooseAuthentication } from './server/client-authentication/choose.js';
import { dialectIdentity } from './server/dialect/dialect-identity.js';
import { createDiscovery, issuerIdentifiers } from './server/discovery.js';
import { proofKeys } from './server/dpop/proof-keys.js';
import { createAuthorizationServer } from './server/openid-client.js';
import { requestSigner } from './server/request-object.js';
import { tokenBindings } from './server/token-bindings.js';
import { introspectToken, revokeToken, type Introspection, type TokenCallOptions } from './server/token-calls.js';
import { createExclusive } from './cache/exclusive.js';
import type { Session } from './sessions/session.js';
import { sessionStore, type SessionStore } from './sessions/session-store.js';
import { createSessions } from './sessions/sessions.js';
import { cacheKey, hashedName } from './tokens/cache-key.js';
import type { AccessToken } from './tokens/access-token.js';
import type { TokenRequest } from './tokens/token-request.js';
import type { TokenSource } from './tokens/token-source.js';
import { tokenManagerSettings, type TokenManagerOptions, type TokenManagerSettings } from './token-manager-options.js';

/** Milliseconds by which a lease outlasts the token request: for what is read and written around it. */
const leaseMargin = 3_000;

/** Gets access tokens for one client of one authorization server, and keeps them fresh. */
export interface TokenManager {
  /**
   * Machine tokens: the client credentials grant (RFC 6749 section 4.4). Same request, same source: cached, coalesced, refreshed ahead of expiry.
   * Nothing is sent before the source's first `getToken`.
   * @throws OAuthError `invalid_configuration`
   */
  clientCredentials(request?: TokenRequest): TokenSource;
  /**
   * Tokens by another grant (RFC 6749 section 4.5), e.g. `tokenExchange(..)` or `jwtBearer(..)`: cached, coalesced and refreshed ahead as machine tokens are, and shared by
   * the callers of one subject only.
   * @throws OAuthError `invalid_configuration`
   */
  grant(grant: ExtensionGrant): TokenSource;
  /**
   * Begins a login: the authorization code grant with PKCE (RFC 6749 section 4.1, RFC 7636). Send the browser to `url`, and keep `transaction` with it,
   * in a cookie: whoever completes the login has to bring both.
   * @throws OAuthError `invalid_configuration`, or what kept the metadata from being had, or the request from being pushed
   */
  startLogin(options: LoginOptions): Promise<StartedLogin>;
  /**
   * Completes a login: checks the callback, exchanges the code, and makes a session. Each transaction is good for one exchange.
   * @param callback the address that the browser came back to, relative or absolute: only its query counts. A `Request` may be a form post
   * @throws OAuthError `invalid_callback`, `login_expired`, `callback_already_used`, `authorization_failed`, or what kept the exchange from succeeding
   */
  completeLogin(callback: string | URL | Request, transaction: string): Promise<CompletedLogin>;
  /**
   * Begins a login that the user completes on another device, e.g. `deviceAuthorization(..)` or `backchannelAuthentication(..)`: show what there is to show, then await `completed()`.
   * @throws OAuthError `invalid_configuration`, or what kept the login from being begun: `token_request_failed`, `server_unreachable`, `invalid_response`, `timeout`
   */
  startDecoupledLogin(flow: DecoupledFlow): Promise<DecoupledLogin>;
  /** A signed-in user's grant, by its id; looked up when first used. */
  session(id: string): Session;
  /**
   * Revokes a token (RFC 7009); `end()` of a session does it for the session's. An access token that is passed as this manager gave it is served no more while it's in memory; who finds
   * it in a store learns of it when an API refuses it.
   * @throws OAuthError `invalid_configuration` where the server takes no revocations, `token_request_failed`, `server_unreachable`, `timeout`
   */
  revoke(token: string | AccessToken, options?: TokenCallOptions): Promise<void>;
  /**
   * Asks the server what it knows of a token (RFC 7662), e.g. one that your own API was sent.
   * @throws OAuthError `invalid_configuration` where the server has no introspection, `token_request_failed`, `server_unreachable`, `invalid_response`, `timeout`
   */
  introspect(token: string | AccessToken, options?: TokenCallOptions): Promise<Introspection>;
  /**
   * Listens to what happens to the tokens.
   * @returns a function that stops listening
   * @throws OAuthError `invalid_configuration`
   */
  on<E extends keyof TokenEvents>(event: E, listener: TokenListener<E>): () => void;
  /**
   * Sends no further token request, waits for those already sent, and writes what could not be written before, all within the option `timeout`. Tokens that are still good
   * are handed out as before, so that work under way can end; whatever would need a request is `invalid_configuration`. A store stays open: it's yours.
   */
  close(): Promise<void>;
}

/**
 * Makes a token manager. Nothing is sent before the first token is asked for.
 * @throws OAuthError `invalid_configuration`, naming the option, the rule and what was received
 */
export function createTokenManager(options: TokenManagerOptions): TokenManager {
  const settings = tokenManagerSettings(options);
  const { authority, clientId, dialect, clock, timeout, retry, allowInsecureRequests, dispatcher, maxEntries } = settings;
  const events = createEvents();
  const keys = proofKeys(settings.dpop, { isPublic: authenticationIdentity(settings) === 'none' });
  const certificate = settings.clientAuthentication?.certificate;
  const bindingOf = tokenBindings({ certificate, clock });
  const transport = { dispatcher, certificate, detached: true };
  const requestProtection = { isPushed: settings.pushedAuthorizationRequests, signer: settings.signedAuthorizationRequests && requestSigner(settings.signedAuthorizationRequests) };
  const closing = new AbortController();
  const discovered = 'server' in authority
    ? async () => Promise.resolve(authority.server)
    : createDiscovery({ issuer: authority.issuer, transport, timeout, clock, allowInsecureRequests });
  const metadata = async (signal: AbortSignal): ReturnType<typeof discovered> => {
    certificate?.assertValid(clock.now());
    return discovered(signal);
  };
  const assertOpen = (): void => { closing.signal.throwIfAborted(); };
  const server = createAuthorizationServer({ clientId, dialect, metadata, assertOpen, timeout, authentication: chooseAuthentication(settings), requestProtection, transport, clock, allowInsecureRequests });
  const serverName = 'server' in authority ? authority.server.issuer ?? authority.server.token_endpoint : issuerIdentifiers(authority.issuer)[0];
  const budget = createRetryBudget(clock);
  const cache = createTokenCache(maxEntries, { clock, events, policy: settings.refreshPolicy, maxRetryAfter: retry.maxRetryAfter });
  const stores = createStores(settings, events);
  const exclusive = createExclusive({ lock: settings.lock ?? processLock, guard: createGuard('The lock', { timeout: settings.storeTimeout, clock }), leaseMs: timeout + leaseMargin });
  const shared = { server, serverName, keys, bindingOf, clock, events, timeout, retry, budget, exclusive, report: stores.report };
  const sessions = createSessions({
    ...shared,
    store: stores.sessions,
    identity: { server: serverName, clientId },
    cache,
    maxEntries,
    idle: settings.sessionLifetime.idle,
    assumedLifetime: settings.assumedLifetime.user,
    refreshGrace: settings.refreshGrace,
  });
  const login: LoginContext = {
    ...shared,
    sessions,
    store: stores.entries,
    transactions: createTransactions(stores.browserSealer, hashedName('login', serverName, clientId)),
    assumedLifetime: settings.assumedLifetime.user,
  };
  const underWay = workUnderWay();

  const sourceOf = (grant: CheckedGrant): TokenSource => grantSource(grant, ({ identity, parameters }) => {
    const { grantType, request } = grant;
    const bindings = [keys.own?.thumbprint, certificate?.thumbprint].filter((thumbprint) => thumbprint !== undefined);
    const key = cacheKey({ server: serverName, clientId, clientAuthentication: authenticationIdentity(settings), bindings, dialect: grantType === 'client_credentials' ? dialectIdentity(dialect) : [], grant: grantType, subject: identity, request });
    const binding = bindingOf(keys.own);
    const store = boundStore(stores.machineTokens, binding);
    const issue = repeatableGrant({ grantType, request, parameters, key: keys.own }, { ...shared, binding, assumedLifetime: settings.assumedLifetime.machine, isClosed: () => closing.signal.aborted });
    // Without a store and a lock of many processes there is nobody to share with.
    const others = settings.store === undefined || settings.lock === undefined ? undefined : exclusive;
    return cache.source({ key, find: async () => store.get(key), grant: sharedGrant(key, issue, { ...shared, store, exclusive: others }) });
  }, timeout);

  return Object.freeze<TokenManager>({
    clientCredentials: (request = {}) => sourceOf(checkedGrant('clientCredentials', clientCredentials(request))),
    grant: (grant) => sourceOf(checkedGrant('grant', grant)),
    startLogin: async (options) => waitFor(startLogin(options, login)),
    completeLogin: async (callback, transaction) => underWay.add(completeLogin(callback, transaction, login)),
    startDecoupledLogin: async (flow) => waitFor(startDecoupledLogin(flow, { ...login, maxRetryAfter: retry.maxRetryAfter, closing: closing.signal, track: async (work) => underWay.add(work) })),
    session: (id) => sessions.session(id),
    revoke: async (token, options = {}) => revokeToken(token, options, shared),
    introspect: async (token, options = {}) => introspectToken(token, options, shared),
    on: (event, listener) => events.on(event, listener),
    async close() {
      closing.abort(new OAuthError('invalid_configuration', 'The token manager is closed: it sends no further token request'));
      const deadline = deadlineIn(timeout, 'close() waited long enough');
      const ended = (async () => {
        await Promise.all([cache.landed(), underWay.settled()]);
        await exclusive.settled();
        await sessions.flush(deadline.signal);
      })();
      await orAbort(ended, deadline.signal).catch(() => undefined);
      deadline.clear();
    },
  });
}

/** The one store behind all that is kept, as each kind of content sees it. */
interface Stores {
  readonly machineTokens: TokenStore;
  readonly sessions: SessionStore;
  /** Entries without a secret in them. */
  readonly entries: KeyvLike;
  /** Seals what a browser keeps: always, also where a store may hold tokens in the clear. */
  readonly browserSealer: Sealer;
  readonly report: StoreReport;
}

function createStores({ store, encryptionKeys: [first, ...others], storeTimeout, sessionLifetime, clock }: TokenManagerSettings, events: Events): Stores {
  const report = createStoreReport(events);
  const entries = guardedStore(store === undefined ? memoryStore(clock) : throwingStore(store), { timeout: storeTimeout, clock });
  const sealer = first === undefined ? unsealed : createSealer([first, ...others]);
  return {
    // Without a store the memory tier is all that machine tokens need.
    machineTokens: store === undefined ? noStore : machineTokenStore(entries, sealer, report),
    sessions: sessionStore(entries, sealer, sessionLifetime, clock),
    entries,
    browserSealer: first === undefined ? createSealer([randomBytes(32)]) : sealer,
    report,
  };
}

interface WorkUnderWay {
  add<T>(work: Promise<T>): Promise<T>;
  settled(): Promise<void>;
}

function workUnderWay(): WorkUnderWay {
  const all = new Set<Promise<unknown>>();
  return {
    async add(work) {
      all.add(work);
      return work.finally(() => { all.delete(work); });
    },
    async settled() {
      await Promise.allSettled(all);
    },
  };
}
