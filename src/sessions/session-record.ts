import { parseRecord, readTokenMembers, tokenMembers } from '../cache/token-record.js';
import { OAuthError } from '../errors.js';
import type { Kept } from '../server/dialect/template.js';
import type { ProofKeyRecord } from '../server/dpop/proof-key.js';
import type { Claims } from '../server/id-token.js';
import { hashedName } from '../tokens/cache-key.js';
import type { StoredToken } from '../tokens/stored-token.js';
import { isPlainObject } from '../validation.js';

/** All that is known of a user's grant. It holds the refresh token: nothing that is handed out has a way to it. */
export interface SessionRecord {
  /** Of the owner of the lock who wrote it: it only grows. */
  readonly fence: number;
  /** Milliseconds since the epoch, as the next two. */
  readonly createdAt: number;
  readonly writtenAt: number;
  readonly refreshedAt?: number | undefined;
  readonly refreshToken?: string | undefined;
  /** The name (`refreshTokenName`) of the refresh token for which the server gave this one. */
  readonly replaced?: string | undefined;
  /** What was sent of this refresh token without its outcome being known. */
  readonly attempt?: RefreshAttempt | undefined;
  /** What the login granted. */
  readonly scope?: string | undefined;
  /** The one resource that the login asked for, if it was one: refreshes name it again. */
  readonly resource?: string | undefined;
  /** Further members of the token answers; those that a refresh leaves out keep their value. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** What the login's callback left, for the requests that follow. */
  readonly kept?: Kept | undefined;
  readonly idToken?: string | undefined;
  readonly claims?: Claims | undefined;
  /** To which the tokens are bound (RFC 9449); absent for a session that began without. */
  readonly proofKey?: ProofKeyRecord | undefined;
  /** The newest access token of each request; the session's own is under the empty name. */
  readonly tokens: Readonly<Record<string, StoredToken>>;
}

export interface RefreshAttempt {
  /** Sends that count, whose answer is not known to have come. */
  readonly sends: number;
  /** Milliseconds since the epoch. */
  readonly firstSentAt: number;
  /** The fences of those who sent it and have not said what came of it: one may have the answer, and write it to its slot at any time. */
  readonly openUnder: readonly number[];
}

/** What stays of a session for a day, so that late writers and callers learn that it's over. */
export interface EndedSession {
  readonly fence: number;
  readonly ended: string;
}

/** The fence of an end that was asked for: nothing is newer. */
export const finalFence: number = Number.MAX_SAFE_INTEGER;

export type StoredSession = SessionRecord | EndedSession;

export function isEnded(session: StoredSession): session is EndedSession {
  return 'ended' in session;
}

/** Whether it's over for good. Any other end may be outdone by a higher fence, and a late write may have put it where readers look. */
export function isFinal({ fence }: StoredSession): boolean {
  return fence === finalFence;
}

/** Whose slots may still get what the server gave for this record's refresh token. */
export function openUnder(session: StoredSession | undefined): readonly number[] {
  return session === undefined || isEnded(session) ? [] : session.attempt?.openUnder ?? [];
}

/** Tells refresh tokens apart without being one. */
export function refreshTokenName(refreshToken: string): string {
  return hashedName('refresh token', refreshToken);
}

/**
 * The record that counts: the one of the highest fence. But where a lower one holds what the server gave for the very refresh token that the highest still has,
 * its writer was late, not outdone: that one's token is the newer.
 */
export function newestOf(found: readonly (StoredSession | undefined)[]): StoredSession | undefined {
  const all = found.filter((session) => session !== undefined);
  const successorOf = (session: StoredSession): SessionRecord | undefined => {
    if (isEnded(session) || session.refreshToken === undefined) return undefined;
    const name = refreshTokenName(session.refreshToken);
    return all.find((other): other is SessionRecord => !isEnded(other) && other.replaced === name);
  };
  const highest = all.reduce<StoredSession | undefined>((known, session) => (known === undefined || session.fence > known.fence ? session : known), undefined);
  let newest = highest;
  const passed = new Set<StoredSession>();
  for (let next = highest; next !== undefined; next = successorOf(next)) {
    // A server that gives a refresh token again: who was late can't be told.
    if (passed.has(next)) return highest;
    passed.add(next);
    newest = next;
  }
  return newest;
}

/** Raised when the shape changes. A record of another version is never overwritten: that could end a session of a newer release. */
const version = 1;

export function writeSession(session: StoredSession): string {
  if (isEnded(session)) return JSON.stringify({ version, ...session });
  const tokens = Object.entries(session.tokens).map(([name, stored]) => [name, tokenMembers(stored)]);
  return JSON.stringify({ version, ...session, tokens: Object.fromEntries(tokens) as unknown });
}

/** @throws OAuthError `store_failed` for anything but a whole record of this version */
export function readSession(text: string): StoredSession {
  const { version: found, ...session } = parseRecord(text);
  if (found !== version) {
    throw new OAuthError('store_failed', 'The session was written by another version of grantkeeper, whose records this one can\'t read: let all processes run the same');
  }
  if (typeof session['fence'] === 'number' && typeof session['ended'] === 'string') return session as unknown as EndedSession;
  const { fence, createdAt, writtenAt, refreshToken, attempt, parameters, proofKey, tokens } = session;
  const isWhole = [fence, createdAt, writtenAt].every((value) => typeof value === 'number') && isPlainObject(parameters) && isPlainObject(tokens)
    && (proofKey === undefined || isProofKey(proofKey)) && (refreshToken === undefined || typeof refreshToken === 'string') && isAttemptOrAbsent(attempt);
  if (!isWhole) throw new OAuthError('store_failed', 'An entry of the store is no session of ours: something else writes under its keys');
  const read = Object.entries(tokens).map(([name, members]) => [name, readTokenMembers({ ...members as object })]);
  return { ...session, tokens: Object.fromEntries(read) as SessionRecord['tokens'] } as unknown as SessionRecord;
}

function isProofKey(value: unknown): boolean {
  const { thumbprint, privateKey } = Object(value) as Partial<Record<keyof ProofKeyRecord, unknown>>;
  return typeof thumbprint === 'string' && (privateKey === undefined || isPlainObject(privateKey));
}

function isAttemptOrAbsent(value: unknown): boolean {
  if (value === undefined) return true;
  const { sends, firstSentAt, openUnder } = Object(value) as Partial<Record<keyof RefreshAttempt, unknown>>;
  return typeof sends === 'number' && typeof firstSentAt === 'number' && Array.isArray(openUnder) && openUnder.every((fence) => typeof fence === 'number');
}
