import { randomBytes } from 'node:crypto';
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
import { canonicalTokenRequest } from './grants/canonical-token-request.js';
import { clientCredentialsGrant } from './grants/client-credentials.js';
import { completeLogin } from './login/complete-login.js';
import type { CompletedLogin, LoginContext, StartedLogin } from './login/login.js';
import type { LoginOptions } from './login/login-options.js';
import { startLogin } from './login/start-login.js';
import { createTransactions } from './login/transaction.js';
import { createRetryBudget } from './retry/retry-budget.js';
import { authenticationIdentity, chooseAuthentication } from './server/client-authentication/choose.js';
import { createDiscovery, issuerIdentifiers } from './server/discovery.js';
import { createAuthorizationServer } from './server/openid-client.js';
import { createExclusive } from './cache/exclusive.js';
import type { Session } from './sessions/session.js';
import { sessionStore, type SessionStore } from './sessions/session-store.js';
import { createSessions } from './sessions/sessions.js';
import { cacheKey, hashedName } from './tokens/cache-key.js';
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
   * Begins a login: the authorization code grant with PKCE (RFC 6749 section 4.1, RFC 7636). Send the browser to `url`, and keep `transaction` with it,
   * in a cookie: whoever completes the login has to bring both.
   * @throws OAuthError `invalid_configuration`, or what kept the metadata from being had
   */
  startLogin(options: LoginOptions): Promise<StartedLogin>;
  /**
   * Completes a login: checks the callback, exchanges the code, and makes a session. Each transaction is good for one exchange.
   * @param callback the address that the browser came back to, relative or absolute: only its query counts. A `Request` may be a form post
   * @throws OAuthError `invalid_callback`, `login_expired`, `callback_already_used`, `authorization_failed`, or what kept the exchange from succeeding
   */
  completeLogin(callback: string | URL | Request, transaction: string): Promise<CompletedLogin>;
  /** A signed-in user's grant, by its id; looked up when first used. */
  session(id: string): Session;
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
  const { authority, clientId, clock, timeout, retry, allowInsecureRequests, dispatcher, maxEntries } = settings;
  const events = createEvents();
  const transport = { dispatcher, detached: true };
  let closed = false;
  const metadata = 'server' in authority
    ? async () => Promise.resolve(authority.server)
    : createDiscovery({ issuer: authority.issuer, transport, timeout, clock, allowInsecureRequests });
  const assertOpen = (): void => {
    if (closed) throw new OAuthError('invalid_configuration', 'The token manager is closed: it sends no further token request');
  };
  const server = createAuthorizationServer({ clientId, metadata, assertOpen, timeout, authentication: chooseAuthentication(settings), transport, clock, allowInsecureRequests });
  const serverName = 'server' in authority ? authority.server.issuer ?? authority.server.token_endpoint : issuerIdentifiers(authority.issuer)[0];
  const budget = createRetryBudget(clock);
  const cache = createTokenCache(maxEntries, { clock, events, policy: settings.refreshPolicy, maxRetryAfter: retry.maxRetryAfter });
  const stores = createStores(settings, events);
  const exclusive = createExclusive({ lock: settings.lock ?? processLock, guard: createGuard('The lock', { timeout: settings.storeTimeout, clock }), leaseMs: timeout + leaseMargin });
  const shared = { server, serverName, clock, events, timeout, retry, budget, exclusive, report: stores.report };
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
  return Object.freeze<TokenManager>({
    clientCredentials(request = {}) {
      const canonical = canonicalTokenRequest('clientCredentials', request);
      const key = cacheKey({ server: serverName, clientId, clientAuthentication: authenticationIdentity(settings), grant: 'client_credentials', request: canonical });
      const grant = clientCredentialsGrant(canonical, { ...shared, assumedLifetime: settings.assumedLifetime.machine, isClosed: () => closed });
      return cache.source({
        key,
        find: async () => stores.machineTokens.get(key),
        // Without a store and a lock of many processes there is nobody to share with.
        grant: sharedGrant(key, grant, { ...shared, store: stores.machineTokens, exclusive: settings.store === undefined || settings.lock === undefined ? undefined : exclusive }),
      });
    },
    startLogin: async (options) => waitFor(startLogin(options, login)),
    completeLogin: async (callback, transaction) => underWay.add(completeLogin(callback, transaction, login)),
    session: (id) => sessions.session(id),
    on: (event, listener) => events.on(event, listener),
    async close() {
      closed = true;
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
