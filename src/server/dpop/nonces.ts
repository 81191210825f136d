/** The newest nonce of each server, for the next proof (RFC 9449 section 8 and 9): one that asks for nonces may give them with any answer. */
export interface Nonces {
  of(origin: string): string | undefined;
  /** @returns whether the answer has one */
  learn(origin: string, headers: Headers): boolean;
}

/** Servers of one client; the ones that were heard of longest ago go. */
const mostOrigins = 1_000;
/** Of characters that RFC 9449 section 8.1 allows; a longer one is sent back to nobody. */
const usable = /^[\x21\x23-\x5b\x5d-\x7e]{1,1024}$/;

export function createNonces(): Nonces {
  const known = new Map<string, string>();
  return {
    of: (origin) => known.get(origin),
    learn(origin, headers) {
      const nonce = headers.get('dpop-nonce');
      if (nonce === null || !usable.test(nonce)) return false;
      known.delete(origin);
      known.set(origin, nonce);
      for (const oldest of known.keys()) {
        if (known.size <= mostOrigins) break;
        known.delete(oldest);
      }
      return true;
    },
  };
}
