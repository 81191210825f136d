import { challenges } from './fetch/challenge.js';
import { OAuthError } from './errors.js';
import { issuerIdentifiers } from './server/discovery.js';
import { fetchProtectedResource, type ProtectedResource, type ProtectedResourceRequest } from './server/protected-resource.js';
import { checkSecure, isSecure } from './transport/secure-url.js';
import type { TransportOptions } from './transport/transport.js';
import { checkOptions, flag, having, invalid, positiveDuration, shapeOf, type Rules } from './validation.js';

export interface ProtectedResourceOptions {
  /** Milliseconds. @default 10_000 */
  timeout?: number | undefined;
  /** The undici dispatcher, e.g. a `ProxyAgent`. @default the global one if one was set, else an `Agent` of the library's own */
  dispatcher?: TransportOptions['dispatcher'];
  /** Allows http to loopback: 127.0.0.0/8, ::1 and localhost. @default false */
  allowInsecureRequests?: boolean | undefined;
}

const rules: Rules<ProtectedResourceOptions> = { timeout: positiveDuration, dispatcher: having('dispatch'), allowInsecureRequests: flag };

/** What identifies the metadata: where they are, and which resource they may be of. */
type Identity = Pick<ProtectedResourceRequest, 'url' | 'name' | 'mismatch'>;

const where = 'discoverProtectedResource';
const wellKnown = '/.well-known/oauth-protected-resource';

/**
 * Finds the authorization server of an API by the metadata that the API publishes (RFC 9728). Nothing is kept: each call asks.
 *
 * From the API's resource identifier the place is known (section 3.1), and the metadata must be of exactly that identifier (section 3.3).
 *
 * From a response of the API, usually a 401, the place is the `resource_metadata` of its challenge (section 5.1), else the well-known one of its origin. A challenge may name any
 * https host, which is asked without any credentials. Section 3.3 wants the metadata's `resource` to be the URL that was called; most identifiers stand for all that is below them, so the
 * URL itself or a part of its path, to a slash, on the same origin is taken. An API can thus speak for itself, or for what it is a part of, and for no other host.
 *
 * The response's body stays unread.
 * @throws OAuthError `invalid_configuration`, `discovery_failed`, `server_unreachable`, `timeout`, or `invalid_response` for more than 1 MiB
 */
export async function discoverProtectedResource(resource: string | URL | Response, options: ProtectedResourceOptions = {}): Promise<ProtectedResource> {
  checkOptions<ProtectedResourceOptions>(where, options, rules);
  const { timeout = 10_000, dispatcher, allowInsecureRequests = false } = options;
  const identity = isResponse(resource) ? identityByResponse(resource, allowInsecureRequests) : identityByIdentifier(resource, allowInsecureRequests);
  return fetchProtectedResource({ ...identity, transport: { dispatcher }, timeout, allowInsecureRequests });
}

/** Of any fetch, the platform's or not. */
function isResponse(value: unknown): value is Response {
  if (typeof value !== 'object' || value === null || value instanceof URL) return false;
  const { headers, url } = value as Partial<Response>;
  return typeof url === 'string' && typeof headers?.get === 'function';
}

function identityByIdentifier(identifier: string | URL, allowInsecureRequests: boolean): Identity {
  if (!(identifier instanceof URL) && !(typeof identifier === 'string' && URL.canParse(identifier))) {
    throw invalid(`${where}: \`resource\` must be the absolute URL of an API, or a response of it; received ${shapeOf(identifier)}`);
  }
  const url = new URL(identifier);
  checkSecure(where, 'resource', url, allowInsecureRequests);
  if (url.href.includes('#')) throw invalid(`${where}: \`resource\` must not have a fragment (RFC 9728 section 1.2)`);
  const place = wellKnownPlace(url);
  return { url: place, name: place.href, mismatch: unlessOneOf(issuerIdentifiers(identifier)) };
}

function identityByResponse(response: Response, allowInsecureRequests: boolean): Identity {
  if (!URL.canParse(response.url)) throw invalid(`${where}: the response must be one that a fetch has brought: it has no \`url\``);
  const called = new URL(response.url);
  checkSecure(where, 'resource', called, allowInsecureRequests);
  const [named] = challenges(response).flatMap(({ resource_metadata: metadata }) => metadata ?? []);
  if (named === undefined) {
    const place = wellKnownPlace(new URL(called.origin));
    return { url: place, name: place.href, mismatch: unlessOneOf(issuerIdentifiers(new URL(called.origin))) };
  }
  const url = URL.canParse(named) ? new URL(named) : undefined;
  // An API elsewhere must not lead us to services of this machine.
  const mayBeHttp = allowInsecureRequests && called.protocol === 'http:';
  if (url?.username !== '' || url.password !== '' || !isSecure(url, mayBeHttp)) {
    throw new OAuthError('discovery_failed', `The challenge of ${called.origin} names no usable \`resource_metadata\`: it must be an https URL without user and password; http is for loopback only, with \`allowInsecureRequests\``);
  }
  return {
    url,
    // Their words may hold what the API was sent.
    name: `The \`resource_metadata\` of ${called.origin}, at ${url.origin},`,
    mismatch: (resource) => (resource !== undefined && isPartOf(called, resource) ? undefined : 'is not that of the API that answered: its `resource` must be the URL that was called, or a part of its path on the same origin'),
  };
}

/** RFC 9728 section 3.1: a slash right behind the host is dropped; path and query follow as they are. */
function wellKnownPlace({ origin, pathname, search }: URL): URL {
  return new URL(`${origin}${wellKnown}${pathname === '/' ? '' : pathname}${search}`);
}

/** RFC 9728 section 3.3: character by character. */
function unlessOneOf(identifiers: readonly [string, ...string[]]): Identity['mismatch'] {
  return (resource) => {
    if (resource !== undefined && identifiers.includes(resource)) return undefined;
    return `is the metadata of another resource: ${resource === undefined ? 'none' : JSON.stringify(resource.slice(0, 200))} instead of ${JSON.stringify(identifiers[0])}. Pass the identifier as the API spells it`;
  };
}

/** Whether a URL is that of the resource or below it. `/v1` is a part of `/v1/orders`, not of `/v10`. */
function isPartOf(called: URL, identifier: string): boolean {
  if (!URL.canParse(identifier) || identifier.includes('#')) return false;
  const { origin, username, password, pathname, search } = new URL(identifier);
  if (origin !== called.origin || username !== '' || password !== '') return false;
  if (search !== '') return pathname === called.pathname && search === called.search;
  return pathname === called.pathname || called.pathname.startsWith(pathname.endsWith('/') ? pathname : `${pathname}/`);
}
