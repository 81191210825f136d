import { checkOptions, invalid, text, type Rule, type Rules } from '../../validation.js';
import { renamable, type Names } from './dialect.js';

const nameRule: Rule = { expected: 'a non-empty string, or null where the server has none', accepts: (value) => value === null || text.accepts(value) };
const nameRules = Object.fromEntries(renamable.map((name) => [name, nameRule])) as unknown as Rules<Names>;

export interface Check {
  readonly where: string;
  readonly allowInsecureRequests: boolean;
  /** What placeholders may stand for. */
  readonly keep: readonly string[];
}

/** @param needed names without which nothing works */
export function checkNames({ where }: Check, path: string, names: Names | undefined, needed: readonly (keyof typeof reasons)[]): void {
  if (names === undefined) return;
  checkOptions<Names>(where, names, nameRules, `${path}.`);
  const missing = needed.find((name) => names[name] === null);
  if (missing !== undefined) throw invalid(`${where}: \`${path}.${missing}\` must not be null: ${reasons[missing]}; it can be renamed`);
}

const reasons: Readonly<Record<'state' | 'code' | 'access_token', string>> = {
  state: 'only `state` ties a callback to the browser that began the login',
  code: 'without a `code` there is nothing to exchange',
  access_token: 'without an access token there is no answer',
};

/** Two parameters of one name: the server takes one, and which is anybody's guess. */
export function checkDistinct({ where }: Check, path: string, names: Names | undefined, sent: readonly (keyof Names)[]): void {
  const named = sent.map((name) => (names?.[name] === undefined ? name : names[name])).filter((name) => name !== null);
  const twice = named.find((name, index) => named.indexOf(name) !== index);
  if (twice !== undefined) throw invalid(`${where}: \`${path}\`: two parameters can't both be ${JSON.stringify(twice)}`);
}
