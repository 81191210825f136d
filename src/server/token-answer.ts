import { readExpiresIn } from './expires-in.js';
import { createRedactor } from './redaction.js';

/** What the answer of a token endpoint says, before any of it is judged. */
export interface TokenMembers {
  readonly accessToken: unknown;
  readonly tokenType: unknown;
  /** Seconds. */
  readonly expiresIn: number | undefined;
  readonly scope: string | undefined;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** @param secrets of the request: an answer may echo them as well */
export function readMembers(members: Readonly<Record<string, unknown>>, secrets: readonly string[]): TokenMembers {
  const { access_token, token_type, expires_in, scope, refresh_token, id_token, ...others } = members;
  const hidden = [...secrets, ...[access_token, refresh_token, id_token].filter((token) => typeof token === 'string' && token !== '')] as string[];
  const holdsSecret = secretDetector(hidden);
  const granted = (Array.isArray(scope) ? scope : [scope]).filter((value) => typeof value === 'string' && value !== '' && !holdsSecret(value)).join(' ');
  return {
    accessToken: access_token,
    tokenType: token_type,
    expiresIn: readExpiresIn(expires_in),
    scope: granted === '' ? undefined : granted,
    parameters: without(holdsSecret, others) as Record<string, unknown>,
  };
}

/** Short secrets are looked for as whole values only: they may be part of anything. */
const shortest = 8;

function secretDetector(hidden: readonly string[]): (text: string) => boolean {
  const redact = createRedactor(hidden.filter((secret) => secret.length >= shortest));
  return (text) => hidden.includes(text) || redact(text) !== text;
}

/** Deeper than any server nests; beyond it nothing is kept. */
const deepest = 32;

/** Tokens of others: what an answer has of these it has at its top, where they are taken from. */
const ofTokens: ReadonlySet<string> = new Set(['access_token', 'refresh_token', 'id_token']);

/**
 * A copy without members that hold a token or secret, in their name or value and at any depth, without those that are called a token, and without `__proto__`, which a
 * careless merge of the caller would follow.
 */
function without(holdsSecret: (text: string) => boolean, value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const kept = (member: unknown): boolean => (typeof member === 'string' ? !holdsSecret(member) : depth < deepest || typeof member !== 'object');
  if (Array.isArray(value)) return value.filter(kept).map((member) => without(holdsSecret, member, depth + 1));
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, member]) => name !== '__proto__' && !ofTokens.has(name) && !holdsSecret(name) && kept(member))
      .map(([name, member]) => [name, without(holdsSecret, member, depth + 1)]),
  );
}
