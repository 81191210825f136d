import { randomBytes } from 'node:crypto';
import { deadlineIn } from '../deadline.js';
import type { AuthorizationServer } from '../server/authorization-server.js';
import { revokeQuietly, type RevocationContext, type RevokedTokens } from '../server/revocation.js';
import { checkOptions, flag, type Rules } from '../validation.js';
import type { EndOptions } from './session.js';
import type { SessionRecord } from './session-record.js';

const rules: Rules<EndOptions> = {
  postLogoutRedirectUri: { expected: 'an absolute URL', accepts: (value) => typeof value === 'string' && URL.canParse(value) },
  revoke: flag,
};

/** @throws OAuthError `invalid_configuration` */
export function checkEndOptions(options: EndOptions): void {
  checkOptions<EndOptions>('end', options, rules);
}

export interface SignOutContext extends RevocationContext {
  readonly server: AuthorizationServer;
}

/** What is to be done at the authorization server once a session is gone here. None of it can fail the logout. */
export async function signOut(last: SessionRecord | undefined, { postLogoutRedirectUri, revoke = true }: EndOptions, { server, timeout }: SignOutContext): Promise<{ url?: URL }> {
  const { signal, clear } = deadlineIn(timeout, `The logout took longer than ${timeout} ms (option \`timeout\`)`);
  const parameters = {
    ...(last?.idToken !== undefined && { id_token_hint: last.idToken }),
    // It comes back with the browser, so that the page it comes back to can tell.
    ...(postLogoutRedirectUri !== undefined && { post_logout_redirect_uri: postLogoutRedirectUri, state: randomBytes(16).toString('base64url') }),
  };
  const [url] = await Promise.all([
    server.endSessionUrl(parameters, signal).catch(() => undefined),
    revoke && last !== undefined && revokeQuietly(grantOf(last), { server, timeout }),
  ]).finally(clear);
  return url === undefined ? {} : { url };
}

/** The refresh token, with which the grant goes (RFC 7009 section 2.1); without one the access token. */
function grantOf({ refreshToken, tokens }: SessionRecord): RevokedTokens {
  return { refreshToken, accessToken: refreshToken === undefined ? tokens['']?.token.value : undefined };
}
