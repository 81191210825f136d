import type { TokenManagerOptions } from '../token-manager-options.js';

/** What is known of an authorization server, for `createTokenManager({ ...provider, clientId, clientSecret })`. */
export type Provider = Readonly<Pick<TokenManagerOptions, 'issuer' | 'server' | 'dialect' | 'refreshGrace' | 'assumedLifetime'>>;

/** How its API takes tokens, for `createFetch(source, { ...providerFetch, baseUrl })`. */
export interface ProviderFetch {
  readonly baseUrl?: string;
  readonly tokenHeader?: string;
  readonly tokenScheme?: string;
}
