import { randomBytes } from 'node:crypto';
import { deadlineIn } from '../deadline.js';
import type { AuthorizationServer } from '../server/authorization-server.js';
import { checkOptions, flag, type Rules } from '../validation.js';
import type { EndOptions } from './session.js';
import type { SessionRecord } from './session-record.js';

export interface SignOutContext {
  readonly server: AuthorizationServer;
  readonly timeout: number;
}

const rules: Rules<EndOptions> = {
  postLogoutRedirectUri: { expected: 'an absolute URL', accepts: (value) => typeof value === 'string' && URL.canParse(value) },
  revoke: flag,
};

/** @throws OAuthError `invalid_configuration` */
export function checkEndOptions(options: EndOptions): void {
  checkOptions<EndOptions>('end', options, rules);
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
    revoke && revokeGrant(last, server, signal),
  ]).finally(clear);
  return url === undefined ? {} : { url };
}

/** The refresh token, with which the grant goes (RFC 7009 section 2.1); without one the access token. */
async function revokeGrant(last: SessionRecord | undefined, server: AuthorizationServer, signal: AbortSignal): Promise<void> {
  const accessToken = last?.tokens['']?.token.value;
  if (last?.refreshToken !== undefined) await server.revoke(last.refreshToken, 'refresh_token', signal).catch(() => undefined);
  else if (accessToken !== undefined) await server.revoke(accessToken, 'access_token', signal).catch(() => undefined);
}
