import type { IncomingMessage } from 'node:http';
import type { Http2ServerRequest } from 'node:http2';

/**
 * The URL that the browser asked for: the site's origin is known, and whatever host a proxy or a client names is not asked. `undefined` where there is no path.
 *
 * Express and Connect cut `url` for what is mounted below a path, and keep the whole of it in `originalUrl`.
 */
export function siteUrl(request: IncomingMessage | Http2ServerRequest, origin: string): URL | undefined {
  const { url = '', originalUrl = url } = request as { url?: string; originalUrl?: string };
  // A request may name its host in its first line, too (RFC 9112 section 3.2.2).
  const path = originalUrl.replace(/^https?:\/\/[^/?#]*/i, '');
  return path.startsWith('/') ? new URL(origin + path) : undefined;
}
