import { buildEndSessionUrl } from 'openid-client';
import { orAbort } from '../deadline.js';
import { className, OAuthError } from '../errors.js';
import { emptyRequest, type CanonicalTokenRequest } from '../tokens/token-request.js';
import type { AuthorizationServer, ReceivedTokens, Refresh, TokenGrant } from './authorization-server.js';
import { unwrapped } from './authenticated-request.js';
import { authorizationRequestUrl, type RequestProtection } from './authorization-request.js';
import { checkedAuthorizationResponse } from './authorization-response.js';
import { withCertificateAliases } from './certificate-aliases.js';
import { authenticated } from './client-authentication/authenticated.js';
import type { AuthenticationChoice } from './client-authentication/choose.js';
import { configurationOf } from './configuration.js';
import type { ConnectedClient } from './connected-client.js';
import { beginDecoupledLogin } from './decoupled-login.js';
import { understoodCallback } from './dialect/callback.js';
import { exchangedTokens } from './dialect/exchanged-tokens.js';
import { createNonces } from './dpop/nonces.js';
import { introspect } from './introspect.js';
import { Jwks } from './jwks.js';
import { endpointOf, requiredEndpoint, type AuthorizationServerMetadata } from './metadata.js';
import { receivedTokens } from './received-tokens.js';
import { revokeQuietly } from './revocation.js';
import { revoke } from './revoke.js';
import { secretParameters } from './secret-parameters.js';
import { requestTokens, type TokenEndpointRequest } from './token-request.js';

export interface AuthorizationServerOptions extends Omit<ConnectedClient, 'metadata' | 'authentication' | 'nonces'> {
  readonly metadata: (signal: AbortSignal) => Promise<AuthorizationServerMetadata>;
  /** Throws once nothing new is to be begun; what only ends what was begun goes on. */
  readonly assertOpen: () => void;
  /** Milliseconds for one request of the library's own. */
  readonly timeout: number;
  readonly authentication: AuthenticationChoice;
  readonly requestProtection: RequestProtection;
}

/**
 * The authorization server by openid-client, which builds the requests and has them authenticated. What goes over the wire is ours: an answer is
 * buffered, capped, read and judged here, so that nothing that is wrong with it can hide a refresh token that came with it.
 */
