import type { Dispatcher } from 'undici';
import type { TransportInit } from '../transport.js';

/** A call of the fetch, taken by value: whatever the caller changes afterwards, this stays. */
export interface Outgoing {
  readonly url: URL;
  readonly method: string;
  readonly headers: readonly HeaderPair[];
  /** Can be sent any number of times. */
  readonly body: ReplayableBody | undefined;
  /** A body that can be sent once only, within the request that holds it. */
  readonly oneShot: Request | undefined;
  readonly redirect: Request['redirect'];
  /** The caller's own, not one derived from it: a derived one may be collected before it fires. */
  readonly signal: AbortSignal | undefined;
  /** The init's members that are passed on as they are. */
  readonly init: TransportInit;
}

export type HeaderPair = readonly [name: string, value: string];
type ReplayableBody = string | Uint8Array<ArrayBuffer> | URLSearchParams | FormData | Blob;

/** What a caller may pass beside the standard's members. */
export type CallInit = Omit<RequestInit, 'dispatcher'> & { dispatcher?: Dispatcher };

/**
 * Reads a call as the platform would. Runs to its end before anything is awaited, so that an invalid call fails as early, and with the
 * same error, as the global fetch.
 * @throws TypeError that of the platform's `Request`
 */
export function readCall(input: string | URL | Request, init: CallInit | null | undefined, baseUrl: URL | undefined): Outgoing {
  if (input instanceof Request) return fromRequest(new URL(input.url), input, plain(init));
  const url = resolve(input, baseUrl);
  return isSimple(init) ? fromSimple(url, init) : fromRequest(url, undefined, plain(init));
}

function resolve(input: string | URL, baseUrl: URL | undefined): URL {
  const text = String(input);
  if (URL.canParse(text, baseUrl?.href)) return new URL(text, baseUrl);
  return throwAsThePlatform(text);
}

function throwAsThePlatform(url: string): never {
  throw new TypeError(`Failed to parse URL from ${new Request(url).url}`);
}

const simpleMethods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const simpleMembers = new Set(['method', 'headers', 'signal', 'dispatcher']);

/** Most calls are a method and headers: they need no `Request` to be checked. */
function isSimple(init: CallInit | null | undefined): init is CallInit | null | undefined {
  if (init === undefined || init === null) return true;
  if (!isPlain(init) || Object.keys(init).some((name) => !simpleMembers.has(name))) return false;
  return (init.method === undefined || simpleMethods.has(init.method)) && (init.signal === undefined || init.signal === null || init.signal instanceof AbortSignal);
}

function isPlain(init: object): boolean {
  const prototype: unknown = Reflect.getPrototypeOf(init);
  return prototype === Object.prototype || prototype === null;
}

const members = ['method', 'headers', 'body', 'redirect', 'signal', 'referrer', 'referrerPolicy', 'mode', 'credentials', 'cache', 'integrity', 'keepalive', 'duplex', 'window', 'dispatcher'] as const;

/** An init may inherit its members, as a `Request` does. */
function plain(init: CallInit | undefined | null): CallInit {
  if (init === undefined || init === null || isPlain(init)) return init ?? {};
  return Object.fromEntries(members.map((name) => [name, (init as Record<string, unknown>)[name]]).filter(([, value]) => value !== undefined)) as CallInit;
}

function fromSimple(url: URL, init: CallInit | null | undefined): Outgoing {
  if (url.username !== '' || url.password !== '') throwAsThePlatform(url.href);
  const { method = 'GET', headers, signal, dispatcher } = init ?? {};
  return {
    url,
    method,
    headers: headers === undefined ? [] : [...new Headers(headers)],
    body: undefined,
    oneShot: undefined,
    redirect: 'follow',
    signal: signal ?? undefined,
    init: dispatcher === undefined ? {} : { dispatcher },
  };
}

function fromRequest(url: URL, input: Request | undefined, init: CallInit): Outgoing {
  const body = captureBody(init.body);
  const oneShot = body === undefined && (init.body !== undefined && init.body !== null || (input?.body ?? null) !== null);
  // Checks all members, and holds a body that can be sent once only.
  const request = new Request(input ?? url.href, (body === undefined ? init : { ...init, body }) as unknown as RequestInit);
  const { method, redirect, referrer, referrerPolicy, mode, credentials, cache, integrity, keepalive } = request;
  const headers = new Headers(init.headers ?? input?.headers);
  return {
    url,
    method,
    headers: oneShot ? [...request.headers] : [...headers],
    body,
    oneShot: oneShot ? request : undefined,
    redirect,
    signal: init.signal === undefined ? input?.signal : init.signal ?? undefined,
    init: {
      // As an init they would count as absent, and be reset.
      referrer,
      referrerPolicy,
      ...(input !== undefined && { mode, credentials, cache, integrity, keepalive }),
      ...passedOn(init),
    },
  };
}

const read = new Set(['method', 'headers', 'body', 'redirect', 'signal']);

/** What the platform reads itself, or whatever an extended fetch understands. */
function passedOn(init: CallInit): TransportInit {
  return Object.fromEntries(Object.entries(init).filter(([name]) => !read.has(name)));
}

/** The bytes themselves where the caller could change them; nothing for what can be read once only. */
function captureBody(body: RequestInit['body']): ReplayableBody | undefined {
  if (body === undefined || body === null) return undefined;
  if (typeof body === 'string') return body;
  if (body instanceof Blob) return body;
  if (body instanceof URLSearchParams) return new URLSearchParams(body);
  if (body instanceof FormData) return copyForm(body);
  if (body instanceof ArrayBuffer) return new Uint8Array(body.slice(0));
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength).slice();
  const isOneShot = typeof body === 'object' && (body instanceof ReadableStream || Symbol.asyncIterator in body);
  return isOneShot ? undefined : String(body as unknown);
}

function copyForm(form: FormData): FormData {
  const copy = new FormData();
  for (const [name, value] of form) {
    if (typeof value === 'string') copy.append(name, value);
    else copy.append(name, value, value.name);
  }
  return copy;
}
