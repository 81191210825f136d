import { OAuthError } from '../errors.js';

/**
 * A bearer token is whoever's holds it: nothing is asked for and nothing sent where the caller didn't allow it.
 * @throws OAuthError `origin_not_allowed`
 */
export function checkOrigin({ origin, protocol }: URL, origins: ReadonlySet<string>): void {
  // A `blob:` URL has the origin of its maker.
  const isHttp = protocol === 'https:' || protocol === 'http:';
  if (isHttp && origins.has(origin)) return;
  throw new OAuthError('origin_not_allowed', `${isHttp ? origin : `A URL with the scheme ${protocol}`} may not receive this token; allowed: ${[...origins].join(', ')}. If it should, add it to the option \`origins\` of createFetch`);
}
