import type { PrivateKey } from '../keys/signing-key.js';
import { configuredProofKey, generatedProofKey, storedProofKey, type ProofKey, type ProofKeyRecord } from './proof-key.js';

/** The option `dpop` (RFC 9449): `true` makes keys as they are needed; one of your own is used for everything. */
export type DPoPOption = true | { readonly privateKey: PrivateKey };

/** Which key goes with what; undefined throughout where tokens are bound to none. */
export interface ProofKeys {
  /** Of the tokens that a manager gets for itself: the same for as long as it lives. */
  readonly own: ProofKey | undefined;
  /** For a session that begins. */
  ofNewSession(): ProofKey | undefined;
  /** Of a session that was begun earlier, perhaps elsewhere; undefined if this process doesn't have it. */
  ofRecord(record: ProofKeyRecord): ProofKey | undefined;
}

/** @throws OAuthError `invalid_configuration` for a key that can't sign */
export function proofKeys(option: DPoPOption | undefined): ProofKeys {
  const configured = typeof option === 'object' ? configuredProofKey(option.privateKey) : undefined;
  let own = configured;
  return {
    get own() {
      return (own ??= option === true ? generatedProofKey() : undefined);
    },
    ofNewSession: () => configured ?? (option === true ? generatedProofKey() : undefined),
    // Another key than the session began with is as good: a server that doesn't think so says so.
    ofRecord: ({ privateKey }) => (privateKey === undefined ? configured : storedProofKey(privateKey)),
  };
}
