import { isTokenText, IssuedToken } from '../tokens/access-token.js';
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
  const record = JSON.parse(text) as Record<string, unknown> | null;
  if (typeof record !== 'object' || record === null || typeof record['version'] !== 'number') throw new TypeError('not a token record');
  if (record['version'] !== version) return undefined;
  const { value, type, expiresAt, scope, parameters, lifetime, obtainedAt } = record;
  const isWhole = isTokenText(value) && type === 'Bearer' && isOptional('number', expiresAt) && isOptional('string', scope)
    && typeof parameters === 'object' && parameters !== null && typeof lifetime === 'number' && typeof obtainedAt === 'number';
  if (!isWhole) throw new TypeError('not a token record');
  return {
    token: new IssuedToken({ value, type, expiresAt: expiresAt as number | undefined, scope: scope as string | undefined, parameters: parameters as Record<string, unknown> }),
    lifetime,
    obtainedAt,
  };
}

function isOptional(type: 'number' | 'string', value: unknown): boolean {
  return value === undefined || typeof value === type;
}
