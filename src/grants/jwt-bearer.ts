import { asked } from '../asked.js';
import { hashedName } from '../tokens/cache-key.js';
import type { TokenRequest } from '../tokens/token-request.js';
import { callable, checkOptions, invalid, text } from '../validation.js';
import { canonicalTokenRequest, tokenRequestRules } from './canonical-token-request.js';
import type { ExtensionGrant } from './extension-grant.js';

/** By which assertion, and for what. */
export interface JwtBearerRequest extends TokenRequest {
  /** A JWT that somebody the server trusts has signed, or a function that gives one: it's asked for a new one at each attempt. */
  assertion: string | (() => string | Promise<string>);
  /**
   * Whose tokens these are, where `assertion` is a function: e.g. the `iss` and `sub` of its assertions. It tells them apart in the cache and is not sent: two users must not
   * have the same.
   */
  subject?: string | undefined;
}

/**
 * The JWT bearer grant (RFC 7523 section 2.1): an assertion for a token, e.g. of a service account.
 * @throws OAuthError `invalid_configuration`
 */
export function jwtBearer(options: JwtBearerRequest): ExtensionGrant {
  checkOptions<JwtBearerRequest>('jwtBearer', options, {
    ...tokenRequestRules,
    assertion: { expected: 'a non-empty string, or a function that returns one', accepts: (value) => text.accepts(value) || callable.accepts(value), secret: true },
    subject: text,
  });
  const { assertion, subject, ...request } = options;
  if (assertion === undefined as unknown) throw invalid('jwtBearer: `assertion` is required');
  canonicalTokenRequest('jwtBearer', request, { assertion: 'use the option of jwtBearer' });
  const identity = subject ?? (typeof assertion === 'string' ? hashedName('assertion', assertion) : undefined);
  if (identity === undefined) throw invalid('jwtBearer: `subject` is required where `assertion` is a function: it says whose tokens these are, so that nobody is given another\'s');
  return {
    grantType: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    request,
    subject: {
      identity: [identity],
      parameters: async () => ({ secret: { assertion: await current(assertion) } }),
    },
  };
}

async function current(assertion: JwtBearerRequest['assertion']): Promise<string> {
  if (typeof assertion === 'string') return assertion;
  const value: unknown = await asked('jwtBearer: the assertion function', assertion);
  if (text.accepts(value)) return value as string;
  throw invalid(`jwtBearer: the assertion function must return a non-empty string; it returned ${value === '' ? 'an empty one' : typeof value}`);
}
