import { buildAuthorizationUrl, buildEndSessionUrl, tokenRevocation } from 'openid-client';
import { className, OAuthError } from '../errors.js';
import type { CanonicalTokenRequest } from '../tokens/token-request.js';
import type { AuthorizationServer, ReceivedTokens } from './authorization-server.js';
import { authenticated } from './client-authentication/authenticated.js';
import type { AuthenticationChoice } from './client-authentication/choose.js';
import { configurationOf } from './configuration.js';
import type { ConnectedClient } from './connected-client.js';
import { Jwks } from './jwks.js';
import { endpointOf, requiredEndpoint, type AuthorizationServerMetadata } from './metadata.js';
import { receivedTokens } from './received-tokens.js';
import { requestTokens, unwrapped } from './token-request.js';

export interface AuthorizationServerOptions extends Omit<ConnectedClient, 'metadata' | 'authentication'> {
  readonly metadata: (signal: AbortSignal) => Promise<AuthorizationServerMetadata>;
  /** Throws once nothing new is to be begun; what only ends what was begun goes on. */
  readonly assertOpen: () => void;
  /** Milliseconds for one request of the library's own. */
  readonly timeout: number;
  readonly authentication: AuthenticationChoice;
}

/**
 * The authorization server by openid-client, which builds the requests and has them authenticated. What goes over the wire is ours: an answer is
 * buffered, capped, read and judged here, so that nothing that is wrong with it can hide a refresh token that came with it.
 */
export function createAuthorizationServer(options: AuthorizationServerOptions): AuthorizationServer {
  const { clientId, transport, clock, timeout, allowInsecureRequests, assertOpen } = options;
  const jwks = new Jwks({ transport, clock, timeout });

  const connectToEnd = async (signal: AbortSignal): Promise<ConnectedClient> => {
    const metadata = await options.metadata(signal);
    return { ...options, metadata, authentication: options.authentication(metadata) };
  };

  const connect = async (signal: AbortSignal): Promise<ConnectedClient> => {
    assertOpen();
    const client = await connectToEnd(signal);
    assertOpen();
    return client;
  };

  const tokensBy = async (client: ConnectedClient, grantType: string, parameters: URLSearchParams, secrets: readonly string[], signal: AbortSignal): Promise<ReceivedTokens> => {
    const exchange = await requestTokens(client, { grantType, parameters, secrets }, signal);
    return receivedTokens(exchange, { client, jwks });
  };

  return {
    clientCredentials: async (request, signal) => guarded(async () => {
      const client = await connect(signal);
      return (await tokensBy(client, 'client_credentials', grantParameters(request), secretParameters(request), signal)).judged();
    }),
    authorizationUrl: async (parameters, signal) => guarded(async () => {
      const client = await connect(signal);
      requiredEndpoint(client.metadata, 'authorization_endpoint', 'a login', allowInsecureRequests);
      if (parameters.get('scope')?.split(' ').includes('openid') === true) checkOpenId(client, allowInsecureRequests);
      return buildAuthorizationUrl(configurationOf(client), parameters);
    }),
    callbackIssuer: async (signal) => guarded(async () => {
      const { metadata: { issuer, authorization_response_iss_parameter_supported: isPromised } } = await connect(signal);
      return { issuer, isPromised: isPromised === true };
    }),
    authorizationCode: async ({ code, codeVerifier, redirectUri, resource }, signal) => guarded(async () => {
      const parameters = new URLSearchParams({ code, redirect_uri: redirectUri, code_verifier: codeVerifier });
      if (resource !== undefined) parameters.set('resource', resource);
      return tokensBy(await connect(signal), 'authorization_code', parameters, [code, codeVerifier], signal);
    }),
    prepareRefresh: async (signal) => guarded(async () => {
      const client = await connect(signal);
      // What can go wrong with the proof goes wrong now, while nothing is at stake.
      await authenticated(client.authentication, { clientId, parameters: new URLSearchParams(), headers: new Headers(), signal });
      return async (refreshToken, request, sending) => guarded(async () => {
        // The lock may have been waited for meanwhile.
        assertOpen();
        const parameters = grantParameters(request);
        parameters.set('refresh_token', refreshToken);
        return tokensBy(client, 'refresh_token', parameters, [refreshToken, ...secretParameters(request)], sending);
      });
    }),
    revoke: async (token, kind, signal) => guarded(async () => {
      const client = await connectToEnd(signal);
      if (endpointOf(client.metadata, 'revocation_endpoint', allowInsecureRequests) === undefined) return;
      await tokenRevocation(configurationOf(client, { signal }), token, { token_type_hint: kind });
    }),
    endSessionUrl: async (parameters, signal) => guarded(async () => {
      const client = await connectToEnd(signal);
      if (endpointOf(client.metadata, 'end_session_endpoint', allowInsecureRequests) === undefined) return undefined;
      return buildEndSessionUrl(configurationOf(client), parameters);
    }),
  };
}

/** Said before the browser leaves, not after it has come back with a code that can't be used. */
function checkOpenId({ metadata }: ConnectedClient, allowInsecureRequests: boolean): void {
  if (metadata.issuer === undefined) throw new OAuthError('invalid_configuration', 'startLogin: the scope `openid` needs the `issuer` that ID tokens must name: pass it in the option `server`');
  requiredEndpoint(metadata, 'jwks_uri', 'the scope `openid`', allowInsecureRequests);
}

/** Nothing but an `OAuthError` leaves here. */
async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (wrapped) {
    const thrown = unwrapped(wrapped);
    throw thrown instanceof OAuthError ? thrown : new OAuthError('invalid_response', `The authorization server gave an answer that is not valid (${className(thrown)})`, { cause: thrown });
  }
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
