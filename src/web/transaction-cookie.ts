import { createHash } from 'node:crypto';
import { claimedState } from '../login/claimed-state.js';
import { setCookie, type Cookies } from './cookies.js';

const prefix = '__Host-grantkeeper-login-';
const ours = new RegExp(`^${prefix}[\\w-]{12}$`);

/** As long as a transaction is good for. */
const maxAge = 10 * 60;

/** Logins that may be under way in one browser. Each costs a kilobyte or two of every request's headers, of which servers take 8 to 16. */
const most = 4;

/**
 * Each login has a cookie of its own, so that two tabs don't take each other's. Its name is found by the `state` that the authorization request and the callback share; where
 * the server calls that otherwise, by the one parameter that fits a cookie of this browser.
 * @returns `undefined` where that's not exactly one
 */
export function transactionCookieName({ searchParams }: URL, cookies: Cookies = []): string | undefined {
  const state = claimedState(searchParams);
  if (state !== undefined) return transactionCookieOf(state);
  if (searchParams.has('state') || searchParams.has('response')) return undefined;
  const [name, ...others] = new Set([...searchParams.values()].map(transactionCookieOf).filter((candidate) => cookies.some(([cookie]) => cookie === candidate)));
  return others.length === 0 ? name : undefined;
}

export function transactionCookieOf(state: string): string {
  return prefix + createHash('sha256').update(state).digest('base64url').slice(0, 12);
}

export function setTransactionCookie(name: string, transaction: string): string {
  return setCookie(name, transaction, maxAge);
}

/** The cookies of abandoned logins that have to go when another begins: the oldest, which browsers send first (RFC 6265 section 5.4). */
export function surplusTransactionCookies(cookies: Cookies): string[] {
  const names = new Set(cookies.map(([name]) => name).filter((name) => ours.test(name)));
  return [...names].slice(0, Math.max(0, names.size - most + 1));
}
