import type { Server, ServerResponse } from 'node:http';
import type { Answer } from './answers.js';
import { authorize, type Denial } from './authorization-endpoint.js';
import { IdTokens, type IdTokenSignature } from './id-tokens.js';
import { LoginGrants, Refusal, type LoginGrant, type RotationPolicy } from './login-grants.js';
import { listenOnLoopback } from './loopback-server.js';
import type { ReceivedRequest } from './received-request.js';
import { namedClient, parametersOf, tokenRequest, type ReceivedTokenRequest } from './token-request.js';
import { invalidClient, rejection, TokenServer, type TokenServerOptions } from './token-server.js';

export type { TokenServerOptions as AuthorizationServerOptions } from './token-server.js';

/** What came of one request with a code or a refresh token, whether or not its answer arrived. */
export interface IssuedTokens {
  readonly accessToken: string;
  readonly refreshToken?: string | undefined;
  readonly grantId: string;
  readonly scope: string;
  readonly resource: readonly string[];
}

interface Issuance {
  readonly request: ReceivedTokenRequest;
  readonly refreshToken: string | undefined;
  /** If there is to be one, and the scope has `openid`. A refresh repeats no nonce (OpenID Connect Core section 12.2). */
  readonly idToken: { readonly nonce?: string | undefined } | undefined;
}

/** An authorization server that does as it is told, and remembers what it was asked. Its user is signed in and consents to everything. */
export class AuthorizationServer extends TokenServer implements RotationPolicy {
  readonly authorizationRequests: URLSearchParams[] = [];
  readonly jwksRequests: ReceivedRequest[] = [];
  /** RFC 7009. */
  readonly revocations: { token: string | null; hint: string | null }[] = [];
  /** OpenID Connect RP-Initiated Logout 1.0. */
  readonly logoutRequests: URLSearchParams[] = [];
  readonly issued: IssuedTokens[] = [];
  rotation: 'rotate' | 'keep' = 'rotate';
  graceMs = 0;
  /** Time for ID tokens and for the grace period. */
  clock: { now(): number } = Date;
  /** Who signs in from now on. */
  subject = 'user-1';
  /** Whether a refresh token comes without `offline_access` too. */
  alwaysRefreshToken = false;
  /** Whether a refresh of a grant with `openid` brings an ID token. */
  idTokenOnRefresh = true;
  readonly #grants = new LoginGrants(this);
  readonly #idTokens: IdTokens;
  #denials: Denial[] = [];

