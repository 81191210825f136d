import { checkArguments, matches } from './arguments.js';
import type { Provider } from './provider.js';

/**
 * Microsoft Entra ID, discovered; a secret goes into the body. A refresh brings another refresh token and the one before is not revoked: it lives on for up to 90 days, in a
 * single-page application's for 24 hours, which is the grace declared here. Ask for `offline_access`.
 *
 * The tenant is named by its GUID, as it is in the issuer: the documents of a domain name, `common` and `organizations` have another issuer than the address that they are found at.
 * @param given `tenant`: the directory (tenant) ID
 * @see https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc of 2023-09-13, read 2026-11-29
 * @see https://learn.microsoft.com/entra/identity-platform/refresh-tokens of 2025-05-14, read 2026-11-29
 * @throws OAuthError `invalid_configuration`
 */
export function entraId(given: { tenant: string }): Provider {
  checkArguments('entraId', given, {
    tenant: { expected: 'the directory (tenant) ID, a GUID such as "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"', accepts: (value) => matches(value, /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i) },
  });
  return { issuer: `https://login.microsoftonline.com/${given.tenant.toLowerCase()}/v2.0`, refreshGrace: 24 * 60 * 60_000 };
}
