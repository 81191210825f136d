import type { Names, PreparedTokenRequest, TokenRequestDialect } from './dialect.js';
import { fill, fillEndpoint, fillHeader, type Kept } from './template.js';

/** A token request in the words of RFC 6749, the client's proof included. */
export interface TokenRequest {
  readonly url: URL;
  readonly parameters: URLSearchParams;
  readonly headers: Headers;
}

/**
 * The same in the server's words.
 * @throws OAuthError `invalid_callback` where the callback has not what a template needs
 */
export function spokenTokenRequest({ url, parameters, headers }: TokenRequest, dialect: TokenRequestDialect, scopeSeparator: string, kept: Kept): PreparedTokenRequest {
  const { endpoint, origins, method = 'POST', format = method === 'GET' ? 'query' : 'form' } = dialect;
  const spoken = spokenParameters(parameters, dialect, scopeSeparator, kept);
  const request: PreparedTokenRequest = { url: endpoint === undefined ? new URL(url) : fillEndpoint(endpoint, kept, origins), method, headers: new Headers(headers) };
  for (const [name, template] of Object.entries(dialect.headers ?? {})) request.headers.set(name, fillHeader(template, kept));
  switch (format) {
    case 'query':
      for (const [name, value] of spoken) request.url.searchParams.append(name, value);
      request.headers.delete('content-type');
      return request;
    case 'json':
      request.headers.set('content-type', 'application/json');
      return { ...request, body: JSON.stringify(asObject(spoken)) };
    case 'form':
      request.headers.set('content-type', 'application/x-www-form-urlencoded;charset=UTF-8');
      return { ...request, body: new URLSearchParams(spoken).toString() };
  }
}

type Pairs = [name: string, value: string][];

function spokenParameters(parameters: URLSearchParams, { grantType, names = {}, parameters: further = {} }: TokenRequestDialect, scopeSeparator: string, kept: Kept): Pairs {
  const asked = new URLSearchParams(parameters);
  if (grantType !== undefined) asked.set('grant_type', grantType);
  const spoken = renamed(withSeparator(asked, scopeSeparator), names);
  const added = Object.entries(further).filter(([name]) => !spoken.some(([sent]) => sent === name)).map(([name, template]): [string, string] => [name, fill(template, kept)]);
  return [...spoken, ...added];
}

/** Scopes as the server separates them. */
export function withSeparator(parameters: URLSearchParams, separator: string): URLSearchParams {
  const scope = parameters.get('scope');
  if (scope !== null && separator !== ' ') parameters.set('scope', scope.split(' ').join(separator));
  return parameters;
}

/** Parameters under the server's names, without those that it doesn't have. */
export function renamed(parameters: URLSearchParams, names: Names): Pairs {
  return [...parameters].flatMap(([name, value]): Pairs => {
    const other = Object.hasOwn(names, name) ? names[name as keyof Names] : undefined;
    return other === null ? [] : [[other ?? name, value]];
  });
}

/** A parameter that is there several times is a list. */
function asObject(pairs: Pairs): Record<string, string | string[]> {
  const names = new Set(pairs.map(([name]) => name));
  return Object.fromEntries([...names].map((name) => {
    const values = pairs.filter(([sent]) => sent === name).map(([, value]) => value);
    return [name, values.length === 1 ? values.join('') : values];
  }));
}
