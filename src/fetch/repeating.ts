import { retryAfterOf } from '../retry/retry-after.js';
import { withRetries } from '../retry/with-retries.js';
import { discard } from '../transport/transport.js';
import type { FetchSettings } from './fetch-options.js';
import type { Exchange } from './exchange.js';

const passingStatus = new Set([429, 502, 503, 504]);

/** A try that may be repeated; the outcome of the last one is the call's. */
class PassingFailure extends Error {
  constructor(readonly outcome: { readonly response: Response } | { readonly error: unknown }) {
    super();
  }
}

/** Repeats idempotent requests (RFC 9110 section 9.2.2) that failed in a way that may pass. */
export function repeating(retry: FetchSettings['retry'], next: Exchange): Exchange {
  if (retry === undefined) return next;
  return async (outgoing, call) => {
    if (!retry.methods.has(outgoing.method) || outgoing.oneShot !== undefined) return next(outgoing, call);
    let previous: Response | undefined;
    const attempt = async (): Promise<Response> => {
      if (previous !== undefined) discard(previous);
      call.sent = false;
      const response = await next(outgoing, call).catch((error: unknown) => {
        throw call.sent && isNetworkError(error) ? new PassingFailure({ error }) : error;
      });
      if (!passingStatus.has(response.status)) return response;
      previous = response;
      throw new PassingFailure({ response });
    };
    try {
      return await withRetries(attempt, {
        policy: retry,
        signal: call.signal,
        ...(call.remaining && { remaining: call.remaining }),
        repeatable: (failure) => (failure instanceof PassingFailure ? { retryAfter: 'response' in failure.outcome ? retryAfterOf(failure.outcome.response.headers, Date.now()) : undefined } : undefined),
      });
    } catch (thrown) {
      if (!(thrown instanceof PassingFailure)) {
        if (previous !== undefined) discard(previous);
        throw thrown;
      }
      if ('response' in thrown.outcome) return thrown.outcome.response;
      throw thrown.outcome.error;
    }
  };
}

const mistakes = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED', 'UND_ERR_INVALID_RETURN_VALUE']);

/** The platform reports a lost or refused connection as a `TypeError` whose cause has a system's or undici's code. */
function isNetworkError(error: unknown): boolean {
  const code = error instanceof TypeError ? (error.cause as { code?: unknown } | undefined)?.code : undefined;
  return typeof code === 'string' && !mistakes.has(code);
}
