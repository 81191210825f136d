import { OAuthError } from '../errors.js';
import { isTokenText, IssuedToken } from '../tokens/access-token.js';
import { isPlainObject } from '../validation.js';
import type { StoredToken } from './token-store.js';

/** Raised when the shape changes: a record of another version is a miss. */
const version = 1;

/** The text of a record. Written out member by member, since a token's value hides from serialization. */
export function writeTokenRecord({ token, lifetime, obtainedAt }: StoredToken): string {
  const { value, type, expiresAt, scope, parameters } = token;
  return JSON.stringify({ version, value, type, expiresAt, scope, parameters, lifetime, obtainedAt });
}

/** Undefined for a record of another version; throws if it's no record at all. */
export function readTokenRecord(text: string): StoredToken | undefined {
  const record = parsed(text);
  if (typeof record['version'] !== 'number') throw noRecord();
  if (record['version'] !== version) return undefined;
  const { value, type, expiresAt, scope, parameters, lifetime, obtainedAt } = record;
  const isWhole = isTokenText(value) && type === 'Bearer' && isNumberOrAbsent(expiresAt) && isTextOrAbsent(scope)
    && isPlainObject(parameters) && typeof lifetime === 'number' && typeof obtainedAt === 'number';
  if (!isWhole) throw noRecord();
  return {
    token: new IssuedToken({ value, type, expiresAt, scope, parameters: { ...parameters } }),
    lifetime,
    obtainedAt,
  };
}

function parsed(text: string): Record<string, unknown> {
  try {
    return { ...JSON.parse(text) as object };
  } catch {
    throw noRecord();
  }
}

function noRecord(): OAuthError {
  return new OAuthError('store_failed', 'An entry of the store is no token record: something else writes under its keys, or it was cut off');
}

function isNumberOrAbsent(value: unknown): value is number | undefined {
  return value === undefined || typeof value === 'number';
}

function isTextOrAbsent(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string';
}
