import type { Session } from '../sessions/session.js';
import type { LoginHandlersOptions } from './login-handlers-options.js';
import { loginPages } from './login-pages.js';
import type { LoginManager } from './page.js';

/** The three pages of a login on the standard `Request` and `Response`: for Hono, Next route handlers, and whatever else speaks them. */
export interface LoginHandlers {
  /**
   * Answers if the request's path is one of the three; failures are pages too.
   * @returns `undefined` for every other path
   */
  readonly handle: (request: Request) => Promise<Response | undefined>;
  /** The session that the request's cookie names; `undefined` without one. Nothing is looked up: its first use shows whether it's still there. */
  readonly session: (request: { readonly headers: Pick<Headers, 'get'> }) => Session | undefined;
}

/**
 * Login, callback and logout for a web backend.
 * @throws OAuthError `invalid_configuration`, naming the option, the rule and what was received
 */
export function createLoginHandlers(tokens: LoginManager, options: LoginHandlersOptions): LoginHandlers {
  const pages = loginPages(tokens, options);
  return Object.freeze<LoginHandlers>({
    handle: async (request) => pages.at(new URL(request.url).pathname)?.(request),
    session: ({ headers }) => pages.session(headers.get('cookie')),
  });
}
