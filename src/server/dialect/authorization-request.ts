import type { Dialect } from './dialect.js';
import { renamed, withSeparator } from './token-request.js';

/** An authorization request (RFC 6749 section 4.1.1) in the server's words. */
export function spokenAuthorizationRequest(parameters: URLSearchParams, { scopeSeparator = ' ', authorizationRequest: { pkce, names = {}, parameters: further = {} } = {} }: Dialect): URLSearchParams {
  const asked = withSeparator(new URLSearchParams(parameters), scopeSeparator);
  if (pkce === false) for (const name of ['code_challenge', 'code_challenge_method']) asked.delete(name);
  const spoken = new URLSearchParams(renamed(asked, names));
  for (const [name, value] of Object.entries(further)) if (!spoken.has(name)) spoken.set(name, value);
  return spoken;
}
