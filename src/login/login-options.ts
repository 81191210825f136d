import type { TokenRequest } from '../tokens/token-request.js';

/** What a login asks for. `parameters` go to the authorization request only, e.g. `{ access_type: 'offline' }`. */
export interface LoginOptions extends TokenRequest {
  /** Where the browser comes back to, as it's registered at the authorization server (RFC 6749 section 3.1.2): it's sent byte for byte. */
  redirectUri: string | URL;
  /** A path of your site, given back by `completeLogin`. Anything else becomes `/`. */
  returnTo?: string | undefined;
  /** E.g. `login`, `consent` or `none` (OpenID Connect Core section 3.1.2.1). */
  prompt?: string | undefined;
  /** The most seconds since the user last signed in; checked in the ID token (OpenID Connect Core section 3.1.2.1). */
  maxAge?: number | undefined;
  /** Who is likely to sign in. */
  loginHint?: string | undefined;
  /** Authentication contexts, separated by spaces, the preferred first. */
  acrValues?: string | undefined;
  /**
   * `jwt`: the callback comes in a JWT that the server signed (JARM); what was changed on the way is refused, and one that isn't signed too.
   * @default the parameters themselves
   */
  responseMode?: 'jwt' | undefined;
}
