import { OAuthError, type OAuthErrorCode } from '../errors.js';
import { page, withCookies, type Notice } from './answers.js';
import type { LoginHandlersSettings } from './login-handlers-options.js';

/** Answers what went wrong, and tells the listener; what isn't an `OAuthError` is thrown on. */
export type FailureAnswer = (thrown: unknown, request: Request, options?: { cookies?: readonly string[]; notice?: Notice }) => Promise<Response>;

const unavailable: Notice = { status: 503, title: 'Signing in isn\u2019t possible at the moment', text: 'Please try again in a little while.' };
const broken: Notice = { status: 500, title: 'Signing in failed', text: 'Something isn\u2019t set up as it should be. It isn\u2019t your fault.' };
const notices: Readonly<Partial<Record<OAuthErrorCode, Notice>>> = {
  authorization_failed: { status: 403, title: 'You aren\u2019t signed in', text: 'Signing in was cancelled or refused.' },
  login_expired: { status: 400, title: 'This took too long', text: 'Signing in has to be finished within ten minutes.' },
  callback_already_used: { status: 400, title: 'This was used before', text: 'Each attempt to sign in can be finished once only.' },
  invalid_callback: { status: 400, title: 'This can\u2019t be continued here', text: 'Signing in has to be finished in the browser in which it was begun, with cookies allowed.' },
};

/** After the code was sent they are no longer retryable, since a transaction is good for one exchange only; but another login may succeed. */
const passing: ReadonlySet<OAuthErrorCode> = new Set<OAuthErrorCode>(['server_unreachable', 'timeout', 'store_failed']);

export function failureAnswer({ loginPath, onError }: Pick<LoginHandlersSettings, 'loginPath' | 'onError'>): FailureAnswer {
  return async (thrown, request, { cookies = [], notice } = {}) => {
    if (!(thrown instanceof OAuthError)) throw thrown;
    const own = await onError?.(thrown, request);
    if (own instanceof Response) return withCookies(own, cookies);
    return page(notice ?? noticeOf(thrown), { path: loginPath, text: 'Sign in' }, cookies);
  };
}

function noticeOf({ code, retryable, status = 0 }: OAuthError): Notice {
  if (retryable || passing.has(code) || status === 429 || status >= 500) return unavailable;
  return notices[code] ?? broken;
}
