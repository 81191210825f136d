import { checkArguments, hostLabel } from './arguments.js';
import type { Provider, ProviderFetch } from './provider.js';

/**
 * A store on Shopify. Offline access tokens live for an hour, refresh tokens for 90 days, where `expiring` asks for that, as public apps must. A refresh brings another refresh
 * token; the one before is taken until the new one is used, for 30 days at most. The answer has no `token_type`.
 *
 * Callbacks are signed by `hmac`, which is not looked at: `state` ties them to the browser. Whether PKCE is looked at is not documented.
 * @param given `shop`: the store's name, what stands before `.myshopify.com`
 * @see https://shopify.dev/docs/apps/build/authentication-authorization/authenticate-standalone-apps read 2026-11-29
 * @see https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/offline-access-tokens read 2026-11-29
 * @see https://shopify.dev/changelog/more-resilient-refreshes-for-expiring-offline-access-tokens of 2026-08-28, read 2026-11-29
 * @throws OAuthError `invalid_configuration`
 */
export function shopify(given: { shop: string }): Provider {
  checkArguments('shopify', given, { shop: hostLabel });
  const origin = originOf(given.shop);
  return {
    server: {
      authorization_endpoint: `${origin}/admin/oauth/authorize`,
      token_endpoint: `${origin}/admin/oauth/access_token`,
      token_endpoint_auth_methods_supported: ['client_secret_post'],
    },
    dialect: { scopeSeparator: ',', tokenRequest: { parameters: { expiring: '1' } }, refreshRequest: { parameters: {} }, tokenResponse: { tokenType: 'Bearer' } },
    refreshGrace: 30 * 24 * 60 * 60_000,
  };
}

/**
 * The store's Admin API.
 * @see https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens read 2026-11-29
 * @throws OAuthError `invalid_configuration`
 */
export function shopifyFetch(given: { shop: string }): ProviderFetch {
  checkArguments('shopifyFetch', given, { shop: hostLabel });
  return { baseUrl: originOf(given.shop), tokenHeader: 'x-shopify-access-token' };
}

function originOf(shop: string): string {
  return `https://${shop.toLowerCase()}.myshopify.com`;
}
