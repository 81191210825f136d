import { OAuthError } from '../errors.js';
import type { Exchange } from './send.js';

/** A bearer token is whoever's holds it: nothing is asked for and nothing sent where the caller didn't allow it. */
export function onlyTo(origins: ReadonlySet<string>, next: Exchange): Exchange {
  return async (outgoing, call) => {
    const { origin, protocol } = outgoing.url;
    if (!origins.has(origin)) {
      const named = origin === 'null' ? `A URL with the scheme ${protocol}` : origin;
      throw new OAuthError('origin_not_allowed', `${named} may not receive this token; allowed: ${[...origins].join(', ')}. If it should, add it to the option \`origins\` of createFetch`);
    }
    return next(outgoing, call);
  };
}
