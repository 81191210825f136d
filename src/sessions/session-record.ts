import { parseRecord, readTokenMembers, tokenMembers } from '../cache/token-record.js';
import { OAuthError } from '../errors.js';
import type { Claims } from '../server/id-token.js';
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
  /** What was sent of this refresh token without its outcome being known. */
  readonly attempt?: RefreshAttempt | undefined;
  /** What the login granted. */
  readonly scope?: string | undefined;
  /** The one resource that the login asked for, if it was one: refreshes name it again. */
  readonly resource?: string | undefined;
  /** Further members of the token answers; those that a refresh leaves out keep their value. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly idToken?: string | undefined;
  readonly claims?: Claims | undefined;
  /** The newest access token of each request; the session's own is under the empty name. */
  readonly tokens: Readonly<Record<string, StoredToken>>;
}

export interface RefreshAttempt {
  /** Sends that count, whose answer is not known to have come. */
  readonly sends: number;
  /** Milliseconds since the epoch. */
  readonly firstSentAt: number;
}

/** What stays of a session for a day, so that late writers and callers learn that it's over. */
export interface EndedSession {
  readonly fence: number;
  readonly ended: string;
}

export type StoredSession = SessionRecord | EndedSession;

export function isEnded(session: StoredSession): session is EndedSession {
  return 'ended' in session;
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
  const { fence, createdAt, writtenAt, parameters, tokens } = session;
  const isWhole = [fence, createdAt, writtenAt].every((value) => typeof value === 'number') && isPlainObject(parameters) && isPlainObject(tokens);
  if (!isWhole) throw new OAuthError('store_failed', 'An entry of the store is no session of ours: something else writes under its keys');
  const read = Object.entries(tokens).map(([name, members]) => [name, readTokenMembers({ ...members as object })]);
  return { ...session, tokens: Object.fromEntries(read) as SessionRecord['tokens'] } as unknown as SessionRecord;
}
