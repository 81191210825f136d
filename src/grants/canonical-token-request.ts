import type { CanonicalTokenRequest, TokenRequest } from '../tokens/token-request.js';
import { checkOptions, invalid, isPlainObject, text, type Rule, type Rules } from '../validation.js';

/** Parameters with an option of their own, or that are the library's to send. */
const reserved: Readonly<Record<string, string>> = {
  scope: 'use the option `scope`',
  resource: 'use the option `resource`',
  audience: 'use the option `audience`',
  authorization_details: 'use the option `authorizationDetails`',
  client_id: 'use the option `clientId` of createTokenManager',
  client_secret: 'use the option `clientSecret` of createTokenManager',
  ...Object.fromEntries(['grant_type', 'client_assertion', 'client_assertion_type', 'code', 'code_verifier', 'redirect_uri', 'refresh_token'].map((name) => [name, 'the library sends it'])),
};

const textOrTexts: Rule = {
  expected: 'a string or a list of non-empty strings',
  accepts: (value) => typeof value === 'string' || (Array.isArray(value) && value.every(text.accepts)),
};

export const tokenRequestRules: Rules<TokenRequest> = {
  scope: textOrTexts,
  resource: textOrTexts,
  audience: text,
  authorizationDetails: {
    expected: 'a list of objects with a `type` (RFC 9396), which JSON can hold',
    accepts: (value) => Array.isArray(value) && value.every((detail) => isPlainObject(detail) && text.accepts(Reflect.get(detail, 'type'))) && isJson(value),
    secret: true,
  },
  parameters: {
    expected: 'an object whose values are strings',
    accepts: (value) => isPlainObject(value) && Object.values(value).every((member) => typeof member === 'string'),
    secret: true,
  },
};

/**
 * A caller's request, checked and brought into one form; the caller's object is neither kept nor changed.
 * @param alsoReserved further names that must not be among the parameters, each with what to do instead
 * @throws OAuthError `invalid_configuration`
 */
export function canonicalTokenRequest(where: string, request: TokenRequest, alsoReserved: Readonly<Record<string, string>> = {}): CanonicalTokenRequest {
  checkOptions<TokenRequest>(where, request, tokenRequestRules);
  const { scope = [], resource = [], audience, authorizationDetails, parameters = {} } = request;
  for (const name of Object.keys(parameters)) {
    const instead = [reserved, alsoReserved].find((names) => Object.hasOwn(names, name))?.[name];
    if (instead !== undefined) throw invalid(`${where}: \`parameters.${name}\` is reserved: ${instead}`);
  }
  return {
    scope: unique([scope].flat().flatMap((value) => value.split(/\s+/)).filter(Boolean)),
    resource: unique([resource].flat().filter(Boolean)),
    audience,
    ...(authorizationDetails !== undefined && authorizationDetails.length > 0 && { authorizationDetails: JSON.stringify(authorizationDetails) }),
    parameters: { ...parameters },
  };
}

function isJson(value: unknown): boolean {
  try {
    return typeof JSON.stringify(value) === 'string';
  } catch {
    return false;
  }
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
