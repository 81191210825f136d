import { isSecure } from '../../transport/secure-url.js';
import { callable, checkOptions, invalid, isPlainObject, shapeOf, text, type Rule, type Rules } from '../../validation.js';
import { renamable, type AuthorizationRequestDialect, type AuthorizationResponseDialect, type Dialect, type Names, type TokenRequestDialect, type TokenResponseDialect } from './dialect.js';
import { requestDialect } from './request-dialect.js';
import { partsOf, placeholders } from './template.js';

const anObject: Rule = { expected: 'an object', accepts: isPlainObject };

/** Values that a dialect may have in the place of a default. */
function only(...values: readonly (string | false)[]): Rule {
  return { expected: values.map((value) => (typeof value === 'string' ? `'${value}'` : String(value))).join(' or '), accepts: (value) => values.includes(value as string | false) };
}

function valuesOf(expected: string, accepts: (value: unknown) => boolean): Rule {
  return { expected: `an object whose values are ${expected}`, accepts: (value) => isPlainObject(value) && Object.values(value).every(accepts) };
}

const strings = valuesOf('strings', (value) => typeof value === 'string');

const dialectRules: Rules<Dialect> = {
  scopeSeparator: text,
  authorizationRequest: anObject,
  authorizationResponse: anObject,
  tokenRequest: anObject,
  refreshRequest: anObject,
  exchangeRequest: anObject,
  tokenResponse: anObject,
  prepareTokenRequest: callable,
  parseTokenResponse: callable,
};

const authorizationRequestRules: Rules<AuthorizationRequestDialect> = { pkce: only(false), names: anObject, parameters: strings };

const authorizationResponseRules: Rules<AuthorizationResponseDialect> = {
  names: anObject,
  keep: { expected: 'a list of non-empty strings', accepts: (value) => Array.isArray(value) && value.every(text.accepts) },
};

const tokenRequestRules: Rules<TokenRequestDialect> = {
  endpoint: text,
  origins: { expected: 'a list of origins, such as "https://login.example.com"', accepts: (value) => Array.isArray(value) && value.length > 0 && value.every((origin) => typeof origin === 'string' && URL.canParse(origin) && new URL(origin).origin === origin) },
  method: only('GET'),
  format: only('json', 'query'),
  grantType: text,
  names: anObject,
  parameters: strings,
  headers: strings,
};

const tokenResponseRules: Rules<TokenResponseDialect> = {
  at: text,
  names: anObject,
  lifetimeUnit: only('milliseconds'),
  tokenType: only('Bearer'),
  errors: valuesOf("'invalid_grant', 'invalid_client' or 'temporarily_unavailable'", (value) => ['invalid_grant', 'invalid_client', 'temporarily_unavailable'].includes(value as string)),
};

const nameRule: Rule = { expected: 'a non-empty string, or null where the server has none', accepts: (value) => value === null || text.accepts(value) };
const nameRules = Object.fromEntries(renamable.map((name) => [name, nameRule])) as unknown as Rules<Names>;

/**
 * A copy of a dialect without unknown members and combinations that can't work, each refused by its path.
 * @param where the function that the messages begin with
 * @throws OAuthError `invalid_configuration`
 */
export function checkedDialect(where: string, dialect: Dialect, allowInsecureRequests: boolean): Dialect {
  const check: Check = { where, allowInsecureRequests, keep: [] };
  checkOptions<Dialect>(where, dialect, dialectRules, 'dialect.');
  const { prepareTokenRequest, parseTokenResponse, ...data } = dialect;
  const { authorizationRequest = {}, authorizationResponse = {}, tokenResponse = {} } = data;
  checkOptions<AuthorizationRequestDialect>(where, authorizationRequest, authorizationRequestRules, 'dialect.authorizationRequest.');
  checkOptions<AuthorizationResponseDialect>(where, authorizationResponse, authorizationResponseRules, 'dialect.authorizationResponse.');
  checkOptions<TokenResponseDialect>(where, tokenResponse, tokenResponseRules, 'dialect.tokenResponse.');
  checkNames(check, 'dialect.authorizationRequest.names', authorizationRequest.names, ['state']);
  checkNames(check, 'dialect.authorizationResponse.names', authorizationResponse.names, ['state', 'code']);
  checkNames(check, 'dialect.tokenResponse.names', tokenResponse.names, ['access_token']);
  checkDistinct(check, 'dialect.authorizationRequest.names', authorizationRequest.names, ['response_type', 'client_id', 'redirect_uri', 'scope', 'state']);
  checkDistinct(check, 'dialect.authorizationResponse.names', authorizationResponse.names, ['state', 'code', 'error', 'error_description']);
  checkKept(check, authorizationResponse);
  for (const [name, grant] of [['tokenRequest', 'authorization_code'], ['refreshRequest', 'refresh_token'], ['exchangeRequest', 'exchange']] as const) {
    const request = data[name];
    if (request !== undefined) checkTokenRequest({ ...check, keep: authorizationResponse.keep ?? [] }, `dialect.${name}`, request, () => requestDialect(data, grant));
  }
  return { ...structuredClone(data), prepareTokenRequest, parseTokenResponse };
}

interface Check {
  readonly where: string;
  readonly allowInsecureRequests: boolean;
  /** What placeholders may stand for. */
  readonly keep: readonly string[];
}

/** @param needed names without which nothing works */
function checkNames({ where }: Check, path: string, names: Names | undefined, needed: readonly (keyof typeof reasons)[]): void {
  if (names === undefined) return;
  checkOptions<Names>(where, names, nameRules, `${path}.`);
  const missing = needed.find((name) => names[name] === null);
  if (missing !== undefined) throw invalid(`${where}: \`${path}.${missing}\` must not be null: ${reasons[missing]}; it can be renamed`);
}

