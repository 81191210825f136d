import { createLocalJWKSet } from 'jose/jwks/local';
import { JWKSNoMatchingKey } from 'jose/errors';
import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose';
import { elapsedSince, momentOf, type Clock, type Moment } from '../clock.js';
import { deadlineIn, orAbort } from '../deadline.js';
import { OAuthError } from '../errors.js';
import { discard, send, type TransportOptions } from '../transport/transport.js';
import { isPlainObject } from '../validation.js';
import { parseJsonObject, readBody } from './body.js';
import { isPassingStatus } from './passing-status.js';
import { unreachable } from './unreachable.js';

/** Keys are asked for anew when they are older than this: one that was withdrawn must not be trusted for ever. */
const longestAge = 10 * 60_000;
/** How often an unknown key makes us ask: ID tokens of a stranger must not drive the server. */
const refetchPause = 60_000;

interface KnownKeys {
  readonly keyOf: JWTVerifyGetKey;
  readonly fetched: Moment;
}

export interface JwksOptions {
  readonly transport: TransportOptions;
  readonly clock: Clock;
  /** Milliseconds for one request. */
  readonly timeout: number;
}

/**
 * The keys of one authorization server (RFC 7517). A key that isn't among those known is looked for once more: at once the first time,
 * so that a rotation just now fails no login, then once a minute at most.
 */
export class Jwks {
  #known: KnownKeys | undefined;
  #fetching: Promise<KnownKeys> | undefined;
  #refetched: Moment | undefined;
  readonly #options: JwksOptions;

  constructor(options: JwksOptions) {
    this.#options = options;
  }

  /** What finds the key of a signature; rejects with an error of jose's if there is none, or an `OAuthError` if the keys can't be had. */
  keyFinder(url: URL, signal: AbortSignal): JWTVerifyGetKey {
    return async (header, token) => {
      const known = await this.#current(url, signal);
      try {
        return await known.keyOf(header, token);
      } catch (thrown) {
        const newer = thrown instanceof JWKSNoMatchingKey ? await this.#newerThan(known, url, signal) : undefined;
        if (newer === undefined) throw thrown;
        return newer.keyOf(header, token);
      }
    };
  }

  /** What another login has just fetched, or is fetching, is as new as can be. */
  async #newerThan(known: KnownKeys, url: URL, signal: AbortSignal): Promise<KnownKeys | undefined> {
    if (this.#fetching !== undefined) return this.#fetch(url, signal);
    if (this.#known !== known) return this.#known;
    if (this.#refetched !== undefined && elapsedSince(this.#refetched, this.#options.clock) < refetchPause) return undefined;
    this.#refetched = momentOf(this.#options.clock);
    return this.#fetch(url, signal);
  }

  async #current(url: URL, signal: AbortSignal): Promise<KnownKeys> {
    const known = this.#known;
    if (known !== undefined && elapsedSince(known.fetched, this.#options.clock) < longestAge) return known;
    return this.#fetch(url, signal);
  }

  /** All who ask at the same time share one request, which is nobody's: its deadline is its own. */
  async #fetch(url: URL, signal: AbortSignal): Promise<KnownKeys> {
    this.#fetching ??= fetchKeys(url, this.#options)
      .then((known) => (this.#known = known))
      .finally(() => { this.#fetching = undefined; });
    return orAbort(this.#fetching, signal);
  }
}

async function fetchKeys(url: URL, { transport, clock, timeout }: JwksOptions): Promise<KnownKeys> {
  const { signal, clear } = deadlineIn(timeout, `The authorization server's keys (\`jwks_uri\`) did not come within ${timeout} ms (option \`timeout\`)`);
  const refuse = (reason: string, status: number): OAuthError => new OAuthError('invalid_response', `The authorization server's keys (\`jwks_uri\`) can't be read: ${reason}`, { status, retryable: isPassingStatus(status) });
  try {
    const response = await send(url.href, { headers: { accept: 'application/json' }, redirect: 'manual', signal }, transport);
    if (response.status !== 200) {
      discard(response);
      throw refuse(`HTTP ${response.status}`, response.status);
    }
    const keys = parseJsonObject(await readBody(response, 'The jwks_uri'));
    if (!Array.isArray(keys?.['keys'])) throw refuse('no JSON object with `keys` came', response.status);
    return { keyOf: keySet(keys as unknown as JSONWebKeySet), fetched: momentOf(clock) };
  } catch (thrown) {
    if (thrown instanceof OAuthError) throw thrown;
    signal.throwIfAborted();
    throw unreachable('The authorization server\'s `jwks_uri`', thrown, transport);
  } finally {
    clear();
  }
}

/** A member that is no key is left out: one that is odd must not fail the logins that need another. */
function keySet({ keys }: JSONWebKeySet): JWTVerifyGetKey {
  return createLocalJWKSet({ keys: keys.filter(isPlainObject) });
}
