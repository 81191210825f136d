import { send, type Transport, type TransportInit } from '../transport.js';
import type { HeaderPair, Outgoing } from './outgoing.js';

/** One step on the way of a request: each decorates the one after it. */
export type Exchange = (outgoing: Outgoing, call: Call) => Promise<Response>;

/** What belongs to one call of the fetch, however many requests it takes. */
export interface Call {
  /** The caller's signal, joined with the time limit where there is one. */
  readonly signal: AbortSignal | undefined;
  /** Milliseconds left, where there is a time limit. */
  readonly remaining?: () => number;
  /** Whether the caller brought an authorization of its own. */
  readonly ownAuthorization: boolean;
  /** Whether a request of the current try has left. */
  sent: boolean;
  /** Whether the request was sent again with another token: once at most. */
  replayed: boolean;
}

/**
 * The last step: one request by the transport. Redirects are ours to follow, so that the token is not sent along to anywhere. A body that
 * can be sent once only goes out with `redirect: 'error'`: with any other value the platform keeps all of it in memory.
 */
export function sending(transport: Transport): Exchange {
  return async ({ url, method, headers, body, oneShot, redirect, init }, call) => {
    const { signal } = call;
    const request: TransportInit = {
      ...init,
      method,
      headers: new Headers(headers as [string, string][]),
      redirect: redirect === 'follow' ? (oneShot === undefined ? 'manual' : 'error') : redirect,
      ...(body !== undefined && { body }),
      ...(signal !== undefined && { signal }),
    };
    call.sent = true;
    return send(oneShot ?? url.href, request, transport);
  };
}

export function hasHeader(headers: readonly HeaderPair[], name: string): boolean {
  return headers.some(([present]) => present === name);
}

/** A network error as the platform's fetch reports it. */
export function fetchFailed(reason: string): TypeError {
  return new TypeError('fetch failed', { cause: new Error(reason) });
}
