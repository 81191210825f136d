import { safeReturnTo } from '../login/return-to.js';
import type { Session } from '../sessions/session.js';
import { having, invalid, shapeOf } from '../validation.js';
import { page } from './answers.js';
import { callbackPage } from './callback-page.js';
import { readCookies } from './cookies.js';
import { failureAnswer } from './failure.js';
import { loginHandlersSettings, type LoginHandlersOptions } from './login-handlers-options.js';
import { logoutPage } from './logout-page.js';
import type { LoginManager, Page, PageContext } from './page.js';
import { sessionId } from './session-cookie.js';
import { startPage } from './start-page.js';

/** The three pages, and the session behind a cookie: what the handlers for the web and for Node have in common. */
export interface LoginPages {
  /** The site's own origin: that of the redirect URI. */
  readonly origin: string;
  /** What answers at a path, whatever the method; `undefined` if it's none of the three. */
  at(path: string): ((request: Request) => Promise<Response>) | undefined;
  /** @param cookieHeader the `Cookie` header */
  session(cookieHeader: string | null | undefined): Session | undefined;
}

/** @throws OAuthError `invalid_configuration` */
export function loginPages(tokens: LoginManager, options: LoginHandlersOptions): LoginPages {
  const where = 'createLoginHandlers';
  if (!having('startLogin', 'completeLogin', 'session').accepts(tokens)) throw invalid(`${where}: the first argument must be a token manager; received ${shapeOf(tokens)}`);
  const settings = loginHandlersSettings(where, options);
  const { origin, callbackPath, loginPath, logoutPath, afterLogin } = settings;
  const context: PageContext = {
    ...settings,
    tokens,
    failed: failureAnswer(settings),
    destination: (returnTo) => {
      const path = returnTo === undefined ? afterLogin : safeReturnTo(returnTo);
      return pages.has(new URL(origin + path).pathname) ? afterLogin : path;
    },
  };
  const pages = new Map<string, Page>([[loginPath, startPage(context)], [callbackPath, callbackPage(context)], [logoutPath, logoutPage(context)]]);
  return {
    origin,
    at(path) {
      const found = pages.get(path);
      return found && (async (request) => (request.method === found.method ? found.answer(request) : notAllowed(found.method)));
    },
    session(cookieHeader) {
      const id = sessionId(readCookies(cookieHeader));
      return id === undefined ? undefined : tokens.session(id);
    },
  };
}

/** HEAD as well: finding out about a page must neither begin a login nor spend one. */
function notAllowed(method: Page['method']): Response {
  return page({ status: 405, title: 'This page can\u2019t be opened like that', text: `It takes ${method} only.` }, undefined, [], { allow: method });
}
