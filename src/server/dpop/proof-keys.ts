import type { PrivateKey } from '../keys/signing-key.js';
import { configuredProofKey, generatedProofKey, storedProofKey, type ProofKey, type ProofKeyRecord } from './proof-key.js';

/** The option `dpop` (RFC 9449): `true` makes keys as they are needed; one of your own is used for everything. `alg` is the JWS algorithm of its proofs. @default the key's usual one */
export type DPoPOption = true | { readonly privateKey: PrivateKey; readonly alg?: string | undefined };

/** Which key goes with what; undefined throughout where tokens are bound to none. */
export interface ProofKeys {
  /** Of the tokens that a manager gets for itself: the same for as long as it lives. */
  readonly own: ProofKey | undefined;
  /** For a session that begins. */
  ofNewSession(): ProofKey | undefined;
  /** Of a session that was begun earlier, perhaps elsewhere; undefined if this process doesn't have it. */
  ofRecord(record: ProofKeyRecord): ProofKey | undefined;
}

/**
 * @param isPublic whether the client has no proof of its own: then its refresh tokens are bound to the key as well (RFC 9449 section 5), and another key won't do
 * @throws OAuthError `invalid_configuration` for a key that can't sign
 */
export function proofKeys(option: DPoPOption | undefined, { isPublic }: { readonly isPublic: boolean }): ProofKeys {
  const configured = typeof option === 'object' ? configuredProofKey(option) : undefined;
  let own = configured;
  return {
    get own() {
      return (own ??= option === true ? generatedProofKey() : undefined);
    },
    ofNewSession: () => configured ?? (option === true ? generatedProofKey() : undefined),
    ofRecord({ thumbprint, privateKey }) {
      if (privateKey !== undefined) return storedProofKey(privateKey);
      return isPublic && configured?.thumbprint !== thumbprint ? undefined : configured;
    },
  };
}
