import type { Server, ServerResponse } from 'node:http';
import type { Answer, Hold, Reply } from './answers.js';
import { deferred, type Deferred } from './deferred.js';
import { LoopbackServer } from './loopback-server.js';
import type { ReceivedRequest } from './received-request.js';
import { Script, type Scripted } from './script.js';
import { servedMetadata, type ServedMetadata } from './served-metadata.js';
import { authenticatedClient, tokenRequest, type ReceivedTokenRequest } from './token-request.js';

export interface TokenServerOptions {
  /** The path of the issuer, e.g. `/tenant/`; its trailing slash, or the lack of one, is part of the issuer. @default '' */
  issuerPath?: string;
  /** Lifetime of the tokens, in seconds. @default 3600 */
  expiresIn?: number;
  /** Secrets by client id. Without it every client is served. */
  clients?: Readonly<Record<string, string>>;
  /** What ID tokens are signed with. @default 'RS256' */
  idTokenAlg?: 'RS256' | 'ES256' | 'EdDSA';
}

/** What all grants have in common: discovery, the token endpoint, scripts for each endpoint, and the journals. */
export abstract class TokenServer extends LoopbackServer {
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
  /** Of the tokens that are issued. */
  tokenType: 'Bearer' | 'DPoP' = 'Bearer';
  /** Headers of every answer with a token. */
  tokenHeaders: Record<string, string> = {};
  protected readonly clients: Readonly<Record<string, string>> | undefined;
  /** The issuer's path without a slash at its end: every endpoint is below it. */
  protected readonly path: string;
  readonly #token = new Script<ReceivedTokenRequest>((request) => this.authenticated(request) ? this.issue(request) : invalidClient());
  readonly #endpoints = new Map<string, { script: Script<ReceivedRequest>; note?: ((request: ReceivedRequest) => void) | undefined }>();
  #bent: Record<string, unknown>[] = [];
  #arrivals: { count: number; arrival: Deferred<ReceivedTokenRequest> }[] = [];

  constructor(server: Server, { issuerPath = '', expiresIn = 3600, clients, idTokenAlg = 'RS256' }: TokenServerOptions) {
    super(server);
    this.issuer = this.origin + issuerPath;
    this.expiresIn = expiresIn;
    this.clients = clients;
    this.path = issuerPath.replace(/\/$/, '');
    this.metadata = servedMetadata(this.issuer, this.origin + this.path, idTokenAlg);
    this.openidConfiguration = this.endpoint(`${this.path}/.well-known/openid-configuration`, () => ({ json: this.metadata }));
    this.oauthMetadata = this.endpoint(`/.well-known/oauth-authorization-server${this.path}`, () => ({ json: this.metadata }));
  }

  /** The usual answer to a client that may ask. */
  protected abstract issue(request: ReceivedTokenRequest): Answer | Promise<Answer>;

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

  /** The next token that is issued comes with these members instead of its own; `undefined` leaves one out. */
  nextTokenAnswerWith(members: Record<string, unknown>): void {
    this.#bent.push(members);
  }

  hold(): Hold {
    return this.#token.hold();
  }

  /** Any further endpoint, e.g. `/revoke`; 404 until it is given an answer. */
  at(path: string): Script<ReceivedRequest> {
    return this.#endpoints.get(path)?.script ?? this.endpoint(path, { status: 404 });
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
      await this.answerTokenRequest(asked, response);
      return;
    }
    if (request.path.includes('/.well-known/')) this.discoveryRequests.push(request);
    const script = this.at(request.path);
    this.#endpoints.get(request.path)?.note?.(request);
    await script.play(request, response);
  }

  protected async answerTokenRequest(request: ReceivedTokenRequest, response: ServerResponse): Promise<void> {
    await this.#token.play(request, response);
  }

  /** `note` sees every request, whatever a script makes of it. */
  protected endpoint(path: string, usual: Scripted<ReceivedRequest>, note?: (request: ReceivedRequest) => void): Script<ReceivedRequest> {
    const script = new Script(usual);
    this.#endpoints.set(path, { script, note });
    return script;
  }

  protected authenticated(request: ReceivedTokenRequest): boolean {
    return this.clients === undefined || authenticatedClient(request, this.clients) !== undefined;
  }

  protected newAccessToken(): string {
    const token = `at-${this.issuedTokens.length + 1}`;
    this.issuedTokens.push(token);
    return token;
  }

  protected tokenAnswer(accessToken: string, members: Record<string, unknown> = {}): Reply {
    return {
      json: { access_token: accessToken, token_type: this.tokenType, expires_in: this.expiresIn, ...members, ...this.#bent.shift() },
      headers: { 'cache-control': 'no-store', ...this.tokenHeaders },
    };
  }

  #noteArrival(request: ReceivedTokenRequest): void {
    const count = this.tokenRequests.push(request);
    for (const { arrival } of this.#arrivals.filter((awaited) => awaited.count === count)) arrival.resolve(request);
    this.#arrivals = this.#arrivals.filter((awaited) => awaited.count !== count);
  }
}

export function rejection(error: string, status = 400, description?: string): Reply {
  return { status, json: { error, error_description: description }, headers: { 'cache-control': 'no-store' } };
}

/** RFC 6749 section 5.2: with a challenge. */
export function invalidClient(): Reply {
  const refused = rejection('invalid_client', 401);
  return { ...refused, headers: { ...refused.headers, 'www-authenticate': 'Basic realm="token endpoint"' } };
}
