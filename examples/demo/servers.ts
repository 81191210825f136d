import { randomBytes } from 'node:crypto';
import { exportJWK, generateKeyPair } from 'jose';
import type { ApiFigures, AuthorizationServerConfig, ReportOf } from './protocol.js';
import { ServerProcess } from './server-process.js';

export const TOKEN_LIFETIME_MS = 5_000;
export const TOKEN_ENDPOINT_DELAY_MS = 200;
/** How long the authorization server takes a refresh token that it has replaced. */
export const REFRESH_GRACE_MS = 3_000;

interface Parts {
  config: AuthorizationServerConfig;
  issuer: string;
  apiUrl: string;
  authorizationServer: ServerProcess;
  api: ServerProcess;
  fail: (error: unknown) => void;
}

async function newConfig(): Promise<AuthorizationServerConfig> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  return {
    port: 0,
    signingKey: { ...(await exportJWK(privateKey)), alg: 'ES256', use: 'sig', kid: 'demo' },
    clientId: 'billing',
    clientSecret: randomBytes(32).toString('base64url'),
    scope: 'orders:read',
    audience: 'https://api.example.com',
    redirectUris: ['https://billing.example.com/callback'],
    tokenLifetimeSeconds: TOKEN_LIFETIME_MS / 1_000,
    tokenEndpointDelayMs: TOKEN_ENDPOINT_DELAY_MS,
    refreshGrace: REFRESH_GRACE_MS,
  };
}

/** The two servers, each in its own process, and what the authorization server reports of its requests. */
export class Servers {
  readonly config: AuthorizationServerConfig;
  readonly issuer: string;
  readonly apiUrl: string;
  discoveryRequests = 0;
  tokenRequests = 0;
  refreshTokensReplaced = 0;
  onRequest: (request: ReportOf<'request-received'>) => void = () => undefined;
  onAnswer: (request: ReportOf<'request-answered'>) => void = () => undefined;
  onLostAnswer: () => void = () => undefined;
  #authorizationServer: ServerProcess;
  readonly #api: ServerProcess;
  /** Loaded ahead: on a slow machine the outage would otherwise last for as long as a process takes to load. */
  readonly #replacement: Promise<ServerProcess> = ServerProcess.load('authorization-server');
  readonly #fail: (error: unknown) => void;

  private constructor(parts: Parts) {
    this.config = { ...parts.config, port: Number(new URL(parts.issuer).port) };
    this.issuer = parts.issuer;
    this.apiUrl = parts.apiUrl;
    this.#authorizationServer = parts.authorizationServer;
    this.#api = parts.api;
    this.#fail = parts.fail;
    this.#watch(parts.authorizationServer);
    parts.api.failed.catch(parts.fail);
  }

  /** `fail` is told of a server that ends by itself. */
  static async start(fail: (error: unknown) => void): Promise<Servers> {
    const [config, authorizationServer, api] = await Promise.all([
      newConfig(),
      ServerProcess.load('authorization-server'),
      ServerProcess.load('api'),
    ]);
    const issuer = await authorizationServer.start(config);
    const apiUrl = await api.start({ issuer, audience: config.audience, scope: config.scope });
    return new Servers({ config, issuer, apiUrl, authorizationServer, api, fail });
  }

  async apiFigures(): Promise<ApiFigures> {
    return (await this.#api.ask({ type: 'figures' }, 'figures')).figures;
  }

  /** What the API's operator does: the token that was used last is refused from now on. */
  async revokeCurrentToken(): Promise<void> {
    await this.#api.ask({ type: 'revoke-current-token' }, 'revoked');
  }

  /** The next answer of the token endpoint won't arrive, though everything that it tells of has been done. */
  async loseNextAnswer(): Promise<void> {
    await this.#authorizationServer.ask({ type: 'lose-next-answer' }, 'loses-next-answer');
  }

  /** What the authorization server's administrator does: the user's grant is over. */
  async endGrant(): Promise<void> {
    await this.#authorizationServer.ask({ type: 'end-grant' }, 'grant-ended');
  }

  async killAuthorizationServer(): Promise<void> {
    await this.#authorizationServer.kill();
  }

  /** On the same port, with the same key: to its clients it's the same server. */
  async startReplacement(): Promise<void> {
    const replacement = await this.#replacement;
    this.#authorizationServer = replacement;
    this.#watch(replacement);
    await replacement.start(this.config);
  }

  async stop(): Promise<void> {
    await Promise.all([this.#authorizationServer.kill(), this.#api.kill(), this.#replacement.then((server) => server.kill())]);
  }

  #watch(authorizationServer: ServerProcess): void {
    authorizationServer.failed.catch(this.#fail);
    authorizationServer.onReport((report) => {
      if (report.type === 'request-received') this.#received(report);
      if (report.type === 'request-answered') this.onAnswer(report);
      if (report.type === 'answer-lost') this.onLostAnswer();
      if (report.type === 'refresh-token-replaced') this.refreshTokensReplaced += 1;
    });
  }

  #received(request: ReportOf<'request-received'>): void {
    if (request.path === '/.well-known/openid-configuration') this.discoveryRequests += 1;
    if (request.path === '/token') this.tokenRequests += 1;
    this.onRequest(request);
  }
}
