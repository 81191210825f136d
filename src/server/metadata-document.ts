import { OAuthError } from '../errors.js';
import { retryAfterOf } from '../retry/retry-after.js';
import { discard, send, type TransportOptions } from '../transport/transport.js';
import { parseJsonObject, readBody } from './body.js';
import { unreachable } from './unreachable.js';

/** A place that holds no metadata. */
export interface Miss {
  readonly status: number;
  /** Completes a sentence that begins with the place. */
  readonly reason: string;
  /** Milliseconds that the server asked to wait. */
  readonly retryAfter?: number | undefined;
}

export interface DocumentRequest {
  readonly transport: TransportOptions;
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** What messages call the place. @default its URL */
  readonly name?: string;
}

/**
 * A metadata document (RFC 8414 section 3, RFC 9728 section 3): one request, whose redirects are not followed. Nothing of it is validated.
 * @throws OAuthError `server_unreachable`, `invalid_response` for one that is too large, or the reason of the signal
 */
export async function fetchDocument(url: string, { transport, signal, now, name = url }: DocumentRequest): Promise<{ metadata: Record<string, unknown> } | Miss> {
  try {
    const response = await send(url, { headers: { accept: 'application/json' }, redirect: 'manual', signal }, transport);
    const { status } = response;
    if (status !== 200) {
      discard(response);
      return { status, reason: `answered with HTTP ${status}${status > 299 && status < 400 ? ', a redirect, which is not followed' : ''}`, retryAfter: retryAfterOf(response.headers, now) };
    }
    const metadata = parseJsonObject(await readBody(response, 'The discovery endpoint'));
    return metadata === undefined ? { status, reason: 'answered with something else than a JSON object' } : { metadata };
  } catch (thrown) {
    if (thrown instanceof OAuthError) throw thrown;
    signal.throwIfAborted();
    throw unreachable(name, thrown, transport);
  }
}
