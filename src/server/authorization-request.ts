import { buildAuthorizationUrl } from 'openid-client';
import { invalid } from '../validation.js';
import { configurationOf } from './configuration.js';
import type { ConnectedClient } from './connected-client.js';
import { pushedRequestUrl } from './pushed-authorization.js';
import { spokenAuthorizationRequest } from './dialect/authorization-request.js';
import type { RequestSigner } from './request-object.js';
import { secretParameters } from './secret-parameters.js';

/** What keeps an authorization request from being read or changed on its way through the browser. */
export interface RequestProtection {
  /** Whether it's pushed (RFC 9126). Undefined: where the server takes no other. */
  readonly isPushed: boolean | undefined;
  /** Undefined: it's not signed. */
  readonly signer: RequestSigner | undefined;
}

/**
 * Where the browser is sent: the parameters themselves (RFC 6749 section 4.1.1), a signed JWT that holds them (RFC 9101 section 5), or a reference to either that
 * was pushed (RFC 9126 section 4).
 */
export async function authorizationRequestUrl(client: ConnectedClient, parameters: URLSearchParams, { isPushed, signer }: RequestProtection, signal: AbortSignal): Promise<URL> {
  const { require_pushed_authorization_requests: isPushedOnly, require_signed_request_object: isSignedOnly } = client.metadata;
  if (isSignedOnly === true && signer === undefined) {
    throw invalid('startLogin: the authorization server takes signed authorization requests only (`require_signed_request_object`): set the option `signedAuthorizationRequests` of createTokenManager');
  }
  const spoken = spokenAuthorizationRequest(parameters, client.dialect);
  const asked = signer === undefined ? spoken : new URLSearchParams({ request: await signer(spoken, client) });
  if (isPushed ?? isPushedOnly === true) return pushedRequestUrl(client, asked, [...secretParameters(parameters), ...secretParameters(asked)], signal);
  const url = buildAuthorizationUrl(configurationOf(client), signer === undefined ? parameters : asked);
  url.search = spokenAuthorizationRequest(url.searchParams, client.dialect).toString();
  return url;
}
