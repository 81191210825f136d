import { isPlainObject } from '../validation.js';
import { createRedactor } from './redaction.js';

/** Names that are told; beyond it an answer is something else than a form of this one. */
const most = 10;

/**
 * What an answer has, for whoever has to declare where it deviates: the names of its members and what kind of thing each is, e.g. `data (object with access_token)`, and no value.
 * @param secrets that may stand where a name should
 * @returns undefined where there is nothing to tell
 */
export function answerShape(members: Readonly<Record<string, unknown>>, secrets: readonly string[] = []): string | undefined {
  const redact = createRedactor(secrets);
  const namesOf = (object: object): string[] => Object.keys(object).filter((name) => isName(name) && redact(name) === name).slice(0, most);
  const told = namesOf(members).map((name) => {
    const value = members[name];
    const inner = isPlainObject(value) ? namesOf(value) : [];
    return `${name} (${kindOf(value)}${inner.length === 0 ? '' : ` with ${inner.join(', ')}`})`;
  });
  return told.length === 0 ? undefined : told.join(', ');
}

/** The same of a callback, whose parameters are all texts. */
export function parameterNames(parameters: URLSearchParams): string | undefined {
  const names = [...new Set(parameters.keys())].filter(isName).slice(0, most);
  return names.length === 0 ? undefined : names.join(', ');
}

/** Words, as somebody would choose them: a token in the place of a name is none. */
function isName(name: string): boolean {
  const count = (pattern: RegExp): number => name.match(pattern)?.length ?? 0;
  return name.length <= 30 && /^[a-z][\w.-]*$/i.test(name) && count(/\d/g) <= 1 && count(/[a-z][A-Z]/g) <= 3;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'list';
  return typeof value === 'string' ? 'text' : typeof value;
}
