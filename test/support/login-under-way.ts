import type { LoginOptions, TokenManager } from 'grantkeeper';
import { followLogin } from './user-agent.js';
import { REDIRECT_URI } from './web-client.js';

export interface LoginUnderWay {
  readonly url: URL;
  readonly transaction: string;
  /** The address that the browser was sent back to. */
  readonly callback: string;
  readonly state: string;
  /** The same callback with other parameters: several of a name, or none (`undefined`). */
  callbackWith(change: Readonly<Record<string, string | readonly string[] | undefined>>): string;
}

/** A login whose browser is back from the authorization server: all that is left is to complete it. */
export async function loginUnderWay({ tokens }: { tokens: TokenManager }, options: Partial<LoginOptions> = {}): Promise<LoginUnderWay> {
  const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'openid offline_access', ...options });
  const callback = await followLogin(url);
  return {
    url,
    transaction,
    callback,
    state: url.searchParams.get('state') ?? '',
    callbackWith(change) {
      const changed = new URL(callback);
      for (const [name, values = []] of Object.entries(change)) {
        changed.searchParams.delete(name);
        for (const value of [values].flat()) changed.searchParams.append(name, value);
      }
      return changed.href;
    },
  };
}