const reasons = {
  state: 'only `state` ties a callback to the browser that began the login',
  code: 'without a `code` there is nothing to exchange',
  access_token: 'without an access token there is no answer',
} satisfies Partial<Record<keyof Names, string>>;

/** Two parameters of one name: the server takes one, and which is anybody's guess. */
function checkDistinct({ where }: Check, path: string, names: Names | undefined, sent: readonly (keyof Names)[]): void {
  const named = sent.map((name) => (names?.[name] === undefined ? name : names[name])).filter((name) => name !== null);
  const twice = named.find((name, index) => named.indexOf(name) !== index);
  if (twice !== undefined) throw invalid(`${where}: \`${path}\`: two parameters can't both be ${JSON.stringify(twice)}`);
}

/** What is kept is shown to everybody who has a token, so it's nothing that only the login may know. */
function checkKept({ where }: Check, { keep = [], names = {} }: AuthorizationResponseDialect): void {
  const secret = keep.find((name) => ['code', 'state', 'response', 'access_token', 'refresh_token', 'id_token', names.code, names.state].includes(name));
  if (secret !== undefined) throw invalid(`${where}: \`dialect.authorizationResponse.keep\` must not name \`${secret}\`: what is kept goes into \`parameters\` of every token`);
}

/** @param whole the same with what it takes over from other requests */
function checkTokenRequest(check: Check, path: string, request: TokenRequestDialect, whole: () => TokenRequestDialect): void {
  const { where } = check;
  checkOptions<TokenRequestDialect>(where, request, tokenRequestRules, `${path}.`);
  const { endpoint, origins = [], names, parameters = {}, headers = {} } = request;
  const { method, format, origins: allowed } = whole();
  checkNames(check, `${path}.names`, names, []);
  if (method === 'GET' && format === 'json') throw invalid(`${where}: \`${path}.format\` can't be 'json' where \`method\` is 'GET', which sends a query: leave one of them out, or set \`format: 'query'\``);
  checkDistinct(check, `${path}.names`, names, renamable.filter((name) => typeof names?.[name] === 'string'));
  for (const [name, template] of Object.entries(parameters)) checkPlaceholders(check, `${path}.parameters.${name}`, template);
  for (const [name, template] of Object.entries(headers)) checkHeader(check, `${path}.headers.${name}`, name, template);
  for (const origin of origins) checkHttps(check, `${path}.origins`, new URL(origin));
  if (endpoint !== undefined) checkEndpoint(check, path, endpoint, allowed);
}

function checkPlaceholders({ where, keep }: Check, path: string, template: string): void {
  const unknown = placeholders(template).find((name) => !keep.includes(name));
  if (unknown !== undefined) throw invalid(`${where}: \`${path}\`: the placeholder {${unknown}} stands for nothing: name that parameter of the callback in \`dialect.authorizationResponse.keep\``);
}

const ofTransport = ['host', 'content-length', 'transfer-encoding', 'connection', 'content-type'];

function checkHeader(check: Check, path: string, name: string, template: string): void {
  const { where } = check;
  if (ofTransport.includes(name.toLowerCase())) throw invalid(`${where}: \`${path}\` is the library's to send`);
  checkPlaceholders(check, path, template);
  try {
    new Headers([[name, template]]);
  } catch {
    throw invalid(`${where}: \`${path}\` is no header that can be sent`);
  }
}

/** Which server is asked must not be the callback's to say, but among `origins`. */
function checkEndpoint(check: Check, path: string, endpoint: string, origins: readonly string[] | undefined): void {
  const { where } = check;
  checkPlaceholders(check, `${path}.endpoint`, endpoint);
  const { origin, rest } = partsOf(endpoint);
  if (origin === '') throw invalid(`${where}: \`${path}.endpoint\` must be an absolute URL, or begin with a placeholder; received ${shapeOf(endpoint)}`);
  if (isChosenByCallback(origin) && origins === undefined) {
    throw invalid(`${where}: \`${path}.origins\` is required: \`endpoint\` lets the callback decide which server is asked, and that server gets the secret. List the origins that it may name`);
  }
  if (origin.startsWith('{')) {
    if (rest !== '' && !/^[/?]/.test(rest)) throw invalid(`${where}: \`${path}.endpoint\`: after the placeholder that it begins with comes a path`);
    return;
  }
  const sample = origin.replaceAll(/\{[^{}]*\}/g, 'x');
  if (!URL.canParse(sample) || /@|:[^/]*\{/.test(origin.slice(origin.indexOf('//')))) throw invalid(`${where}: \`${path}.endpoint\`: placeholders may be labels of the host, or in the path; not its port or user`);
  if (new URL(sample).origin !== sample.toLowerCase()) throw invalid(`${where}: \`${path}.endpoint\` must have its host as \`URL\` spells it, without a default port`);
  checkHttps(check, `${path}.endpoint`, new URL(sample));
}

/** At the beginning, or where fewer than two whole labels follow it: those say whose host it is. */
function isChosenByCallback(origin: string): boolean {
  if (origin.startsWith('{')) return true;
  const [, host = ''] = /^[^/]*\/\/([^/:]*)/.exec(origin) ?? [];
  const last = host.lastIndexOf('}');
  return last !== -1 && host.slice(last + 1).split('.').slice(1).filter(Boolean).length < 2;
}

function checkHttps({ where, allowInsecureRequests }: Check, path: string, url: URL): void {
  if (!isSecure(url, allowInsecureRequests)) throw invalid(`${where}: \`${path}\` must be https; http is for loopback only, with \`allowInsecureRequests: true\``);
}
