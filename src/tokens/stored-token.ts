import type { AccessToken } from './access-token.js';
import type { TokenBinding } from './token-binding.js';

/** What a store keeps of a token, so that another process can go on with it. */
export interface StoredToken {
  readonly token: AccessToken;
  /** Milliseconds; `Infinity` for one that is used until it's refused. */
  readonly lifetime: number;
  /** When the token request was sent, in milliseconds since the epoch. */
  readonly obtainedAt: number;
  /** False for a token that nothing can follow: it's used to its last moment. */
  readonly renewable: boolean;
  /** Not stored: who reads it knows it, or can't use the token. */
  readonly binding?: TokenBinding | undefined;
}
