import { OAuthError } from '../../errors.js';
import { keptSecrets } from './added-secrets.js';
import type { Dialect, DialectGrant } from './dialect.js';
import { requestDialect } from './request-dialect.js';
import { fill, fillEndpoint, type Kept } from './template.js';

/** Characters of a value that lives as long as the session: whoever made up the callback must not fill the store. */
const longest = 1_000;

export interface UnderstoodCallback {
  /** In the words of RFC 6749 section 4.1.2. */
  readonly parameters: URLSearchParams;
  /** What lives as long as the session. */
  readonly kept: Kept;
  /** What of it must not be seen in errors. */
  readonly secrets: readonly string[];
}

/**
 * A callback in the RFC's words. What it keeps decides where the code and the client's secret are sent, as far as the dialect lets it: that's looked at now, while nothing is spent.
 * @throws OAuthError `invalid_callback`
 */
export function understoodCallback(parameters: URLSearchParams, dialect: Dialect): UnderstoodCallback {
  const { names = {}, keep = [] } = dialect.authorizationResponse ?? {};
  const understood = new URLSearchParams(parameters);
  for (const [name, other] of Object.entries(names)) {
    understood.delete(name);
    if (typeof other === 'string') for (const value of parameters.getAll(other)) understood.append(name, value);
  }
  const kept = Object.fromEntries(keep.flatMap((name): [string, string][] => {
    const [value, ...others] = parameters.getAll(name);
    if (others.length > 0) throw new OAuthError('invalid_callback', `The callback can't complete this login: it has more than one \`${name}\``);
    if (value !== undefined && value.length > longest) throw new OAuthError('invalid_callback', `The callback can't complete this login: its \`${name}\` is too long to be kept`);
    return value === undefined ? [] : [[name, value]];
  }));
  if (understood.has('code')) checkTemplates(dialect, kept);
  return { parameters: understood, kept, secrets: keptSecrets(kept) };
}

/** All that will be asked for with this login: what a template lacks now, it lacks then. */
function checkTemplates(dialect: Dialect, kept: Kept): void {
  for (const grant of ['authorization_code', 'refresh_token', 'exchange'] satisfies DialectGrant[]) {
    const { endpoint, origins, parameters = {}, headers = {} } = requestDialect(dialect, grant);
    if (endpoint !== undefined) fillEndpoint(endpoint, kept, origins);
    for (const template of [...Object.values(parameters), ...Object.values(headers)]) fill(template, kept);
  }
}
