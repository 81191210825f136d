import type { TokenSource } from '../tokens/token-source.js';
import { authorized } from './authorization.js';
import { fetchSettings, type FetchOptions } from './fetch-options.js';
import { onlyTo } from './origins.js';
import { readCall, type CallInit } from './outgoing.js';
import { following } from './redirects.js';
import { repeating } from './repetition.js';
import { hasHeader, sending } from './send.js';
import { timeLimit } from './time-limit.js';

/**
 * A `fetch` whose requests carry a token of `source`, to the origins that may receive it and nowhere else. In everything but authorization it behaves as
 * the platform's; what the API answers, a 401 or 500 included, is a `Response`, never an error.
 *
 * The calls of the returned function reject with an `OAuthError`: `origin_not_allowed` before anything is asked for or sent, `timeout`, or whatever kept the source
 * from giving a token; with the platform's `TypeError`; or with the reason of the caller's signal.
 * @throws OAuthError `invalid_configuration`
 */
export function createFetch(source: TokenSource, options: FetchOptions): typeof globalThis.fetch {
  const settings = fetchSettings(source, options);
  const { baseUrl, origins, retry, timeout, tokenHeader } = settings;
  const exchange = onlyTo(origins, following(settings, repeating(retry, authorized(source, settings, sending(settings)))));

  return async function fetch(input, init) {
    const outgoing = readCall(input, init as CallInit | undefined, baseUrl);
    outgoing.signal?.throwIfAborted();
    const ownAuthorization = hasHeader(outgoing.headers, tokenHeader);
    if (timeout === undefined) return exchange(outgoing, { signal: outgoing.signal, ownAuthorization, replayed: false });
    const limit = timeLimit(timeout, outgoing.signal);
    try {
      const response = await exchange(outgoing, { signal: limit.signal, remaining: () => limit.remaining(), ownAuthorization, replayed: false });
      limit.lift(response);
      return response;
    } catch (thrown) {
      limit.drop();
      throw thrown;
    }
  };
}