export function createAuthorizationServer(options: AuthorizationServerOptions): AuthorizationServer {
  const { clientId, dialect, transport, clock, timeout, allowInsecureRequests, assertOpen } = options;
  const jwks = new Jwks({ transport, clock, timeout });

  const nonces = createNonces();

  const connectToEnd = async (signal: AbortSignal): Promise<ConnectedClient> => {
    const found = await options.metadata(signal);
    const authentication = options.authentication(found);
    const metadata = authentication.certificate === undefined ? found : withCertificateAliases(found, allowInsecureRequests);
    return { ...options, metadata, authentication, nonces };
  };

  const connect = async (signal: AbortSignal): Promise<ConnectedClient> => {
    assertOpen();
    const client = await connectToEnd(signal);
    assertOpen();
    return client;
  };

  const tokensBy = async (client: ConnectedClient, request: TokenEndpointRequest, signal: AbortSignal): Promise<ReceivedTokens> =>
    receivedTokens(await requestTokens(client, request, signal), { client, jwks });

  /** Where the code's exchange gives a short-lived token only: a refresh of it, at once. */
  const exchanged = async (client: ConnectedClient, first: ReceivedTokens, { key, kept }: Pick<Refresh, 'key' | 'kept'>, signal: AbortSignal): Promise<ReceivedTokens> => {
    const refreshToken = first.refreshToken();
    if (refreshToken === undefined) throw new OAuthError('invalid_response', 'The token endpoint gave nothing to exchange: where the access token renews itself, declare `dialect.tokenResponse.names.refresh_token`');
    try {
      return exchangedTokens(first, await tokensBy(client, refreshForm({ refreshToken, request: emptyRequest, key, kept, accessToken: first.accessToken() }, 'exchange'), signal));
    } catch (thrown) {
      // Nobody else knows of the first tokens.
      await revokeQuietly({ refreshToken }, { server: { revoke: async (token, hint, revoking) => revoke(client, token, hint, revoking) }, timeout });
      throw thrown;
    }
  };

  return {
    grant: async (grant, signal) => guarded(async () => {
      const client = await connect(signal);
      const subject = grant.grantType === 'client_credentials' ? { grant: grant.grantType, kept: {} } as const : undefined;
      return (await tokensBy(client, { grantType: grant.grantType, ...await formOf(grant, signal), key: grant.key, subject }, signal)).judged();
    }),
    authorizationUrl: async (parameters, signal) => guarded(async () => {
      const client = await connect(signal);
      requiredEndpoint(client.metadata, 'authorization_endpoint', 'a login', allowInsecureRequests);
      if (parameters.get('scope')?.split(' ').includes('openid') === true) checkSigned(client, 'startLogin', 'the scope `openid`', 'ID tokens', allowInsecureRequests);
      if (parameters.get('response_mode') === 'jwt') checkSigned(client, 'startLogin', 'the option `responseMode`', 'callbacks', allowInsecureRequests);
      return authorizationRequestUrl(client, parameters, options.requestProtection, signal);
    }),
    callbackIssuer: async (signal) => guarded(async () => {
      const { metadata: { issuer, authorization_response_iss_parameter_supported: isPromised } } = await connect(signal);
      return { issuer, isPromised: isPromised === true };
    }),
    authorizationResponse: async (jwt, signal) => guarded(async () => {
      const client = await connect(signal);
      const keys = requiredEndpoint(client.metadata, 'jwks_uri', 'the option `responseMode`', allowInsecureRequests);
      return checkedAuthorizationResponse(jwt, client, jwks.keyFinder(keys, signal));
    }),
    understoodCallback: (parameters) => understoodCallback(parameters, dialect),
    authorizationCode: async ({ code, codeVerifier, redirectUri, resource, key, kept }, signal) => guarded(async () => {
      const client = await connect(signal);
      const parameters = new URLSearchParams({ code, redirect_uri: redirectUri, ...(dialect.authorizationRequest?.pkce !== false && { code_verifier: codeVerifier }) });
      if (resource !== undefined) parameters.set('resource', resource);
      const received = await tokensBy(client, { grantType: 'authorization_code', parameters, secrets: [code, codeVerifier], key, subject: { grant: 'authorization_code', kept } }, signal);
      return dialect.exchangeRequest === undefined ? received : exchanged(client, received, { key, kept }, signal);
    }),
    decoupledLogin: async (login, signal) => guarded(async () => {
      const { grantType, request: { scope, resource }, key } = login;
      const client = await connect(signal);
      if (scope.includes('openid')) checkSigned(client, 'startDecoupledLogin', 'the scope `openid`', 'ID tokens', allowInsecureRequests);
      const { code, ...begun } = await beginDecoupledLogin(client, { ...login, ...await formOf(login, signal) }, signal);
      const parameters = new URLSearchParams({ [login.code]: code });
      // As with a code: of several the server knows from the first request (RFC 8707 section 2.2).
      if (resource.length === 1) parameters.set('resource', resource.join());
      return { ...begun, poll: async (polling) => guarded(async () => tokensBy(await connect(polling), { grantType, parameters, secrets: [code], key }, polling)) };
    }),
    prepareRefresh: async (signal) => guarded(async () => {
      const client = await connect(signal);
      // What can go wrong with the proof goes wrong now, while nothing is at stake.
      await authenticated(client.authentication, { clientId, server: client.metadata, parameters: new URLSearchParams(), headers: new Headers(), now: clock.now(), signal });
      return async (request, sending) => guarded(async () => {
        // The lock may have been waited for meanwhile.
        assertOpen();
        return tokensBy(client, refreshForm(request, 'refresh_token'), sending);
      });
    }),
    revoke: async (token, hint, signal) => guarded(async () => revoke(await connectToEnd(signal), token, hint, signal)),
    introspect: async (token, hint, signal) => guarded(async () => introspect(await connect(signal), token, hint, signal)),
    endSessionUrl: async (parameters, signal) => guarded(async () => {
      const client = await connectToEnd(signal);
      if (endpointOf(client.metadata, 'end_session_endpoint', allowInsecureRequests) === undefined) return undefined;
      return buildEndSessionUrl(configurationOf(client), parameters);
    }),
  };
}

/** Said before the browser leaves, not after it has come back with a code that can't be used. */
function checkSigned({ metadata }: ConnectedClient, where: string, asked: string, signed: string, allowInsecureRequests: boolean): void {
  if (metadata.issuer === undefined) throw new OAuthError('invalid_configuration', `${where}: ${asked} needs the \`issuer\` that ${signed} must name: pass it in the option \`server\``);
  requiredEndpoint(metadata, 'jwks_uri', asked, allowInsecureRequests);
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

/** The parameters of a request that has some of its own, and those of its values that must appear nowhere else. */
async function formOf({ request, parameters: ask }: Pick<TokenGrant, 'request' | 'parameters'>, signal: AbortSignal): Promise<Pick<TokenEndpointRequest, 'parameters' | 'secrets'>> {
  const { plain = {}, secret = {} } = await orAbort(ask(signal), signal);
  const parameters = grantParameters(request);
  for (const [name, value] of Object.entries({ ...plain, ...secret })) parameters.set(name, value);
  return { parameters, secrets: [...Object.values(secret), ...secretParameters(Object.entries(request.parameters))] };
}

function refreshForm({ refreshToken, request, key, kept, accessToken }: Refresh, grant: 'refresh_token' | 'exchange'): TokenEndpointRequest {
  const parameters = grantParameters(request);
  parameters.set('refresh_token', refreshToken);
  return { grantType: 'refresh_token', parameters, secrets: [refreshToken, ...secretParameters(Object.entries(request.parameters))], key, subject: { grant, kept, previous: accessToken } };
}

function grantParameters({ scope, resource, audience, authorizationDetails, parameters }: CanonicalTokenRequest): URLSearchParams {
  const form = new URLSearchParams(parameters);
  if (scope.length > 0) form.set('scope', scope.join(' '));
  for (const uri of resource) form.append('resource', uri);
  if (audience !== undefined) form.set('audience', audience);
  if (authorizationDetails !== undefined) form.set('authorization_details', authorizationDetails);
  return form;
}
