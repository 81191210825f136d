import { OAuthError } from '../errors.js';
import type { Session } from '../sessions/session.js';
import { redirect } from './answers.js';
import { cookieNamed, expireCookie, readCookies, type Cookies } from './cookies.js';
import type { Page, PageContext } from './page.js';
import { sessionId, setSessionCookie } from './session-cookie.js';
import { transactionCookieName } from './transaction-cookie.js';

/**
 * Completes a login. The callback counts only in the browser that began it: its `state` names the cookie with the transaction.
 *
 * The back button and a second click come here with a login that is over. Where that browser has a session, all is well, and it's sent on.
 */
export function callbackPage({ tokens, afterLogin, destination, failed }: PageContext): Page {
  const signedIn = async (cookies: Cookies): Promise<boolean> => {
    const id = sessionId(cookies);
    // Only a session that is still there: one that has ended would send the browser back to log in, round and round.
    return id !== undefined && await tokens.session(id).info().then((info) => info !== undefined, () => false);
  };

  return {
    method: 'GET',
    answer: async (request) => {
      const cookies = readCookies(request.headers.get('cookie'));
      const name = transactionCookieName(new URL(request.url), cookies);
      const transaction = name === undefined ? undefined : cookieNamed(name, cookies);
      if (name === undefined || transaction === undefined) {
        if (await signedIn(cookies)) return redirect(afterLogin, []);
        return failed(new OAuthError('invalid_callback', 'The callback\'s `state` is of no login under way in this browser: it was begun elsewhere, took more than ten minutes, or its cookie was not kept'), request);
      }
      try {
        const { session, returnTo } = await tokens.completeLogin(request.url, transaction);
        const before = sessionId(cookies);
        if (before !== undefined) await forget(tokens.session(before));
        return redirect(destination(returnTo), [setSessionCookie(session.id), expireCookie(name)]);
      } catch (thrown) {
        const over = thrown instanceof OAuthError && isOver(thrown) ? [expireCookie(name)] : [];
        if (thrown instanceof OAuthError && thrown.code === 'callback_already_used' && await signedIn(cookies)) return redirect(afterLogin, over);
        return failed(thrown, request, { cookies: over });
      }
    },
  };
}

/** A callback that doesn't fit spends nothing, and what may pass can be tried again with the same transaction. */
function isOver({ code, retryable }: OAuthError): boolean {
  return !retryable && code !== 'invalid_callback';
}

/**
 * The session that the browser had before: whoever knows its id must get nothing more by it. It's forgotten, not revoked: many servers take the logins of one user and
 * client for one grant, and revoking the old refresh token (RFC 7009 section 2.1) would take the new one with it.
 */
async function forget(session: Session): Promise<void> {
  await session.end({ revoke: false }).catch(() => undefined);
}
