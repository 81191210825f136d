import { isPlainObject, type Rule } from '../../validation.js';

export const anObject: Rule = { expected: 'an object', accepts: isPlainObject };

/** Values that a dialect may have in the place of a default. */
export function only(...values: readonly (string | false)[]): Rule {
  return { expected: values.map((value) => (typeof value === 'string' ? `'${value}'` : String(value))).join(' or '), accepts: (value) => values.includes(value as string | false) };
}

export function valuesOf(expected: string, accepts: (value: unknown) => boolean): Rule {
  return { expected: `an object whose values are ${expected}`, accepts: (value) => isPlainObject(value) && Object.values(value).every(accepts) };
}

export const strings: Rule = valuesOf('strings', (value) => typeof value === 'string');
