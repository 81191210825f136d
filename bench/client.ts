import type { TokenManager, TokenManagerOptions } from 'grantkeeper';
import { createTokenManager } from './grantkeeper.js';

/** The same client everywhere: explicit metadata, so that every request that is counted is a token request. */
export function manager(tokenEndpoint: string, options: Partial<TokenManagerOptions> = {}): TokenManager {
  return createTokenManager({
    server: { issuer: new URL(tokenEndpoint).origin, token_endpoint: tokenEndpoint },
    clientId: 'bench',
    clientSecret: 'secret',
    allowInsecureRequests: true,
    ...options,
  });
}
