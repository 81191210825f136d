import type { ReceivedRequest } from './received-request.js';

export interface BasicCredentials {
  /** As they stand between base64 and colon: form-decoding is the reader's business. */
  readonly user: string;
  readonly password: string;
}

/** What the token endpoint was asked. */
export interface ReceivedTokenRequest extends Omit<ReceivedRequest, 'body'> {
  readonly body: string;
  /** Of a form or JSON body; of the query, if there is no body. */
  readonly parameters: URLSearchParams;
  readonly basic?: BasicCredentials;
}

export function tokenRequest(request: ReceivedRequest): ReceivedTokenRequest {
  const body = request.body.toString();
  const basic = basicCredentials(request.headers.authorization);
  return { ...request, body, parameters: parametersOf(request, body), ...basic && { basic } };
}

export function parametersOf({ url, headers }: Pick<ReceivedRequest, 'url' | 'headers'>, body: string): URLSearchParams {
  if (body === '') return new URLSearchParams(/\?(.*)$/s.exec(url)?.[1] ?? '');
  if (!headers['content-type']?.includes('json')) return new URLSearchParams(body);
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(JSON.parse(body) as Record<string, unknown>)) {
    parameters.append(name, typeof value === 'string' ? value : JSON.stringify(value));
  }
  return parameters;
}

function basicCredentials(authorization = ''): BasicCredentials | undefined {
  const encoded = /^basic +(\S+)$/i.exec(authorization)?.[1];
  if (encoded === undefined) return undefined;
  const [user = '', ...password] = Buffer.from(encoded, 'base64').toString().split(':');
  return { user, password: password.join(':') };
}

/** The client that this request proves to be (RFC 6749 section 2.3.1); undefined if it proves nothing. */
export function authenticatedClient(request: ReceivedTokenRequest, secrets: Readonly<Record<string, string>>): string | undefined {
  const { basic, parameters } = request;
  // One method per request (RFC 6749 section 2.3).
  if (basic && parameters.has('client_secret')) return undefined;
  const id = namedClient(request);
  const secret = basic ? formDecoded(basic.password) : parameters.get('client_secret');
  return id && Object.hasOwn(secrets, id) && secrets[id] === secret ? id : undefined;
}

/** The client that this request names, whether or not it proves it. */
export function namedClient({ basic, parameters }: ReceivedTokenRequest): string | undefined {
  return basic ? formDecoded(basic.user) : parameters.get('client_id') ?? undefined;
}

function formDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}
