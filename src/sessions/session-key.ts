import { OAuthError } from '../errors.js';
import type { ProofKey } from '../server/dpop/proof-key.js';
import type { ProofKeys } from '../server/dpop/proof-keys.js';
import type { StoredToken } from '../tokens/stored-token.js';
import type { TokenBinding } from '../tokens/token-binding.js';
import type { SessionRecord } from './session-record.js';

export interface SessionKeyContext {
  readonly keys: ProofKeys;
  /** What goes with the tokens of a key, or of none. */
  readonly bindingOf: (key: ProofKey | undefined) => TokenBinding | undefined;
}

/**
 * The key that a session's tokens are bound to (RFC 9449); undefined for a session that began without one, which goes on without.
 * @throws OAuthError `invalid_configuration` where this process doesn't have it
 */
export function keyOf({ proofKey }: SessionRecord, { keys }: SessionKeyContext): ProofKey | undefined {
  const key = proofKey && keys.ofRecord(proofKey);
  if (proofKey === undefined || key !== undefined) return key;
  throw new OAuthError('invalid_configuration', 'The session\'s tokens are bound to a key that this token manager does not have: set the option `dpop` to what it was when the session began');
}

/** A token of a session with what goes with it; undefined for one that is bound to another key than this process has. */
export function tokenOf(record: SessionRecord, name: string, context: SessionKeyContext): StoredToken | undefined {
  const stored = record.tokens[name];
  const key = keyOf(record, context);
  return stored === undefined || isBoundElsewhere(record, key) ? undefined : { ...stored, binding: context.bindingOf(key) };
}

/** Whether the tokens of a record are bound to another key: one that was configured may have been replaced. */
export function isBoundElsewhere({ proofKey }: SessionRecord, key: ProofKey | undefined): boolean {
  return proofKey?.thumbprint !== key?.thumbprint;
}
