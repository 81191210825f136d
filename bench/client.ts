import type { Session, TokenManager, TokenManagerOptions } from 'grantkeeper';
import { createTokenManager } from './grantkeeper.js';

/** The same client everywhere: explicit metadata, so that every request that is counted is a token request. */
export function manager(tokenEndpoint: string, options: Partial<TokenManagerOptions> = {}): TokenManager {
  const { origin } = new URL(tokenEndpoint);
  return createTokenManager({
    server: { issuer: origin, token_endpoint: tokenEndpoint, authorization_endpoint: `${origin}/authorize` },
    clientId: 'bench',
    clientSecret: 'secret',
    allowInsecureRequests: true,
    ...options,
  });
}

/** A login without a browser: for a token endpoint that takes any code. */
export async function signIn(tokens: TokenManager): Promise<Session> {
  const { url, transaction } = await tokens.startLogin({ redirectUri: 'https://app.example.com/callback', scope: 'offline_access' });
  const callback = new URLSearchParams({ code: 'any', state: url.searchParams.get('state') ?? '' });
  const { session } = await tokens.completeLogin(`/callback?${callback.toString()}`, transaction);
  return session;
}
