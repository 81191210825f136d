import { orAbort } from '../../deadline.js';
import { className, OAuthError } from '../../errors.js';
import { isSecure } from '../../transport/secure-url.js';
import { isPlainObject } from '../../validation.js';
import { markAnswered } from '../answered.js';
import type { EndpointAnswer } from '../endpoint-answer.js';
import { isPassingStatus } from '../passing-status.js';
import type { Dialect, DialectContext, PreparedTokenRequest } from './dialect.js';

/** The hooks of a dialect are the user's: what they throw is told by its class only, and one that hangs ends with the request. */
export async function prepared(request: PreparedTokenRequest, { prepareTokenRequest }: Dialect, context: DialectContext, { signal, allowInsecureRequests }: { signal: AbortSignal; allowInsecureRequests: boolean }): Promise<PreparedTokenRequest> {
  if (prepareTokenRequest === undefined) return request;
  await run('prepareTokenRequest', async () => prepareTokenRequest(request, context), signal);
  if (isRequest(request) && isSecure(request.url, allowInsecureRequests)) return request;
  throw nonsense('prepareTokenRequest', 'must leave `url` an https URL, `method` one that can be sent, `headers` Headers and `body` a string, or none with GET');
}

/** Whether it can be sent at all: what fails now has certainly not left. */
function isRequest({ url, method, headers, body }: PreparedTokenRequest): boolean {
  if (!(url instanceof URL && headers instanceof Headers && (body === undefined || typeof body === 'string'))) return false;
  try {
    return new Request(url, { method, headers, ...(body !== undefined && { body }) }).url !== '';
  } catch {
    return false;
  }
}

/** The answer with the members that the hook reads in it. An outage stays one, though its page is nothing that a hook can read. */
export async function parsed(answer: EndpointAnswer, { parseTokenResponse }: Dialect, context: DialectContext, signal: AbortSignal): Promise<EndpointAnswer> {
  if (parseTokenResponse === undefined) return answer;
  const { status, headers, body } = answer;
  try {
    const members = await run('parseTokenResponse', async () => Promise.resolve(parseTokenResponse({ status, headers: new Headers(headers), body: json(body) }, context)), signal);
    // By way of JSON, as from a server: what is kept in a store can't be anything else.
    const plain = isPlainObject(members) ? asJson(members) : undefined;
    if (plain !== undefined) return { ...answer, members: plain };
    throw nonsense('parseTokenResponse', 'must return an object with the members of a token response (RFC 6749 section 5)', status);
  } catch (thrown) {
    if (signal.aborted) throw markAnswered(new OAuthError('timeout', 'dialect.parseTokenResponse did not end in time (option `timeout`)', { status, retryable: true }));
    if (isPassingStatus(status)) return answer;
    throw thrown;
  }
}

async function run<T>(name: string, hook: () => Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await orAbort(hook(), signal);
  } catch (thrown) {
    signal.throwIfAborted();
    throw nonsense(name, `threw ${className(thrown)}`);
  }
}

function nonsense(name: string, what: string, status?: number): OAuthError {
  return new OAuthError('invalid_response', `dialect.${name} ${what}`, { status });
}

function asJson(members: object): Record<string, unknown> | undefined {
  try {
    const copy: unknown = JSON.parse(JSON.stringify(members, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)));
    return isPlainObject(copy) ? { ...copy } : undefined;
  } catch {
    return undefined;
  }
}

function json(body: string): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch {
    return body;
  }
}
