import type { EndpointAnswer } from '../endpoint-answer.js';
import { readExpiresIn } from '../expires-in.js';
import { isPlainObject } from '../../validation.js';
import type { Names, TokenResponseDialect } from './dialect.js';

type Members = Readonly<Record<string, unknown>>;

/** The members that a token response has by RFC 6749 section 5 and OpenID Connect Core section 3.1.3.3. */
const read = ['access_token', 'token_type', 'expires_in', 'refresh_token', 'id_token', 'scope'] as const;

/**
 * The answer of a token endpoint in the words of RFC 6749 section 5, whatever the server's are. What it doesn't translate stays as it is.
 * @param now when the request was sent, in milliseconds since the epoch: from there a lifetime counts
 */
export function understoodTokenResponse(answer: EndpointAnswer, { at, names = {}, lifetimeUnit, tokenType, errors = {} }: TokenResponseDialect, scopeSeparator: string, now: number): EndpointAnswer {
  const top = answer.members;
  if (top === undefined) return answer;
  const inner = at === undefined ? top : objectAt(top, at) ?? top;
  const found: Members = Object.fromEntries(read.map((name) => [name, lookUp(inner, name, names)]));
  // Some say it in the RFC's words after all.
  const error = lookUp(top, 'error', names) ?? (answer.status > 299 ? top['error'] : undefined);
  const members: Members = {
    ...without(top, [at, names.error, names.error_description, 'error', 'error_description', ...(inner === top ? usedNames(names) : [])]),
    ...(inner !== top && without(inner, usedNames(names))),
    ...found,
    expires_in: lifetimeOf(found['expires_in'], lookUp(inner, 'expires_at', names, true), lifetimeUnit, now),
    scope: typeof found['scope'] === 'string' ? found['scope'].split(scopeSeparator).map((scope) => scope.trim()).filter(Boolean).join(' ') : found['scope'],
    token_type: tokenType ?? found['token_type'],
    ...(!isNoError(error, names, found, errors) && { error: typeof error === 'number' ? String(error) : error, error_description: lookUp(top, 'error_description', names) }),
  };
  return { ...answer, members: Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) };
}

/** @param onlyDeclared looked for under a declared name only */
function lookUp(object: Members, name: keyof Names, names: Names, onlyDeclared = false): unknown {
  const path = Object.hasOwn(names, name) ? names[name] : onlyDeclared ? null : name;
  if (path === null || path === undefined) return undefined;
  return Object.hasOwn(object, path) ? object[path] : valueAt(object, path);
}

function valueAt(object: Members, path: string): unknown {
  return path.split('.').reduce<unknown>((value, name) => ((isPlainObject(value) || Array.isArray(value)) && Object.hasOwn(value, name) ? (value as Members)[name] : undefined), object);
}

function objectAt(object: Members, path: string): Members | undefined {
  const value = valueAt(object, path);
  return isPlainObject(value) ? value as Members : undefined;
}

function usedNames(names: Names): (string | null)[] {
  return [...read, 'expires_at' as const].flatMap((name) => (Object.hasOwn(names, name) ? [name, names[name] ?? null] : [name === 'expires_at' ? null : name]));
}

function without(object: Members, names: readonly (string | null | undefined)[]): Members {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));
}

/** Servers with a code of their own have one for success as well; a code that is declared is none. */
function isNoError(error: unknown, names: Names, { access_token: accessToken }: Members, errors: Members): boolean {
  if (typeof names.error !== 'string' || Object.hasOwn(errors, String(error))) return false;
  return error === 0 || error === '0' || (typeof accessToken === 'string' && accessToken !== '');
}

/** In seconds, as far as it can be read; `expires_at` where there is no `expires_in`. */
function lifetimeOf(expiresIn: unknown, expiresAt: unknown, unit: 'milliseconds' | undefined, now: number): unknown {
  if (readExpiresIn(expiresIn) !== undefined) return unit === undefined ? expiresIn : inSeconds(expiresIn);
  const moment = momentOf(expiresAt);
  return moment === undefined ? undefined : (moment - now) / 1_000;
}

function inSeconds(milliseconds: unknown): unknown {
  const number = typeof milliseconds === 'string' && !milliseconds.includes(':') ? Number(milliseconds) : milliseconds;
  return typeof number === 'number' ? number / 1_000 : milliseconds;
}

/** Below it a number of seconds since the epoch, from it on one of milliseconds: seconds reach it in the year 5138, milliseconds did in 1973. */
const leastMilliseconds = 1e11;

/** Milliseconds since the epoch. */
function momentOf(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  // 0 is how some say that it never expires.
  if (number === 0) return undefined;
  if (typeof number === 'number' && Number.isFinite(number)) return number < leastMilliseconds ? number * 1_000 : number;
  const parsed = typeof value === 'string' ? Date.parse(withZone(value)) : Number.NaN;
  return Number.isNaN(parsed) ? undefined : parsed;
}

/** A date without a zone is UTC, not where this process happens to run. */
function withZone(date: string): string {
  return /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?$/.test(date) ? `${date.replace(' ', 'T')}Z` : date;
}
