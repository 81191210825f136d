import { guardedStore } from './cache/guarded-store.js';
import { machineTokenStore, noStore } from './cache/machine-token-store.js';
import { createSealer, unsealed } from './cache/sealing.js';
import { createTokenCache } from './cache/token-cache.js';
import type { TokenStore } from './cache/token-store.js';
import { OAuthError } from './errors.js';
import { createEvents, type Events, type TokenEvents, type TokenListener } from './events.js';
import { canonicalTokenRequest } from './grants/canonical-token-request.js';
import { clientCredentialsGrant } from './grants/client-credentials.js';
import { createRetryBudget } from './retry/retry-budget.js';
import { authenticationIdentity, chooseAuthentication } from './server/client-authentication/choose.js';
import { createDiscovery, issuerIdentifiers } from './server/discovery.js';
import type { AuthorizationServerMetadata } from './server/metadata.js';
import { createAuthorizationServer } from './server/openid-client.js';
import { cacheKey } from './tokens/cache-key.js';
import type { TokenRequest } from './tokens/token-request.js';
import type { TokenSource } from './tokens/token-source.js';
import { tokenManagerSettings, type TokenManagerOptions, type TokenManagerSettings } from './token-manager-options.js';

/** Gets access tokens for one client of one authorization server, and keeps them fresh. */
export interface TokenManager {
  /**
   * Machine tokens: the client credentials grant (RFC 6749 section 4.4). Same request, same source: cached, coalesced, refreshed ahead of expiry.
   * Nothing is sent before the source's first `getToken`.
   * @throws OAuthError `invalid_configuration`
   */
  clientCredentials(request?: TokenRequest): TokenSource;
  /**
   * Listens to what happens to the tokens.
   * @returns a function that stops listening
   * @throws OAuthError `invalid_configuration`
   */
  on<E extends keyof TokenEvents>(event: E, listener: TokenListener<E>): () => void;
  /**
   * Sends no further token request and waits for those already sent, at most the option `timeout`. Tokens that are still good
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
  const { authority, clientId, clock, timeout, retry, allowInsecureRequests, dispatcher } = settings;
  const events = createEvents();
  const transport = { dispatcher, detached: true };
  let closed = false;
  const discovered = 'server' in authority
    ? async () => Promise.resolve(authority.server)
    : createDiscovery({ issuer: authority.issuer, transport, timeout, clock, allowInsecureRequests });
  const refuseIfClosed = (): void => {
    if (closed) throw new OAuthError('invalid_configuration', 'The token manager is closed: it sends no further token request');
  };
  // Every request begins here, so this is where none does any more.
  const metadata = async (signal: AbortSignal): Promise<AuthorizationServerMetadata> => {
    refuseIfClosed();
    const found = await discovered(signal);
    refuseIfClosed();
    return found;
  };
  const authorizationServer = createAuthorizationServer({ clientId, metadata, authentication: chooseAuthentication(settings), transport, clock, allowInsecureRequests });
  const budget = createRetryBudget(clock);
  const identity = {
    server: 'server' in authority ? authority.server.issuer ?? authority.server.token_endpoint : issuerIdentifiers(authority.issuer)[0],
    clientId,
    clientAuthentication: authenticationIdentity(settings),
    grant: 'client_credentials',
  };
  const cache = createTokenCache(settings.maxEntries, {
    clock,
    events,
    timeout,
    server: identity.server,
    policy: settings.refreshPolicy,
    assumedLifetime: settings.assumedLifetime,
    maxRetryAfter: retry.maxRetryAfter,
    store: tokenStore(settings, events),
  });
  return Object.freeze<TokenManager>({
    clientCredentials(request = {}) {
      const canonical = canonicalTokenRequest('clientCredentials', request);
      return cache.source({
        key: cacheKey({ ...identity, request: canonical }),
        grantType: identity.grant,
        grant: clientCredentialsGrant(canonical, { server: authorizationServer, retry, budget, isClosed: () => closed }),
        scope: canonical.scope.length === 0 ? undefined : canonical.scope.join(' '),
      });
    },
    on: (event, listener) => events.on(event, listener),
    async close() {
      closed = true;
      await cache.landed();
    },
  });
}

function tokenStore({ store, encryptionKeys: [first, ...others], storeTimeout, clock }: TokenManagerSettings, events: Events): TokenStore {
  if (store === undefined) return noStore;
  return machineTokenStore(guardedStore(store, { timeout: storeTimeout, clock }), first === undefined ? unsealed : createSealer([first, ...others]), events);
}
