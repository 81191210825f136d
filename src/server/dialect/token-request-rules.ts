import { isSecure } from '../../transport/secure-url.js';
import { checkOptions, invalid, shapeOf, text, type Rules } from '../../validation.js';
import { renamable, type TokenRequestDialect } from './dialect.js';
import { checkDistinct, checkNames, type Check } from './names-rules.js';
import { anObject, only, strings } from './rules.js';
import { partsOf, placeholders } from './template.js';

const tokenRequestRules: Rules<TokenRequestDialect> = {
  endpoint: text,
  origins: { expected: 'a list of origins, such as "https://login.example.com", each without a path, a slash at its end or a wildcard', accepts: (value) => Array.isArray(value) && value.length > 0 && value.every((origin) => typeof origin === 'string' && !origin.includes('*') && URL.canParse(origin) && new URL(origin).origin === origin) },
  method: only('GET'),
  format: only('json', 'query'),
  grantType: text,
  names: anObject,
  parameters: strings,
  headers: strings,
};

/** @param whole the same with what it takes over from other requests */
export function checkTokenRequest(check: Check, path: string, request: TokenRequestDialect, whole: () => TokenRequestDialect): void {
  const { where } = check;
  checkOptions<TokenRequestDialect>(where, request, tokenRequestRules, `${path}.`);
  const { endpoint, origins = [], names, parameters = {}, headers = {} } = request;
  const { method, format, origins: allowed } = whole();
  checkNames(check, `${path}.names`, names, ['state']);
  if (method === 'GET' && format === 'json') throw invalid(`${where}: \`${path}.format\` can't be 'json' where \`method\` is 'GET', which sends a query: leave one of them out, or set \`format: 'query'\``);
  checkDistinct(check, `${path}.names`, names, renamable.filter((name) => typeof names?.[name] === 'string'));
  if ('grant_type' in parameters) throw invalid(`${where}: \`${path}.parameters.grant_type\` is reserved: use \`${path}.grantType\``);
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
