import { safeReturnTo } from '../login/return-to.js';
import { invalid, text } from '../validation.js';
import { redirect } from './answers.js';
import { expireCookie, readCookies } from './cookies.js';
import type { Page, PageContext } from './page.js';
import { setTransactionCookie, surplusTransactionCookies, transactionCookieOf } from './transaction-cookie.js';

/** Browsers drop a cookie above 4,096 bytes, and the transaction holds this and is sealed: a third longer. A login that leads home is better than one that can't be finished. */
const longestReturnTo = 1_000;

/** Begins a login, for a user who is signed in as well: that's how to get fresh tokens after `reauthorization_required`. */
export function startPage({ tokens, login, failed }: PageContext): Page {
  return {
    method: 'GET',
    answer: async (request) => {
      const cookies = readCookies(request.headers.get('cookie'));
      try {
        const { url, state, transaction } = await tokens.startLogin({ ...login, returnTo: requestedReturnTo(request) });
        if (!text.accepts(state)) throw invalid('startLogin: the authorization request must have one `state`');
        return redirect(url.href, [...surplusTransactionCookies(cookies).map(expireCookie), setTransactionCookie(transactionCookieOf(state), transaction)]);
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
