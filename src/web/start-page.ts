import { safeReturnTo } from '../login/return-to.js';
import { invalid, text } from '../validation.js';
import { redirect } from './answers.js';
import { expireCookie, readCookies } from './cookies.js';
import type { Page, PageContext } from './page.js';
import { setTransactionCookie, surplusTransactionCookies, transactionCookieOf } from './transaction-cookie.js';

/** Browsers drop a cookie whose name and value have more bytes, and say nothing (RFC 6265 section 6.1). */
const longestCookie = 4_096;
/** The transaction holds this and is sealed: a third longer. A login that leads home is better than one that can't be finished. */
const longestReturnTo = 1_000;

/** Begins a login, for a user who is signed in as well: that's how to get fresh tokens after `reauthorization_required`. */
export function startPage({ tokens, login, failed }: PageContext): Page {
  const begun = async (returnTo: string | undefined): Promise<{ url: URL; name: string; transaction: string }> => {
    const { url, state, transaction } = await tokens.startLogin({ ...login, returnTo });
    if (!text.accepts(state)) throw invalid('startLogin: the authorization request must have one `state`');
    const name = transactionCookieOf(state);
    const size = name.length + transaction.length;
    if (size <= longestCookie) return { url, name, transaction };
    if (returnTo !== undefined) return begun(undefined);
    throw invalid(`createLoginHandlers: what the browser has to keep of a login has ${size} bytes, and browsers drop a cookie above ${longestCookie}: ask for fewer or shorter scopes and resources`);
  };

  return {
    method: 'GET',
    answer: async (request) => {
      const cookies = readCookies(request.headers.get('cookie'));
      try {
        const { url, name, transaction } = await begun(requestedReturnTo(request));
        return redirect(url.href, [...surplusTransactionCookies(cookies).map(expireCookie), setTransactionCookie(name, transaction)]);
      } catch (thrown) {
        return failed(thrown, request);
      }
    },
  };
}

function requestedReturnTo(request: Request): string | undefined {
  const asked = new URL(request.url).searchParams.get('returnTo');
  if (asked === null) return undefined;
  const returnTo = safeReturnTo(asked);
  return returnTo.length <= longestReturnTo ? returnTo : undefined;
}
