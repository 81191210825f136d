import type { TokenSource } from '../tokens/token-source.js';
import { authorized } from './authorized.js';
import { fetchSettings, type FetchOptions } from './fetch-options.js';
import { checkOrigin } from './check-origin.js';
import { readCall, targetOf, type CallInit } from './outgoing.js';
import { following } from './following.js';
import { repeating } from './repeating.js';
import { sending } from './sending.js';
import { timeLimit } from './time-limit.js';

/**
 * A `fetch` whose requests carry a token of `source`, to the origins that may receive it and nowhere else. In everything but authorization it behaves as
 * the platform's; what the API answers, a 401 or 500 included, is a `Response`, never an error. Two things differ: a body that can be sent once only is never
 * redirected, and neither is a call with `integrity`.
 *
 * The calls of the returned function reject with an `OAuthError`: `origin_not_allowed` before anything is asked for or sent, `timeout`, or whatever kept the source
 * from giving a token; with the platform's `TypeError`; or with the reason of the caller's signal.
 * @throws OAuthError `invalid_configuration`
 */
export function createFetch(source: TokenSource, options: FetchOptions): typeof globalThis.fetch {
  const settings = fetchSettings(source, options);
  const { baseUrl, origins, retry, timeout, tokenHeader } = settings;
  const exchange = following(settings, repeating(retry, authorized(source, settings, sending(settings))));

  return async function fetch(input, init) {
    const url = targetOf(input, baseUrl);
    checkOrigin(url, origins);
    const outgoing = readCall(input, url, init as CallInit | undefined);
    const limit = timeout === undefined ? undefined : timeLimit(timeout, outgoing.signal);
    const signal = limit?.signal ?? outgoing.signal;
    try {
      signal?.throwIfAborted();
      const response = await exchange(outgoing, {
        signal,
        ...(limit && { remaining: () => limit.remaining() }),
        ownAuthorization: outgoing.headers.some(([name]) => name === tokenHeader),
        sent: false,
        replayed: false,
      });
      limit?.lift(response);
      return response;
    } catch (thrown) {
      limit?.drop();
      // As the platform does: a stream that will not be read is told why.
      await outgoing.oneShot?.body?.cancel(thrown).catch(() => undefined);
      throw thrown;
    }
  };
}
