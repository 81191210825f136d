import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';
import type { ClientMetadata, Configuration, JWKS, Provider } from 'oidc-provider';
import { listenOnLoopback } from './loopback-server.js';
import { MapAdapter, type Entries } from './map-adapter.js';
import { OidcInteractions } from './oidc-interactions.js';
import { mutualTls } from './tls-mutual.js';

/** Its own certificate and key, in PEM. */
export interface OidcProviderTls {
  cert: string;
  key: string;
  /** Who signs the client certificates of `tls_client_auth`, in PEM. */
  ca: string;
  /** Whether the issuer's own port asks for client certificates, rather than another one that the metadata name in `mtls_endpoint_aliases`. @default false */
  requestCert?: boolean;
}

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
  /** https, and client certificates (RFC 8705). @default http */
  tls?: OidcProviderTls;
  /** Anything else that oidc-provider can be told; `features` are merged one by one. */
  configuration?: Configuration;
}

/** A real authorization server, on loopback. */
export class OidcProvider {
  readonly issuer: string;
  /** For its events, e.g. `provider.on('grant.success', ...)`, and its models. */
  readonly provider: Provider;
  /** The user. */
  readonly interactions: OidcInteractions;
  readonly #servers: readonly Server[];

  constructor(servers: readonly Server[], issuer: string, provider: Provider) {
    this.issuer = issuer;
    this.provider = provider;
    this.interactions = new OidcInteractions(provider);
    this.#servers = servers;
    const handle = provider.callback();
    for (const server of servers) {
      server.on('request', (message, response) => {
        const answered = message.url?.startsWith(OidcInteractions.path) === true ? this.interactions.answer(message, response) : handle(message, response);
        answered.catch(() => { response.destroy(); });
      });
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.filter(({ listening }) => listening).map(async (server) => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

export async function startOidcProvider(options: OidcProviderOptions): Promise<OidcProvider> {
  const { tls } = options;
  const asking = tls && { ...tls, requestCert: true, rejectUnauthorized: false };
  const [ProviderClass, jwks, server, alias] = await Promise.all([
    loadProvider(),
    generateJwks(),
    listenOnLoopback(0, tls?.requestCert === true ? asking : tls),
    asking !== undefined && tls?.requestCert !== true ? listenOnLoopback(0, asking) : undefined,
  ]);
  const issuer = originOf(server, tls);
  const configuration = configurationFor(options, jwks, alias && originOf(alias, tls));
  return new OidcProvider(alias === undefined ? [server] : [server, alias], issuer, new ProviderClass(issuer, configuration));
}

function originOf(server: Server, tls: OidcProviderTls | undefined): string {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('listening, but on no port');
  return `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${address.port}`;
}

function configurationFor(options: OidcProviderOptions, jwks: JWKS, alias: string | undefined): Configuration {
  const { clients, accessTokenTtl = 3600, jwt = true, defaultResource = 'https://api.example.com', scope = 'read write' } = options;
  const entries: Entries = new Map();
  const resourceServer = { scope, accessTokenTTL: accessTokenTtl, ...jwt && { accessTokenFormat: 'jwt' as const, jwt: { sign: { alg: 'RS256' as const } } } };
  return {
    adapter: (model) => new MapAdapter(model, entries),
    jwks,
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    ttl: { AccessToken: accessTokenTtl, ClientCredentials: accessTokenTtl, IdToken: HOUR, RefreshToken: DAY, Grant: DAY, Session: DAY, Interaction: HOUR, DeviceCode: TEN_MINUTES, BackchannelAuthenticationRequest: (ctx) => Number(ctx.oidc.params?.['requested_expiry'] ?? TEN_MINUTES) },
    // Every use of a refresh token replaces it, and a second use ends the grant (RFC 9700 section 4.14.2).
    rotateRefreshToken: true,
    findAccount: (_ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    interactions: { url: (_ctx, { uid }) => `${OidcInteractions.path}${uid}` },
    scopes: ['openid', 'offline_access', ...scope.split(' ')],
    clients: clients.map((client) => ({ ...client.grant_types ? {} : MACHINE, ...client })),
    ...options.tls && { clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'none', 'tls_client_auth', 'self_signed_tls_client_auth'] },
    ...alias !== undefined && { discovery: { mtls_endpoint_aliases: aliasesAt(alias) } },
    ...options.configuration,
    features: {
      ...options.tls && { mTLS: mutualTls },
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

/** RFC 8705 section 5, of the endpoints that clients authenticate at. */
function aliasesAt(origin: string): Record<string, string> {
  return { token_endpoint: `${origin}/token`, revocation_endpoint: `${origin}/token/revocation`, introspection_endpoint: `${origin}/token/introspection`, pushed_authorization_request_endpoint: `${origin}/request` };
}

const TEN_MINUTES = 600;
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
