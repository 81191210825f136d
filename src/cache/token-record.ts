import { OAuthError } from '../errors.js';
import { isTokenText, IssuedToken } from '../tokens/access-token.js';
import type { StoredToken } from '../tokens/stored-token.js';
import { isPlainObject } from '../validation.js';

/** Raised when the shape changes: a record of another version is a miss. */
const version = 1;

/** The text of a record. */
export function writeTokenRecord(stored: StoredToken): string {
  return JSON.stringify({ version, ...tokenMembers(stored) });
}

/** Undefined for a record of another version; throws if it's no record at all. */
export function readTokenRecord(text: string): StoredToken | undefined {
  const record = parseRecord(text);
  return record['version'] === version ? readTokenMembers(record) : undefined;
}

/** What of a token is written, member by member: its value hides from serialization, and JSON has no `Infinity`. */
export function tokenMembers({ token, lifetime, obtainedAt, renewable }: StoredToken): object {
  const { value, type, expiresAt, scope, parameters } = token;
  return { value, type, expiresAt, scope, parameters, lifetime: Number.isFinite(lifetime) ? lifetime : undefined, obtainedAt, renewable };
}

/** @throws OAuthError `store_failed` */
export function readTokenMembers(members: Readonly<Record<string, unknown>>): StoredToken {
  const { value, type, expiresAt, scope, parameters, lifetime, obtainedAt, renewable } = members;
  const isWhole = isTokenText(value) && (type === 'Bearer' || type === 'DPoP') && isNumberOrAbsent(expiresAt) && isTextOrAbsent(scope)
    && isPlainObject(parameters) && isNumberOrAbsent(lifetime) && typeof obtainedAt === 'number';
  if (!isWhole) throw noRecord();
  return {
    token: new IssuedToken({ value, type, expiresAt, scope, parameters: { ...parameters } }),
    lifetime: lifetime ?? Infinity,
    obtainedAt,
    renewable: renewable !== false,
  };
}

/**
 * The members of a record of whatever version.
 * @throws OAuthError `store_failed`
 */
export function parseRecord(text: string): Record<string, unknown> {
  let record: unknown;
  try {
    record = JSON.parse(text);
  } catch {
    throw noRecord();
  }
  if (!isPlainObject(record) || typeof Reflect.get(record, 'version') !== 'number') throw noRecord();
  return { ...record };
}

export function noRecord(): OAuthError {
  return new OAuthError('store_failed', 'An entry of the store is no record of ours: something else writes under its keys, or it was cut off');
}

function isNumberOrAbsent(value: unknown): value is number | undefined {
  return value === undefined || typeof value === 'number';
}

function isTextOrAbsent(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string';
}
