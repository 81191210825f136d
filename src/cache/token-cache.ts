import { LRUCache } from 'lru-cache';
import { waitFor } from '../deadline.js';
import type { AccessToken } from '../tokens/access-token.js';
import type { TokenSource } from '../tokens/token-source.js';
import { CachingSource, type CachingContext, type SourceRequest } from './caching-source.js';

export interface TokenCache {
  /** The source of a key; the same object for as long as the cache remembers it. */
  source(request: SourceRequest): TokenSource;
  /** Forgets the tokens whose key begins so, but for those on their way. */
  forget(prefix: string): void;
  /** Resolves when all flights under way have landed. */
  landed(): Promise<void>;
}

interface Entry {
  readonly state: CachingSource;
  readonly source: TokenSource;
}

/**
 * The memory tier: bounded, the least recently used entry goes first. Sources hold no state of their own but ask for it by key, so two of the same
 * key never keep two tokens; an entry with a flight under way is not forgotten before it has landed.
 */
export function createTokenCache(maxEntries: number, context: CachingContext): TokenCache {
  const entries = new LRUCache<string, Entry>({ max: maxEntries });
  const inFlight = new Map<string, { entry: Entry; flight: Promise<AccessToken> }>();

  const entryOf = (request: SourceRequest, known?: TokenSource): Entry => {
    const { key } = request;
    const found = entries.get(key) ?? inFlight.get(key)?.entry;
    if (found !== undefined) return found;
    const state: CachingSource = new CachingSource(request, context, (flight) => {
      inFlight.set(key, { entry, flight });
      const landed = (): void => {
        if (inFlight.get(key)?.flight !== flight) return;
        inFlight.delete(key);
        entries.set(key, entry);
      };
      flight.then(landed, landed);
    });
    const source: TokenSource = known ?? Object.freeze<TokenSource>({
      // Already a promise: one more would be felt at a million calls per second.
      getToken: (options) => entryOf(state.request, source).state.getToken(options),
    });
    const entry: Entry = { state, source };
    entries.set(key, entry);
    return entry;
  };

  return {
    source(request) {
      const { state, source } = entryOf(request);
      state.request = request;
      return source;
    },
    forget(prefix) {
      for (const key of entries.keys()) if (key.startsWith(prefix)) entries.delete(key);
    },
    async landed() {
      await waitFor(Promise.allSettled([...inFlight.values()].map(({ flight }) => flight)));
    },
  };
}
