import type { OAuthError } from '../errors.js';
import { checkedLoginOptions, commonLoginRules } from '../login/checked-login-options.js';
import type { LoginOptions } from '../login/login-options.js';
import { safeReturnTo } from '../login/return-to.js';
import { isSecure } from '../transport/secure-url.js';
import { callable, checkOptions, invalid, shapeOf, type Rule, type Rules } from '../validation.js';

/** What every login asks for, and where the pages of a login are. Paths are as the browser sees them, each with its leading `/`. */
export interface LoginHandlersOptions extends Omit<LoginOptions, 'returnTo'> {
  /**
   * Where the browser comes back to, as it's registered at the authorization server (RFC 6749 section 3.1.2). Its path is the callback's, and its origin is your
   * site's: whatever host an inner request names, forms are taken from there only. https, or http to loopback.
   */
  redirectUri: string | URL;
  /** Begins a login; `?returnTo=` names a path of your site to go to afterwards. GET only. @default '/login' */
  loginPath?: string | undefined;
  /** Ends the session; POST only, and only from your own origin. @default '/logout' */
  logoutPath?: string | undefined;
  /** Where a login without `returnTo` leads. @default '/' */
  afterLogin?: string | undefined;
  /**
   * Where a logout leads. A server with RP-initiated logout sends the browser there and wants the whole URL registered for it, with the default
   * `https://app.example.com/` (OpenID Connect RP-Initiated Logout 1.0 section 3).
   * @default '/'
   */
  afterLogout?: string | undefined;
  /**
   * Told of every failure that a user gets to see, since the page says nothing of its reason; the error holds no secret. A `Response` that it gives is
   * sent in the page's place, with the cookies of the page's.
   */
  onError?: LoginErrorListener | undefined;
}

// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- a listener that only logs gives nothing
export type LoginErrorListener = (error: OAuthError, request: Request) => void | Response | Promise<void | Response>;

/** The same, checked, with every default filled in. */
export interface LoginHandlersSettings {
  readonly login: Omit<LoginOptions, 'returnTo'>;
  readonly origin: string;
  readonly callbackPath: string;
  readonly loginPath: string;
  readonly logoutPath: string;
  readonly afterLogin: string;
  readonly afterLogout: string;
  readonly onError: LoginErrorListener | undefined;
}

const pathOnSite: Rule = { expected: 'a path of this site as browsers spell it, such as "/account"', accepts: (value) => typeof value === 'string' && safeReturnTo(value) === value };
const pagePath: Rule = { expected: 'a path of this site without query and fragment, such as "/login"', accepts: (value) => pathOnSite.accepts(value) && !/[?#]/.test(String(value)) };

const rules: Rules<LoginHandlersOptions> = {
  ...commonLoginRules,
  loginPath: pagePath,
  logoutPath: pagePath,
  afterLogin: pathOnSite,
  afterLogout: pathOnSite,
  onError: callable,
};

/** @throws OAuthError `invalid_configuration`, naming the option, the rule and what was received */
export function loginHandlersSettings(where: string, options: LoginHandlersOptions): LoginHandlersSettings {
  checkOptions<LoginHandlersOptions>(where, options, rules);
  const { loginPath = '/login', logoutPath = '/logout', afterLogin = '/', afterLogout = '/', onError, ...login } = options;
  const { redirectUri, parameters } = checkedLoginOptions(where, login);
  const { origin, pathname: callbackPath } = checkedRedirectUri(where, redirectUri);
  const responseMode = parameters['response_mode'] ?? 'query';
  // A form post comes from the authorization server's origin, and browsers send no Lax cookie along; a fragment never reaches a server.
  if (responseMode !== 'query') throw invalid(`${where}: \`parameters.response_mode\` must be query here: the cookie of the login comes along with no other; received ${shapeOf(responseMode)}`);

  const pages = { redirectUri: callbackPath, loginPath, logoutPath };
  const taken = new Map<string, string>();
  for (const [option, path] of Object.entries(pages)) {
    const other = taken.get(path);
    if (other !== undefined) throw invalid(`${where}: \`${option}\` must have another path than \`${other}\`; received ${shapeOf(path)} for both`);
    taken.set(path, option);
  }
  const leadsTo = (path: string): string | undefined => taken.get(new URL(path, origin).pathname);
  const looped = leadsTo(afterLogin);
  if (looped !== undefined) throw invalid(`${where}: \`afterLogin\` must not lead to \`${looped}\`; received ${shapeOf(afterLogin)}`);
  const lost = leadsTo(afterLogout);
  if (lost !== undefined && lost !== 'loginPath') throw invalid(`${where}: \`afterLogout\` must not lead to \`${lost}\`; received ${shapeOf(afterLogout)}`);
  return { login, origin, callbackPath, loginPath, logoutPath, afterLogin, afterLogout, onError };
}

function checkedRedirectUri(where: string, redirectUri: string): URL {
  const url = new URL(redirectUri);
  if (url.username !== '' || url.password !== '') throw invalid(`${where}: \`redirectUri\` must not hold user and password`);
  if (!isSecure(url, true)) throw invalid(`${where}: \`redirectUri\` must be https, or http to loopback: browsers keep the login's cookies nowhere else; received ${shapeOf(url)}`);
  return url;
}
