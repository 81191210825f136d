import { allowInsecureRequests as allowInsecure, clientCredentialsGrant, Configuration, customFetch, type ServerMetadata } from 'openid-client';
import type { Clock, Moment } from '../clock.js';
import { className, OAuthError } from '../errors.js';
import type { TransportOptions } from '../transport/transport.js';
import type { CanonicalTokenRequest } from '../tokens/token-request.js';
import type { AuthorizationServer, TokenResponse } from './authorization-server.js';
import type { AuthenticationChoice } from './client-authentication/choose.js';
import type { ClientAuthentication, PresentedProof, UnauthenticatedRequest } from './client-authentication/client-authentication.js';
import type { AuthorizationServerMetadata } from './metadata.js';
import { createRedactor } from './redaction.js';
import { readMembers, type TokenAnswer } from './token-answer.js';
import { exchangeWithTokenEndpoint } from './token-endpoint.js';
import { isErrorAnswer, tokenError } from './token-error.js';
import { judgeToken } from './token-judgement.js';

export interface AuthorizationServerOptions {
  readonly clientId: string;
  readonly metadata: (signal: AbortSignal) => Promise<AuthorizationServerMetadata>;
  readonly authentication: AuthenticationChoice;
  readonly transport: TransportOptions;
  readonly clock: Clock;
  readonly allowInsecureRequests: boolean;
}

/**
 * The authorization server by openid-client, which builds the request and has it authenticated. What goes over the wire is ours (`customFetch`):
 * the answer is buffered, capped, read and judged here; what openid-client then validates is a conformant one.
 */
export function createAuthorizationServer(options: AuthorizationServerOptions): AuthorizationServer {
  return {
    async clientCredentials(request, signal) {
      try {
        const metadata = await options.metadata(signal);
        const authentication = options.authentication(metadata);
        return await withAnotherSecret(async () => requestToken(options, metadata, authentication, request, signal));
      } catch (thrown) {
        throw thrown instanceof OAuthError ? thrown : new OAuthError('invalid_response', 'The token endpoint gave an answer that is not valid', { cause: thrown });
      }
    },
  };
}

type Outcome = { readonly response: TokenResponse } | { readonly failure: unknown; readonly proof: PresentedProof | undefined };

/** After `invalid_client` one more attempt, if the secret is a function that now gives another one. */
async function withAnotherSecret(attempt: () => Promise<Outcome>): Promise<TokenResponse> {
  let outcome = await attempt();
  if ('failure' in outcome && isInvalidClient(outcome.failure) && await outcome.proof?.renew?.() === true) outcome = await attempt();
  if ('response' in outcome) return outcome.response;
  throw outcome.failure;
}

async function requestToken(options: AuthorizationServerOptions, metadata: AuthorizationServerMetadata, authentication: ClientAuthentication, request: CanonicalTokenRequest, signal: AbortSignal): Promise<Outcome> {
  let proof: PresentedProof | undefined;
  let response: TokenResponse | undefined;
  // openid-client awaits it, though its type doesn't say so.
  // eslint-disable-next-line @typescript-eslint/no-misused-promises
  const configuration = new Configuration(serverMetadata(metadata), options.clientId, undefined, async (_server, _client, parameters, headers) => {
    proof = await authenticated(authentication, { clientId: options.clientId, parameters, headers, signal });
  });
  // Deprecated in the sense of 'beware': our own check lets http through to loopback only.
  // eslint-disable-next-line @typescript-eslint/no-deprecated
  if (options.allowInsecureRequests) allowInsecure(configuration);
  configuration.timeout = 0;
  configuration[customFetch] = async (url, { method, headers, body }) => {
    const { answer, sentAt } = await exchangeWithTokenEndpoint(url, { method, headers, body: body as URLSearchParams, signal }, options.transport, options.clock);
    const secrets = proof?.secrets ?? [];
    if (isErrorAnswer(answer)) throw tokenError(answer, { redact: createRedactor([...secrets, ...secretParameters(request)]), authenticationMethod: authentication.method, now: options.clock.now() });
    response = tokenResponse(answer, sentAt, secrets);
    return Response.json({ access_token: response.accessToken, token_type: response.tokenType });
  };
  try {
    await clientCredentialsGrant(configuration, grantParameters(request));
    if (response !== undefined) return { response };
    throw new TypeError('no answer was read');
  } catch (thrown) {
    return { failure: unwrapped(thrown), proof };
  }
}

/** A client authentication may be the user's own: what it throws is no answer of the server. */
async function authenticated(authentication: ClientAuthentication, request: UnauthenticatedRequest): Promise<PresentedProof> {
  try {
    return await authentication.authenticate(request);
  } catch (thrown) {
    if (thrown instanceof OAuthError) throw thrown;
    throw new OAuthError('invalid_configuration', `\`clientAuthentication\`: authenticate() threw ${className(thrown)}`, { retryable: true });
  }
}

function tokenResponse(answer: TokenAnswer, sentAt: Moment, secrets: readonly string[]): TokenResponse {
  if (answer.members === undefined) {
    throw new OAuthError('invalid_response', `The token endpoint answered with HTTP ${answer.status} and a body that is neither a JSON object nor a form`, { status: answer.status });
  }
  const members = readMembers(answer.members, secrets);
  return {
    ...judgeToken(members, answer.status),
    lifetime: members.expiresIn === undefined ? undefined : members.expiresIn * 1_000,
    scope: members.scope,
    parameters: members.parameters,
    sentAt,
  };
}

/** openid-client wraps what it doesn't know: an error of ours is the cause. */
function unwrapped(thrown: unknown): unknown {
  return thrown instanceof Error && thrown.cause instanceof OAuthError ? thrown.cause : thrown;
}

/** openid-client wants an issuer even where none is looked at. */
function serverMetadata(metadata: AuthorizationServerMetadata): ServerMetadata {
  return { ...metadata, issuer: metadata.issuer ?? new URL(metadata.token_endpoint).origin } as ServerMetadata;
}

function grantParameters({ scope, resource, audience, parameters }: CanonicalTokenRequest): URLSearchParams {
  const form = new URLSearchParams(parameters);
  if (scope.length > 0) form.set('scope', scope.join(' '));
  for (const uri of resource) form.append('resource', uri);
  if (audience !== undefined) form.set('audience', audience);
  return form;
}

/** Parameters of the user's own may be secret too. */
function secretParameters({ parameters }: CanonicalTokenRequest): string[] {
  return Object.entries(parameters).filter(([name]) => /secret|passw|token|assertion|key/i.test(name)).map(([, value]) => value);
}

function isInvalidClient(failure: unknown): boolean {
  return failure instanceof OAuthError && failure.code === 'token_request_failed' && failure.error === 'invalid_client';
}
