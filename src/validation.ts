import { OAuthError } from './errors.js';

/** What an option must be: `expected` completes the sentence "must be ...". The value of a `secret` option is never shown. */
export interface Rule {
  readonly expected: string;
  readonly accepts: (value: unknown) => boolean;
  readonly secret?: boolean;
}

/** A rule for every member of an options type, so that an option without a rule does not compile. */
export type Rules<Options> = { readonly [Name in keyof Required<Options>]: Rule };

/**
 * Checks what a caller passed: unknown members are refused by name, known ones by their rule. A member that is `undefined` counts as absent.
 * @param where the function or option that the message begins with
 * @param path what stands before the names of members of an option, e.g. `dialect.`
 * @throws OAuthError `invalid_configuration`
 */
export function checkOptions<Options extends object>(where: string, options: unknown, rules: Rules<Options>, path = ''): asserts options is Options {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) throw invalid(`${where}: the options must be an object; received ${typeName(options)}`);
  // Inherited members are read as well, so they are checked as well.
  for (const name in options) {
    const value: unknown = Reflect.get(options, name);
    const rule = Object.hasOwn(rules, name) ? (rules as Record<string, Rule>)[name] : undefined;
    if (rule === undefined) throw invalid(`${where}: unknown option \`${path}${name}\`; ${suggestion(name, Object.keys(rules))}`);
    if (value !== undefined && !rule.accepts(value)) {
      throw invalid(`${where}: \`${path}${name}\` must be ${rule.expected}; received ${rule.secret === true ? typeName(value) : shapeOf(value)}`);
    }
  }
}

export function invalid(message: string): OAuthError {
  return new OAuthError('invalid_configuration', message);
}

export const text: Rule = { expected: 'a non-empty string', accepts: (value) => typeof value === 'string' && value !== '' };
export const flag: Rule = { expected: 'true or false', accepts: (value) => typeof value === 'boolean' };
export const duration: Rule = { expected: 'a number of milliseconds, 0 or more', accepts: (value) => isFiniteNumber(value) && value >= 0 };
export const positiveDuration: Rule = { expected: 'a number of milliseconds above 0', accepts: (value) => isFiniteNumber(value) && value > 0 };
export const count: Rule = { expected: 'a whole number, 0 or more', accepts: (value) => isWholeNumber(value) && value >= 0 };
export const positiveCount: Rule = { expected: 'a whole number above 0', accepts: (value) => isWholeNumber(value) && value > 0 };
export const texts: Rule = { expected: 'a list of non-empty strings', accepts: (value) => Array.isArray(value) && value.every(text.accepts) };
export const callable: Rule = { expected: 'a function', accepts: (value) => typeof value === 'function' };

function isFiniteNumber(value: unknown): value is number {
  return Number.isFinite(value);
}

export function isWholeNumber(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

/** An object with these methods. */
export function having(...methods: string[]): Rule {
  return {
    expected: `an object with ${methods.map((method) => `${method}()`).join(', ')}`,
    accepts: (value) => typeof value === 'object' && value !== null && methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function'),
  };
}

/** Not an instance of anything: a `Map` or `URLSearchParams` has its members elsewhere. */
export function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** What was received, without what may be a secret in it: long texts, and those that may be URLs with credentials, are not shown. */
export function shapeOf(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return value.length <= 100 && !value.includes('@') ? JSON.stringify(value) : typeName(value);
  if (value instanceof URL) return shapeOf(value.href);
  return typeName(value);
}

/** What kind of value it is, and nothing that may be secret in it. */
export function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return value === '' ? 'an empty string' : `a string of ${value.length} characters`;
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object') return `an object with ${Object.keys(value).slice(0, 5).join(', ') || 'no members'}`;
  return `a ${typeof value}`;
}

function suggestion(name: string, known: readonly string[]): string {
  const [nearest] = known.map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) })).sort((a, b) => a.distance - b.distance);
  return nearest !== undefined && nearest.distance <= Math.max(1, name.length / 3) ? `did you mean \`${nearest.candidate}\`?` : `there are ${known.join(', ')}`;
}

/** Levenshtein's distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of Array.from(a).entries()) {
    const next = [i + 1];
    for (const [j, other] of Array.from(b).entries()) next.push(Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + (letter === other ? 0 : 1)));
    row = next;
  }
  return row.at(-1) ?? 0;
}
