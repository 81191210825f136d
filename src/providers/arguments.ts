import { checkOptions, invalid, type Rule, type Rules } from '../validation.js';

/**
 * Checks what names a tenant: it becomes part of the address that gets the client's secret.
 * @param optional names that may be left out
 * @throws OAuthError `invalid_configuration`
 */
export function checkArguments<Arguments extends object>(where: string, given: Arguments, rules: Rules<Arguments>, optional: readonly (keyof Arguments & string)[] = []): void {
  checkOptions<Arguments>(where, given, rules);
  for (const [name, { expected }] of Object.entries<Rule>(rules)) {
    if (Reflect.get(given, name) === undefined && !optional.some((other) => other === name)) throw invalid(`${where}: \`${name}\` is required; it must be ${expected}`);
  }
}

/** One label of a host name can't lead anywhere else. */
export const hostLabel: Rule = { expected: 'one label of a host name, such as "example"', accepts: (value) => matches(value, /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i) };

/** Without scheme, port, user and path. */
export const hostName: Rule = { expected: 'a host name, such as "login.example.com"', accepts: isHostName };

export const pathSegment: Rule = { expected: 'letters, digits, ".", "_", "~" and "-"', accepts: (value) => matches(value, /^[\w.~-]+$/) && value !== '.' && value !== '..' };

/** Whether it may be http is for `createTokenManager` to say. */
export const baseAddress: Rule = {
  expected: 'an absolute URL without user, query and fragment, such as "https://login.example.com"',
  accepts: (value) => typeof value === 'string' && /^https?:\/\/[^/?#@\\\s]+(?:\/[^?#@\\\s]*)?$/i.test(value) && URL.canParse(value),
};

export function isHostName(value: unknown): value is string {
  return matches(value, /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$/i);
}

/** @param pattern of the whole text */
export function matches(value: unknown, pattern: RegExp): value is string {
  return typeof value === 'string' && pattern.test(value);
}
