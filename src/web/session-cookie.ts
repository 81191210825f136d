import { cookieNamed, expireCookie, setCookie, type Cookies } from './cookies.js';

const name = '__Host-grantkeeper-session';

/**
 * 400 days, the most that browsers keep a cookie (RFC 6265bis section 5.5). It's set at the login and never again, so a shorter life would end sessions that are
 * in use. How long a session lives is the store's to say: the cookie of one that has ended names nothing.
 */
const maxAge = 400 * 24 * 60 * 60;

export function setSessionCookie(id: string): string {
  return setCookie(name, id, maxAge);
}

export function expireSessionCookie(): string {
  return expireCookie(name);
}

/** The session's id, if there is one that looks like it: 256 bits in base64url. */
export function sessionId(cookies: Cookies): string | undefined {
  const value = cookieNamed(name, cookies);
  return value !== undefined && /^[\w-]{43}$/.test(value) ? value : undefined;
}
