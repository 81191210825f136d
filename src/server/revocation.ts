import { deadlineIn } from '../deadline.js';
import type { AuthorizationServer } from './authorization-server.js';

export interface RevocationContext {
  readonly server: Pick<AuthorizationServer, 'revoke'>;
  /** The option `timeout`, in milliseconds. */
  readonly timeout: number;
}

export interface RevokedTokens {
  readonly refreshToken: string | undefined;
  readonly accessToken?: string | undefined;
}

/** Milliseconds: somebody may be waiting to see that they are signed out. */
const longestRevocation = 3_000;

/** Revokes what nobody is to use any more (RFC 7009). It's the best that can be done, so it never fails, and nobody waits for it for long. */
export async function revokeQuietly({ refreshToken, accessToken }: RevokedTokens, { server, timeout }: RevocationContext): Promise<void> {
  const { signal, clear } = deadlineIn(Math.min(timeout, longestRevocation), 'The revocation took too long');
  await Promise.allSettled([
    refreshToken !== undefined && server.revoke(refreshToken, 'refresh_token', signal),
    accessToken !== undefined && server.revoke(accessToken, 'access_token', signal),
  ]).finally(clear);
}
