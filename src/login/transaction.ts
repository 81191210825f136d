import type { Sealer } from '../cache/sealing.js';
import { OAuthError } from '../errors.js';
import type { ProofKeyRecord } from '../server/dpop/proof-key.js';

/** What a login has to remember while the browser is away. */
export interface Transaction {
  readonly state: string;
  readonly nonce: string;
  readonly codeVerifier: string;
  readonly redirectUri: string;
  readonly returnTo?: string | undefined;
  readonly scope: readonly string[];
  readonly resource: readonly string[];
  /** Seconds. */
  readonly maxAge?: number | undefined;
  /** How the callback has to come; bare where it's undefined. */
  readonly responseMode?: 'jwt' | undefined;
  /** To which the code and the tokens are bound (RFC 9449 section 10). */
  readonly proofKey?: ProofKeyRecord | undefined;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
}

/** Milliseconds that a login may take. */
export const transactionLifetime: number = 10 * 60_000;

const version = 1;

/** Transactions of one client at one server, sealed: what a browser keeps can neither be read nor made up there. */
export interface Transactions {
  seal(transaction: Transaction): Promise<string>;
  /** @throws OAuthError `invalid_callback` for what was not sealed here, `login_expired` */
  open(sealed: string, now: number): Promise<Transaction>;
}

/** @param name of the client at its server: a transaction of another doesn't open */
export function createTransactions(sealer: Sealer, name: string): Transactions {
  return {
    seal: async (transaction) => sealer.seal(name, JSON.stringify({ version, ...transaction })),
    async open(sealed, now) {
      const transaction = await opened(sealer, name, sealed);
      const age = now - transaction.startedAt;
      if (age >= transactionLifetime) throw new OAuthError('login_expired', `The login was started more than ${transactionLifetime / 60_000} minutes ago: it has to be started again`);
      return transaction;
    },
  };
}

async function opened(sealer: Sealer, name: string, sealed: string): Promise<Transaction> {
  try {
    const { version: found, ...transaction } = JSON.parse(await sealer.open(name, sealed)) as Transaction & { version: number };
    if (found === version) return transaction;
  } catch {
    // Whatever is wrong with it, it's not one of ours.
  }
  throw new OAuthError('invalid_callback', 'The transaction is not one that this client sealed: it was changed, cut off, or started by a process with other `encryptionKeys`. The login has to be started again');
}
