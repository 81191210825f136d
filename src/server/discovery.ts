import { orAbort, deadlineIn } from '../deadline.js';
import { OAuthError } from '../errors.js';
import { isSecure } from '../transport/secure-url.js';
import type { Clock } from '../clock.js';
import type { TransportOptions } from '../transport/transport.js';
import type { AuthorizationServerMetadata } from './metadata.js';
import { fetchDocument, type Miss } from './metadata-document.js';
import { isPassingStatus } from './passing-status.js';

export interface DiscoveryOptions {
  readonly issuer: string | URL;
  readonly transport: TransportOptions;
  /** Milliseconds for one discovery, both documents included. */
  readonly timeout: number;
  readonly clock: Clock;
  readonly allowInsecureRequests: boolean;
}

/**
 * Finds the metadata of an issuer: OpenID Connect Discovery section 4 first, then RFC 8414 section 3. The document is kept for as long as
 * this function lives; a failure is not. All who ask at the same time share one request.
 */
export function createDiscovery(options: DiscoveryOptions): (signal: AbortSignal) => Promise<AuthorizationServerMetadata> {
  let found: Promise<AuthorizationServerMetadata> | undefined;
  return async (signal) => {
    found ??= discover(options).catch((thrown: unknown) => {
      found = undefined;
      throw thrown;
    });
    return orAbort(found, signal);
  };
}

/** The identifier as the user wrote it; a `URL` can't say whether it had a bare slash at its end, so both forms are meant. */
export function issuerIdentifiers(issuer: string | URL): readonly [string, ...string[]] {
  if (typeof issuer === 'string') return [issuer];
  return issuer.pathname === '/' ? [issuer.origin, issuer.href] : [issuer.href];
}

async function discover({ issuer, transport, timeout, clock, allowInsecureRequests }: DiscoveryOptions): Promise<AuthorizationServerMetadata> {
  const deadline = deadlineIn(timeout, `Discovery of ${String(issuer)} took longer than ${timeout} ms (option \`timeout\`)`);
  const misses: LocatedMiss[] = [];
  try {
    for (const url of locations(new URL(issuer))) {
      const document = await fetchDocument(url, { transport, signal: deadline.signal, now: clock.now() });
      if ('metadata' in document) return validated(document.metadata, url, issuerIdentifiers(issuer), allowInsecureRequests);
      misses.push({ url, ...document });
    }
  } finally {
    deadline.clear();
  }
  throw noMetadata(String(issuer), misses);
}

function noMetadata(issuer: string, misses: readonly LocatedMiss[]): OAuthError {
  const told = misses.map(({ url, reason }) => `${url} ${reason}`).join('; ');
  const passing = misses.find(({ status }) => isPassingStatus(status));
  const { status, retryAfter } = { ...(passing ?? misses[0]) };
  return new OAuthError('discovery_failed', `No metadata of ${issuer}: ${told}. Check the option \`issuer\`, or pass the metadata as \`server\``, {
    status,
    retryable: passing !== undefined,
    retryAfter,
  });
}

/** The two well-known places. A slash at the end of the issuer is dropped before the suffix, and only there; the rest of the path stays as it is. */
function locations({ origin, pathname }: URL): string[] {
  const path = pathname.replace(/\/$/, '');
  return [`${origin}${path}/.well-known/openid-configuration`, `${origin}/.well-known/oauth-authorization-server${path}`];
}

interface LocatedMiss extends Miss {
  readonly url: string;
}

/** RFC 8414 section 3.3: the issuer in the document must be the configured one, character by character. */
function validated(metadata: Record<string, unknown>, url: string, identifiers: readonly string[], allowInsecureRequests: boolean): AuthorizationServerMetadata {
  const { issuer, token_endpoint: tokenEndpoint } = metadata;
  const refuse = (reason: string): OAuthError => new OAuthError('discovery_failed', `${url} ${reason}`);
  if (typeof issuer !== 'string' || !identifiers.includes(issuer)) {
    const found = typeof issuer === 'string' ? JSON.stringify(issuer.slice(0, 200)) : 'none';
    throw refuse(`is the metadata of another issuer: ${found} instead of ${JSON.stringify(identifiers[0])}. Set the option \`issuer\` to the server's exact spelling`);
  }
  if (typeof tokenEndpoint !== 'string' || !URL.canParse(tokenEndpoint)) throw refuse('names no token_endpoint that is a URL');
  const endpoint = new URL(tokenEndpoint);
  if (endpoint.username !== '' || endpoint.password !== '') throw refuse('names a token_endpoint with user and password');
  if (!isSecure(endpoint, allowInsecureRequests)) throw refuse('names a token_endpoint that is not https; http is for loopback only, with `allowInsecureRequests`');
  return Object.freeze({ ...metadata, issuer, token_endpoint: tokenEndpoint });
}
