import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';
import type { ClientMetadata, Configuration, JWKS, Provider } from 'oidc-provider';
import { listenOnLoopback } from './loopback-server.js';
import { MapAdapter, type Entries } from './map-adapter.js';
import { OidcInteractions } from './oidc-interactions.js';

export interface OidcProviderOptions {
  /** RFC 7591 names; a client that names no grant types is a machine: client credentials only. */
  clients: ClientMetadata[];
  /** Seconds. @default 3600 */
  accessTokenTtl?: number;
  /** Whether access tokens for an API are JWTs (RFC 9068) rather than opaque. @default true */
  jwt?: boolean;
  /** The API that a token is for if the request names no `resource`. @default 'https://api.example.com' */
  defaultResource?: string;
  /** What the APIs know. @default 'read write' */
  scope?: string;
  /** Anything else that oidc-provider can be told; `features` are merged one by one. */
  configuration?: Configuration;
}

/** A real authorization server, on http and loopback. */
export class OidcProvider {
  readonly issuer: string;
  /** For its events, e.g. `provider.on('grant.success', ...)`, and its models. */
  readonly provider: Provider;
  /** The user. */
  readonly interactions: OidcInteractions;
  readonly #server: Server;

  constructor(server: Server, issuer: string, provider: Provider) {
    this.issuer = issuer;
    this.provider = provider;
    this.interactions = new OidcInteractions(provider);
    this.#server = server;
    const handle = provider.callback();
    server.on('request', (message, response) => {
      const answered = message.url?.startsWith(OidcInteractions.path) === true ? this.interactions.answer(message, response) : handle(message, response);
      answered.catch(() => { response.destroy(); });
    });
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

export async function startOidcProvider(options: OidcProviderOptions): Promise<OidcProvider> {
  const [ProviderClass, jwks, server] = await Promise.all([loadProvider(), generateJwks(), listenOnLoopback()]);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('listening, but on no port');
  const issuer = `http://127.0.0.1:${address.port}`;
  return new OidcProvider(server, issuer, new ProviderClass(issuer, configurationFor(options, jwks)));
}

function configurationFor(options: OidcProviderOptions, jwks: JWKS): Configuration {
  const { clients, accessTokenTtl = 3600, jwt = true, defaultResource = 'https://api.example.com', scope = 'read write' } = options;
  const entries: Entries = new Map();
  const resourceServer = { scope, accessTokenTTL: accessTokenTtl, ...jwt && { accessTokenFormat: 'jwt' as const, jwt: { sign: { alg: 'RS256' as const } } } };
  return {
    adapter: (model) => new MapAdapter(model, entries),
    jwks,
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    ttl: { AccessToken: accessTokenTtl, ClientCredentials: accessTokenTtl, IdToken: HOUR, RefreshToken: DAY, Grant: DAY, Session: DAY, Interaction: HOUR },
    // Every use of a refresh token replaces it, and a second use ends the grant (RFC 9700 section 4.14.2).
    rotateRefreshToken: true,
    findAccount: (_ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    interactions: { url: (_ctx, { uid }) => `${OidcInteractions.path}${uid}` },
    scopes: ['openid', 'offline_access', ...scope.split(' ')],
    clients: clients.map((client) => ({ ...client.grant_types ? {} : MACHINE, ...client })),
    ...options.configuration,
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => { ctx.body = form; },
        postLogoutSuccessSource: (ctx) => { ctx.body = 'signed out'; },
      },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      resourceIndicators: {
        enabled: true,
        // Of several that were granted, the first.
        defaultResource: (_ctx, _client, oneOf) => oneOf?.[0] ?? defaultResource,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, resource) => ({ ...resourceServer, audience: resource }),
      },
      ...options.configuration?.features,
    } as NonNullable<Configuration['features']>,
  };
}

const HOUR = 3_600;
const DAY = 24 * HOUR;

const MACHINE: Omit<ClientMetadata, 'client_id'> = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };

async function generateJwks(): Promise<JWKS> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  return { keys: [{ ...await exportJWK(privateKey), alg: 'RS256', use: 'sig', kid: 'test' }] };
}

/** The package warns while it is loaded on Node 20, although everything that is used here works there. */
async function loadProvider(): Promise<typeof Provider> {
  const output: { warn: (...values: unknown[]) => void } = globalThis.console;
  const { warn } = output;
  output.warn = (...values) => {
    if (!String(values[0]).includes('Unsupported runtime')) warn(...values);
  };
  try {
    return (await import('oidc-provider')).Provider;
  } finally {
    output.warn = warn;
  }
}
