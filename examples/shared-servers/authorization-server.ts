import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import type { ClientMetadata, Configuration, Provider } from 'oidc-provider';
import { findAccount } from './accounts.js';
import { devicePages } from './device-pages.js';
import { handleInteraction } from './interactions.js';
import { loadProvider } from './load-provider.js';
import { memoryAdapter } from './memory-adapter.js';
import { showError, showLogout, showLoggedOut } from './provider-pages.js';

export interface AuthorizationServerOptions {
  clientId: string;
  /** @default none: the client is a device without a browser (RFC 8628), and public */
  clientSecret?: string;
  /** Where the browser may be sent after a login. @default none */
  redirectUris?: string[];
  /** Where the browser may be sent after a logout. @default none */
  postLogoutRedirectUris?: string[];
  /** What users call the client. @default the client's id */
  clientName?: string;
  /** The one API that access tokens are for: JWTs (RFC 9068), checked by the keys at `/jwks`. */
  audience: string;
  /** What the API knows of: space-separated. */
  scope: string;
  /** Seconds. */
  accessTokenTtl: number;
  /** For how many milliseconds a replaced refresh token is still taken. After that, whoever uses it has the whole grant revoked. @default 0 */
  refreshGrace?: number;
  /** 0 takes a free port. @default 0 */
  port?: number;
  /** Private; without one, each start has a key of its own. */
  signingKey?: JWK;
  /** Runs before each request is answered, or answers it itself. */
  onRequest?: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;
}

export interface AuthorizationServer {
  readonly issuer: string;
  /** Seconds; of the access tokens from here on. */
  accessTokenTtl: number;
  /** oidc-provider itself: its events, e.g. `grant.success` and `grant.error`, and its models. */
  readonly provider: Provider;
  close(): Promise<void>;
}

/**
 * A real authorization server on http and loopback, with a page to sign in (any name will do), one to allow or deny, and one to sign out. Every refresh replaces
 * the refresh token, and one that comes a second time ends the grant.
 *
 * To be given an `offline_access` that counts, a login must ask for `prompt=consent` (OpenID Connect Core section 11).
 */
export async function startAuthorizationServer(options: AuthorizationServerOptions): Promise<AuthorizationServer> {
  const [ProviderClass, signingKey] = await Promise.all([loadProvider(), options.signingKey ?? newSigningKey()]);
  const server = createServer();
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const lifetime = { accessTokenTtl: options.accessTokenTtl };
  const provider = new ProviderClass(issuer, configuration(options, signingKey, lifetime));
  const handle = provider.callback();
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    await options.onRequest?.(request, response);
    if (response.writableEnded || await handleInteraction(provider, request, response)) return;
    await handle(request, response);
  };
  server.on('request', (request, response) => {
    answer(request, response).catch(() => { response.destroy(); });
  });
  return Object.assign(lifetime, {
    issuer,
    provider,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  });
}

function configuration(options: AuthorizationServerOptions, signingKey: JWK, lifetime: Pick<AuthorizationServer, 'accessTokenTtl'>): Configuration {
  const { audience, scope, refreshGrace = 0 } = options;
  const ttl = (): number => lifetime.accessTokenTtl;
  return {
    clients: [client(options)],
    scopes: ['openid', 'offline_access', ...scope.split(' ')],
    claims: { openid: ['sub'], profile: ['name'] },
    // The name goes into the ID token rather than to the userinfo endpoint only.
    conformIdTokenClaims: false,
    findAccount,
    adapter: memoryAdapter(refreshGrace),
    jwks: { keys: [signingKey] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    ttl: { Interaction: 600, DeviceCode: 600, Session: 24 * 60 * 60, Grant: 24 * 60 * 60, IdToken: 60 * 60, RefreshToken: 24 * 60 * 60, AccessToken: ttl, ClientCredentials: ttl },
    rotateRefreshToken: true,
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    renderError: showError,
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      deviceFlow: { enabled: true, ...devicePages },
      revocation: { enabled: true, allowedPolicy: (_context, { clientId }, token) => token.clientId === clientId },
      rpInitiatedLogout: { enabled: true, logoutSource: showLogout, postLogoutSuccessSource: showLoggedOut },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({ audience, scope, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }),
      },
    },
  };
}

function client({ clientId, clientSecret, clientName, redirectUris = [], postLogoutRedirectUris = [], scope }: AuthorizationServerOptions): ClientMetadata {
  const common = { client_id: clientId, client_name: clientName ?? clientId, redirect_uris: redirectUris, scope: `openid profile offline_access ${scope}`, id_token_signed_response_alg: 'ES256' } as const;
  if (clientSecret === undefined) return { ...common, token_endpoint_auth_method: 'none', response_types: [], grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'] };
  return {
    ...common,
    client_secret: clientSecret,
    post_logout_redirect_uris: postLogoutRedirectUris,
    response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
  };
}

async function newSigningKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  return { ...await exportJWK(privateKey), alg: 'ES256', use: 'sig', kid: 'example' };
}
