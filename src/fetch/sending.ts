import { send, type TransportInit, type TransportOptions } from '../transport/transport.js';
import type { Exchange } from './exchange.js';

/**
 * The last step: one request by the transport. Redirects are ours to follow, so that the token is not sent along to anywhere. A body that
 * can be sent once only goes out with `redirect: 'error'`: with any other value the platform keeps all of it in memory.
 */
export function sending(transport: TransportOptions): Exchange {
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
