import type { Dispatcher } from 'undici';
import type { TransportInit } from '../transport/transport.js';
import { isPlainObject } from '../validation.js';

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
  /** The caller's `Request`: its signal works only for as long as somebody holds it. */
  readonly input?: Request;
}

export type HeaderPair = readonly [name: string, value: string];
type ReplayableBody = string | Uint8Array<ArrayBuffer> | URLSearchParams | FormData | Blob;

/** What a caller may pass beside the standard's members. */
export type CallInit = Omit<RequestInit, 'dispatcher'> & { dispatcher?: Dispatcher };

/**
 * Where a call goes: a relative URL is resolved as the URL standard does. Of a `Request` its own URL counts, not what someone laid over it.
 * @throws TypeError that of the platform's `Request`
 */
export function targetOf(input: string | URL | Request, baseUrl: URL | undefined): URL {
  if (input instanceof Request) {
    const url: string = Reflect.get(Request.prototype, 'url', input);
    return new URL(url);
  }
  // Not `String()`, which would take a symbol.
  const text = ''.concat(input as string);
  // An object of another kind, such as the `Request` of another fetch: with a base it would pass for a path.
  return URL.canParse(text, baseUrl?.href) && !text.startsWith('[object ') ? new URL(text, baseUrl) : new URL(new Request(text).url);
}

/**
 * Reads a call as the platform would. Runs to its end before anything is awaited, so that an invalid call fails as early, and with the
 * same error, as the global fetch.
 * @throws TypeError that of the platform's `Request`
 */
export function readCall(input: string | URL | Request, url: URL, init: CallInit | null | undefined): Outgoing {
  if (input instanceof Request) return fromRequest(url, input, plain(init));
  return isSimple(init) && url.username === '' && url.password === '' ? fromSimple(url, init) : fromRequest(url, undefined, plain(init));
}

const simpleMethods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const simpleMembers = new Set(['method', 'headers', 'signal', 'dispatcher']);

/** Most calls are a method and headers: they need no `Request` to be checked. */
function isSimple(init: CallInit | null | undefined): init is CallInit | null | undefined {
  if (init === undefined || init === null) return true;
  if (!isPlainObject(init) || Object.keys(init).some((name) => !simpleMembers.has(name))) return false;
  return (init.method === undefined || simpleMethods.has(init.method)) && (init.signal === undefined || init.signal === null || init.signal instanceof AbortSignal);
}

const members = ['method', 'headers', 'body', 'redirect', 'signal', 'referrer', 'referrerPolicy', 'mode', 'credentials', 'cache', 'integrity', 'keepalive', 'duplex', 'window', 'dispatcher'] as const;

/** An init may inherit its members, as a `Request` does. */
function plain(init: CallInit | undefined | null): CallInit {
  if (init === undefined || init === null) return {};
  // What is no object is the platform's to refuse.
  if (typeof init !== 'object' || isPlainObject(init)) return init;
  return Object.fromEntries(members.map((name) => [name, (init as Record<string, unknown>)[name]]).filter(([, value]) => value !== undefined)) as CallInit;
}

function fromSimple(url: URL, init: CallInit | null | undefined): Outgoing {
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
  // The platform says it from the bytes; undici refuses to hear it twice.
  if (body !== undefined) headers.delete('content-length');
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
    ...(input !== undefined && { input }),
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
  if (ArrayBuffer.isView(body) && !(body.buffer instanceof SharedArrayBuffer)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength).slice();
  const isStream = typeof body === 'object' && (body instanceof ReadableStream || Symbol.asyncIterator in body);
  // Symbols and shared memory are the platform's to refuse.
  return isStream || typeof body === 'symbol' || ArrayBuffer.isView(body) ? undefined : String(body as unknown);
}

function copyForm(form: FormData): FormData {
  const copy = new FormData();
  for (const [name, value] of form) {
    if (typeof value === 'string') copy.append(name, value);
    else copy.append(name, value, value.name);
  }
  return copy;
}
