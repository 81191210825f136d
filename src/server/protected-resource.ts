import { deadlineIn } from '../deadline.js';
import { OAuthError } from '../errors.js';
import { isSecure } from '../transport/secure-url.js';
import type { TransportOptions } from '../transport/transport.js';
import { texts } from '../validation.js';
import { fetchDocument } from './metadata-document.js';
import { isPassingStatus } from './passing-status.js';

/** What an API says of itself (RFC 9728 section 2). What a `signed_metadata` says beside it isn't looked at. */
export interface ProtectedResource {
  /** The resource identifier, as the API spells it: the `resource` of the tokens for it (RFC 8707). */
  readonly resource: string;
  /** Issuers whose tokens the API takes; empty where it names none. Whether you trust one of them is for you to say: it's where the client's credentials go. */
  readonly authorizationServers: readonly string[];
  /** Scopes that are used with the API; there may be more. */
  readonly scopes?: readonly string[];
  /** How it takes a bearer token: `header`, `body`, `query`; an empty list: not at all. */
  readonly bearerMethods?: readonly string[];
  /** Whether it takes tokens with DPoP only (RFC 9449). */
  readonly dpopBound: boolean;
  /** The whole document, in the names of RFC 9728. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface ProtectedResourceRequest {
  /** Of the metadata. */
  readonly url: URL;
  /** What messages call it. */
  readonly name: string;
  /** What the document must say that it's of: undefined where that is so, else what is wrong with it, to complete a sentence that begins with the place. */
  readonly mismatch: (resource: string | undefined) => string | undefined;
  readonly transport: TransportOptions;
  /** Milliseconds. */
  readonly timeout: number;
  readonly allowInsecureRequests: boolean;
}

/** @throws OAuthError `discovery_failed`, `server_unreachable`, `timeout`, or `invalid_response` for a document that is too large */
export async function fetchProtectedResource({ url, name, mismatch, transport, timeout, allowInsecureRequests }: ProtectedResourceRequest): Promise<ProtectedResource> {
  const { signal, clear } = deadlineIn(timeout, `${name} did not come within ${timeout} ms (option \`timeout\`)`);
  const document = await fetchDocument(url.href, { name, transport, signal, now: Date.now() }).finally(clear);
  if ('metadata' in document) return validated(document.metadata, { name, mismatch, allowInsecureRequests });
  const { status, reason, retryAfter } = document;
  throw new OAuthError('discovery_failed', `${name} ${reason}`, { status, retryable: isPassingStatus(status), retryAfter });
}

/** RFC 9728 section 3.3: metadata that say they are of another resource must not be used. */
function validated(metadata: Record<string, unknown>, { name, mismatch, allowInsecureRequests }: Pick<ProtectedResourceRequest, 'name' | 'mismatch' | 'allowInsecureRequests'>): ProtectedResource {
  const { resource, authorization_servers: authorizationServers = [], scopes_supported: scopes, bearer_methods_supported: bearerMethods, dpop_bound_access_tokens_required: dpopBound } = metadata;
  const refuse = (reason: string): OAuthError => new OAuthError('discovery_failed', `${name} ${reason}`);
  const wrong = mismatch(typeof resource === 'string' ? resource : undefined);
  if (wrong !== undefined) throw refuse(wrong);
  if (!isTexts(authorizationServers) || !authorizationServers.every((issuer) => isIssuer(issuer, allowInsecureRequests))) {
    throw refuse('names `authorization_servers` that aren\'t all issuers: https URLs without user, password, query and fragment; http is for loopback only, with `allowInsecureRequests`');
  }
  return Object.freeze({
    resource: resource as string,
    authorizationServers: Object.freeze([...authorizationServers]),
    ...isTexts(scopes) && { scopes: Object.freeze([...scopes]) },
    ...isTexts(bearerMethods) && { bearerMethods: Object.freeze([...bearerMethods]) },
    dpopBound: dpopBound === true,
    metadata: Object.freeze({ ...metadata }),
  });
}

function isTexts(value: unknown): value is readonly string[] {
  return texts.accepts(value);
}

/** RFC 8414 section 2. */
function isIssuer(issuer: string, allowInsecureRequests: boolean): boolean {
  if (!URL.canParse(issuer) || /[?#]/.test(issuer)) return false;
  const url = new URL(issuer);
  return url.username === '' && url.password === '' && isSecure(url, allowInsecureRequests);
}