  constructor(server: Server, options: TokenServerOptions) {
    super(server, options);
    this.#idTokens = new IdTokens(options.idTokenAlg ?? 'RS256');
    this.endpoint(`${this.path}/authorize`, (request) => this.#authorize(parametersIn(request)), (request) => this.authorizationRequests.push(parametersIn(request)));
    this.endpoint(`${this.path}/jwks`, async () => ({ json: await this.#idTokens.jwks() }), (request) => this.jwksRequests.push(request));
    this.endpoint(`${this.path}/revoke`, (request) => this.#revoke(tokenRequest(request)), (request) => {
      const parameters = parametersIn(request);
      this.revocations.push({ token: parameters.get('token'), hint: parameters.get('token_type_hint') });
    });
    this.endpoint(`${this.path}/logout`, { body: 'signed out' }, (request) => this.logoutRequests.push(parametersIn(request)));
  }

  /** In the order of their logins, the ended ones too. */
  get grants(): readonly LoginGrant[] {
    return this.#grants.all;
  }

  /** How often a refresh token came back after its time, and killed its grant. */
  get reuses(): number {
    return this.#grants.reuses;
  }

  /** The most refreshes of one grant that were being answered at the same time. */
  get mostRefreshesAtOnce(): number {
    return this.#grants.mostRefreshesAtOnce;
  }

  deniesNextLoginWith(error: string, description?: string): void {
    this.#denials.push({ error, description });
  }

  /** An administrator ends the grant: from now on its refresh tokens are `invalid_grant`. */
  killGrant(id: string): void {
    this.#grants.kill(id);
  }

  killAllGrants(): void {
    for (const { id } of this.grants) this.killGrant(id);
  }

  /** The next ID token has these claims and header members instead of its own; `undefined` leaves one out. */
  nextIdTokenWith(claims: Record<string, unknown>, header: Record<string, unknown> = {}): void {
    this.#idTokens.bendNext(claims, header);
  }

  /** Bytes sign by HS256, another key by the server's own algorithm unless another is named. */
  signsNextIdTokenWith(signature: IdTokenSignature, alg?: string): void {
    this.#idTokens.signNextWith(signature, alg);
  }

  /** From now on there's another key with another `kid`, and the old one is no longer served. */
  rotateSigningKey(): void {
    this.#idTokens.rotate();
  }

  protected override async answerTokenRequest(request: ReceivedTokenRequest, response: ServerResponse): Promise<void> {
    const answered = this.#grants.watch(request.parameters.get('refresh_token') ?? '');
    try {
      await super.answerTokenRequest(request, response);
      if (!response.writableEnded) await request.outcome;
    } finally {
      answered();
    }
  }

  protected override async issue(request: ReceivedTokenRequest): Promise<Answer> {
    try {
      const grantType = request.parameters.get('grant_type');
      if (grantType === 'authorization_code') return await this.#redeem(request);
      if (grantType === 'refresh_token') return await this.#refresh(request);
    } catch (refusal) {
      if (refusal instanceof Refusal) return rejection(refusal.error, 400, refusal.message);
      throw refusal;
    }
    return this.tokenAnswer(this.newAccessToken());
  }

  #authorize(parameters: URLSearchParams): Answer {
    return authorize(parameters, {
      isKnown: (clientId) => clientId !== '' && (!this.clients || Object.hasOwn(this.clients, clientId)),
      iss: this.metadata.authorization_response_iss_parameter_supported ? this.metadata.issuer : undefined,
      denial: this.#denials.shift(),
      subject: this.subject,
      now: () => this.clock.now(),
      begin: (consent) => this.#grants.begin(consent),
    });
  }

  async #redeem(request: ReceivedTokenRequest): Promise<Answer> {
    const { parameters } = request;
    const grant = this.#grants.redeem(parameters.get('code') ?? '', namedClient(request), parameters.get('redirect_uri'), parameters.get('code_verifier'));
    const wantsRefreshToken = this.alwaysRefreshToken || hasScope(grant, 'offline_access');
    const refreshToken = wantsRefreshToken ? this.#grants.newRefreshToken(grant.id) : undefined;
    return this.#tokensOf(grant, { request, refreshToken, idToken: { nonce: grant.nonce } });
  }

  async #refresh(request: ReceivedTokenRequest): Promise<Answer> {
    const { parameters } = request;
    const { grant, refreshToken } = this.#grants.refresh(parameters.get('refresh_token') ?? '', namedClient(request), parameters.get('scope'));
    return this.#tokensOf(grant, { request, refreshToken, idToken: this.idTokenOnRefresh ? {} : undefined });
  }

  async #tokensOf(grant: LoginGrant, { request: { parameters }, refreshToken, idToken }: Issuance): Promise<Answer> {
    const accessToken = this.newAccessToken();
    const scope = parameters.get('scope') ?? grant.scope;
    const resource = parameters.has('resource') ? parameters.getAll('resource') : grant.resource;
    this.issued.push({ accessToken, refreshToken, grantId: grant.id, scope, resource });
    return this.tokenAnswer(accessToken, {
      scope: scope === '' ? undefined : scope,
      refresh_token: refreshToken,
      id_token: idToken && hasScope(grant, 'openid') ? await this.#idTokens.sign(this.#claims(grant, idToken.nonce)) : undefined,
    });
  }

  #claims({ clientId, subject, authTime }: LoginGrant, nonce: string | undefined): Record<string, unknown> {
    const iat = Math.floor(this.clock.now() / 1000);
    return { iss: this.metadata.issuer, sub: subject, aud: clientId, iat, exp: iat + 3600, nonce, auth_time: authTime };
  }

  #revoke(request: ReceivedTokenRequest): Answer {
    if (!this.authenticated(request)) return invalidClient();
    const grant = this.#grants.of(request.parameters.get('token') ?? '');
    if (grant) this.killGrant(grant.id);
    return {};
  }
}

function parametersIn(request: ReceivedRequest): URLSearchParams {
  return parametersOf(request, request.body.toString());
}

function hasScope({ scope }: LoginGrant, value: string): boolean {
  return scope.split(' ').includes(value);
}

export async function startAuthorizationServer(options: TokenServerOptions = {}): Promise<AuthorizationServer> {
  return new AuthorizationServer(await listenOnLoopback(), options);
}
