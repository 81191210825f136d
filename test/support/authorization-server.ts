import type { Server, ServerResponse } from 'node:http';
import type { Answer, Hold, Reply } from './answers.js';
import { deferred, type Deferred } from './deferred.js';
import { listenOnLoopback, LoopbackServer } from './loopback-server.js';
import type { ReceivedRequest } from './received-request.js';
import { Script, type Scripted } from './script.js';
import { authenticatedClient, tokenRequest, type ReceivedTokenRequest } from './token-request.js';

export interface AuthorizationServerOptions {
  /** The path of the issuer, e.g. `/tenant/`; its trailing slash, or the lack of one, is part of the issuer. @default '' */
  issuerPath?: string;
  /** Lifetime of the tokens, in seconds. @default 3600 */
  expiresIn?: number;
  /** Secrets by client id. Without it every client is served. */
  clients?: Readonly<Record<string, string>>;
}

/** RFC 8414 names; whatever a test puts here is served. */
export interface ServedMetadata {
  issuer: string;
  token_endpoint: string;
  token_endpoint_auth_methods_supported?: string[] | undefined;
  [name: string]: unknown;
}

/** An authorization server that does as it is told, and remembers what it was asked. */
export class AuthorizationServer extends LoopbackServer {
  readonly issuer: string;
  readonly metadata: ServedMetadata;
  readonly tokenRequests: ReceivedTokenRequest[] = [];
  readonly discoveryRequests: ReceivedRequest[] = [];
  /** Every access token that was issued, whether or not its answer arrived. */
  readonly issuedTokens: string[] = [];
  /** OpenID Connect Discovery 1.0 section 4: below the issuer. */
  readonly openidConfiguration: Script<ReceivedRequest>;
  /** RFC 8414 section 3.1: between the host and the issuer's path. */
  readonly oauthMetadata: Script<ReceivedRequest>;
  expiresIn: number;
  readonly #clients: Readonly<Record<string, string>> | undefined;
  readonly #token = new Script<ReceivedTokenRequest>((request) => this.#issueToken(request));
  readonly #endpoints = new Map<string, Script<ReceivedRequest>>();
  #arrivals: { count: number; arrival: Deferred<ReceivedTokenRequest> }[] = [];

  constructor(server: Server, { issuerPath = '', expiresIn = 3600, clients }: AuthorizationServerOptions) {
    super(server);
    this.issuer = this.origin + issuerPath;
    this.expiresIn = expiresIn;
    this.#clients = clients;
    const path = issuerPath.replace(/\/$/, '');
    this.metadata = {
      issuer: this.issuer,
      authorization_endpoint: `${this.origin}${path}/authorize`,
      token_endpoint: `${this.origin}${path}/token`,
      jwks_uri: `${this.origin}${path}/jwks`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
      grant_types_supported: ['client_credentials', 'authorization_code', 'refresh_token'],
      code_challenge_methods_supported: ['S256'],
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    };
    this.openidConfiguration = this.#endpoint(`${path}/.well-known/openid-configuration`, () => ({ json: this.metadata }));
    this.oauthMetadata = this.#endpoint(`/.well-known/oauth-authorization-server${path}`, () => ({ json: this.metadata }));
    this.#endpoint(`${path}/jwks`, { json: { keys: [] } });
  }

  /** Read from the metadata, so that a test may move it, odd slashes and all. */
  get tokenEndpoint(): string {
    return this.metadata.token_endpoint;
  }

  get lastTokenRequest(): ReceivedTokenRequest {
    const last = this.tokenRequests.at(-1);
    if (!last) throw new Error('the token endpoint was not asked');
    return last;
  }

  answersNext(...answers: Scripted<ReceivedTokenRequest>[]): void {
    this.#token.answersNext(...answers);
  }

  rejectsNextWith(error: string, status = 400, description?: string): void {
    this.answersNext(rejection(error, status, description));
  }

  answersEvery(answer: Scripted<ReceivedTokenRequest>): void {
    this.#token.answersEvery(answer);
  }

  answersAsUsual(): void {
    this.#token.answersAsUsual();
  }

  hold(): Hold {
    return this.#token.hold();
  }

  /** Any further endpoint, e.g. `/revoke`; 404 until it is given an answer. */
  at(path: string): Script<ReceivedRequest> {
    return this.#endpoints.get(path) ?? this.#endpoint(path, { status: 404 });
  }

  /** Resolves with the n-th token request, counted from the start of the journal, once it has come in. */
  async tokenRequestArrives(count = 1): Promise<ReceivedTokenRequest> {
    const already = this.tokenRequests[count - 1];
    if (already) return already;
    const arrival = deferred<ReceivedTokenRequest>();
    this.#arrivals.push({ count, arrival });
    return arrival.promise;
  }

  protected override async answer(request: ReceivedRequest, response: ServerResponse): Promise<void> {
    if (request.path === new URL(this.tokenEndpoint).pathname) {
      const asked = tokenRequest(request);
      this.#noteArrival(asked);
      await this.#token.play(asked, response);
      return;
    }
    if (request.path.includes('/.well-known/')) this.discoveryRequests.push(request);
    await this.at(request.path).play(request, response);
  }

  #endpoint(path: string, usual: Scripted<ReceivedRequest>): Script<ReceivedRequest> {
    const script = new Script(usual);
    this.#endpoints.set(path, script);
    return script;
  }

  #noteArrival(request: ReceivedTokenRequest): void {
    const count = this.tokenRequests.push(request);
    for (const { arrival } of this.#arrivals.filter((awaited) => awaited.count === count)) arrival.resolve(request);
    this.#arrivals = this.#arrivals.filter((awaited) => awaited.count !== count);
  }

  #issueToken(request: ReceivedTokenRequest): Answer {
    if (this.#clients && authenticatedClient(request, this.#clients) === undefined) {
      const refused = rejection('invalid_client', 401);
      return { ...refused, headers: { ...refused.headers, 'www-authenticate': 'Basic realm="token endpoint"' } };
    }
    const accessToken = `at-${this.issuedTokens.length + 1}`;
    this.issuedTokens.push(accessToken);
    return {
      json: { access_token: accessToken, token_type: 'Bearer', expires_in: this.expiresIn },
      headers: { 'cache-control': 'no-store' },
    };
  }
}

function rejection(error: string, status: number, description?: string): Reply {
  return { status, json: { error, error_description: description }, headers: { 'cache-control': 'no-store' } };
}

export async function startAuthorizationServer(options: AuthorizationServerOptions = {}): Promise<AuthorizationServer> {
  return new AuthorizationServer(await listenOnLoopback(), options);
}
