import { allowInsecureRequests as allowInsecure, clientCredentialsGrant, Configuration, customFetch, type ServerMetadata } from 'openid-client';
import type { Clock, Moment } from '../clock.js';
import { orAbort } from '../deadline.js';
import { OAuthError } from '../errors.js';
import type { Transport } from '../transport.js';
import type { CanonicalTokenRequest } from '../tokens/token-request.js';
import type { AuthorizationServer, TokenResponse } from './authorization-server.js';
import type { AuthenticationChoice } from './client-authentication/choose.js';
import type { ClientAuthentication, PresentedProof } from './client-authentication/client-authentication.js';
import type { AuthorizationServerMetadata } from './metadata.js';
import { readMembers, type TokenAnswer } from './token-answer.js';
import { exchangeWithTokenEndpoint } from './token-endpoint.js';
import { isErrorAnswer, tokenError } from './token-error.js';
import { judgeToken } from './token-judgement.js';

export interface AuthorizationServerOptions {
  readonly clientId: string;
  readonly metadata: (signal: AbortSignal) => Promise<AuthorizationServerMetadata>;
  readonly authentication: AuthenticationChoice;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly allowInsecureRequests: boolean;
}

/**
 * The authorization server by openid-client: it builds the requests and validates the answers. What goes over the wire is ours
 * (`customFetch`): it buffers, caps and reads the server's own words, and hands openid-client a conformant answer.
 */
export function createAuthorizationServer(options: AuthorizationServerOptions): AuthorizationServer {
  return {
    async clientCredentials(request, signal) {
      try {
        const metadata = await orAbort(options.metadata(signal), signal);
        const authentication = options.authentication(metadata);
        return await withAnotherSecret(authentication, async () => requestToken(options, metadata, authentication, request, signal));
      } catch (thrown) {
        throw thrown instanceof OAuthError ? thrown : new OAuthError('invalid_response', 'The token endpoint gave an answer that is not valid', { cause: thrown });
      }
    },
  };
}

type Outcome = { readonly response: TokenResponse } | { readonly failure: unknown; readonly proof: PresentedProof | undefined };

/** After `invalid_client` one more attempt, if the secret is a function that now gives another one. */
async function withAnotherSecret(authentication: ClientAuthentication, attempt: () => Promise<Outcome>): Promise<TokenResponse> {
  let outcome = await attempt();
  if ('failure' in outcome && isInvalidClient(outcome.failure) && await outcome.proof?.renew?.() === true) outcome = await attempt();
  if ('response' in outcome) return outcome.response;
  throw isInvalidClient(outcome.failure) ? withHint(outcome.failure, authentication.method) : outcome.failure;
}

async function requestToken(options: AuthorizationServerOptions, metadata: AuthorizationServerMetadata, authentication: ClientAuthentication, request: CanonicalTokenRequest, signal: AbortSignal): Promise<Outcome> {
  let proof: PresentedProof | undefined;
  let response: TokenResponse | undefined;
  // openid-client awaits it, though its type doesn't say so.
  // eslint-disable-next-line @typescript-eslint/no-misused-promises
  const configuration = new Configuration(serverMetadata(metadata), options.clientId, undefined, async (_server, _client, parameters, headers) => {
    proof = await authentication.authenticate({ clientId: options.clientId, parameters, headers, signal });
  });
  // Deprecated in the sense of 'beware': our own check lets http through to loopback only.
  // eslint-disable-next-line @typescript-eslint/no-deprecated
  if (options.allowInsecureRequests) allowInsecure(configuration);
  configuration.timeout = 0;
  configuration[customFetch] = async (url, { method, headers, body }) => {
    const { answer, sentAt } = await exchangeWithTokenEndpoint(url, { method, headers, body: body as URLSearchParams, signal }, options.transport, options.clock);
    const secrets = secretsOf(proof, request);
    if (isErrorAnswer(answer)) throw tokenError(answer, secrets, options.clock.now());
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

/** Parameters of the user's own may be secret too; very short ones, such as `1`, would only blur the text. */
function secretsOf(proof: PresentedProof | undefined, { parameters }: CanonicalTokenRequest): string[] {
  return [...(proof?.secrets ?? []), ...Object.values(parameters).filter((value) => value.length > 5)];
}

function isInvalidClient(failure: unknown): failure is OAuthError {
  return failure instanceof OAuthError && failure.code === 'token_request_failed' && failure.error === 'invalid_client';
}

const hints: Readonly<Record<string, string>> = {
  // Most servers that refuse Basic say nothing else.
  client_secret_basic: 'If id and secret are right, the server may want them in the body: set `clientAuthentication: clientSecretPost(secret)`',
  none: 'No secret was sent: `clientSecret` is not set',
};

function withHint({ message, code, ...details }: OAuthError, method: string): OAuthError {
  const hint = hints[method];
  return new OAuthError(code, hint === undefined ? message : `${message}. ${hint}`, details);
}
