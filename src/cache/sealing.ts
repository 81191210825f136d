import { createHash } from 'node:crypto';
// By their own entry points: all of jose takes longer to load than openid-client.
import { decodeProtectedHeader } from 'jose/decode/protected_header';
import { compactDecrypt } from 'jose/jwe/compact/decrypt';
import { CompactEncrypt } from 'jose/jwe/compact/encrypt';
import { OAuthError } from '../errors.js';

/** Closes texts so that only holders of a key can read them, each under the name it was closed for. */
export interface Sealer {
  seal(name: string, text: string): Promise<string>;
  /** Rejects if the text was sealed by an unknown key, for another name, or was touched. */
  open(name: string, sealed: string): Promise<string>;
}

/** For stores that may hold tokens in the clear. */
export const unsealed: Sealer = {
  seal: async (_name, text) => Promise.resolve(text),
  open: async (_name, sealed) => Promise.resolve(sealed),
};

/**
 * AES-256-GCM as a compact JWE (RFC 7516). The name is a member of the protected header, which is authenticated: an entry that was moved
 * to another name doesn't open. The first key seals, all open.
 */
export function createSealer(keys: readonly [Uint8Array, ...Uint8Array[]]): Sealer {
  const byId = new Map(keys.map((key) => [keyId(key), key]));
  const [first] = keys;
  return {
    async seal(name, text) {
      return new CompactEncrypt(new TextEncoder().encode(text)).setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: keyId(first), name }).encrypt(first);
    },
    async open(name, sealed) {
      const { kid, name: sealedFor } = decodeProtectedHeader(sealed);
      const key = byId.get(kid ?? '');
      if (key === undefined) throw unreadable('was sealed by a key that is not in `encryptionKeys`; while keys rotate, the old one stays in the list behind the new one');
      if (sealedFor !== name) throw unreadable('was sealed for another key of the store, and copied or moved');
      const { plaintext } = await compactDecrypt(sealed, key, { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] });
      return new TextDecoder().decode(plaintext);
    },
  };
}

function unreadable(reason: string): OAuthError {
  return new OAuthError('store_failed', `An entry of the store ${reason}`);
}

/** 32 bytes in base64url or hex, or nothing. */
export function decodeKey(text: string): Uint8Array | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
  return /^[\w-]{43}=?$/.test(text) ? Buffer.from(text, 'base64url') : undefined;
}

/** Tells keys apart without saying anything of them that could be used. */
function keyId(key: Uint8Array): string {
  return createHash('sha256').update('grantkeeper key id').update(key).digest('base64url').slice(0, 8);
}
