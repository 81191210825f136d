import { page, redirect, type Notice } from './answers.js';
import { readCookies } from './cookies.js';
import { isFromOwnOrigin } from './own-origin.js';
import type { Page, PageContext } from './page.js';
import { expireSessionCookie, sessionId } from './session-cookie.js';

const foreign: Notice = { status: 403, title: 'You are still signed in', text: 'This request did not come from a page of this site.' };
const incomplete: Notice = { status: 503, title: 'You are signed out in this browser', text: 'The rest failed: the service that you sign in with may still know you. On a shared computer, sign out there too.' };

/**
 * Ends the session, and then that of the authorization server where it has RP-initiated logout.
 *
 * Where the session can't be ended, its cookie goes all the same: at this browser nobody gets at the user's data any more, which is what was asked for. The session
 * is then named by nothing and idles out. But the user is told, since the next click on "Sign in" may come back without a password.
 */
export function logoutPage({ tokens, login, origin, afterLogout, failed }: PageContext): Page {
  return {
    method: 'POST',
    answer: async (request) => {
      if (!isFromOwnOrigin(request.headers, origin)) return page(foreign, undefined);
      const cookies = [expireSessionCookie()];
      const id = sessionId(readCookies(request.headers.get('cookie')));
      if (id === undefined) return redirect(afterLogout, cookies);
      try {
        const { url } = await tokens.session(id).end({ postLogoutRedirectUri: new URL(afterLogout, login.redirectUri).href });
        return redirect(url?.href ?? afterLogout, cookies);
      } catch (thrown) {
        return failed(thrown, request, { cookies, notice: incomplete });
      }
    },
  };
}
