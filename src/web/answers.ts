import { createHash } from 'node:crypto';

/** What a page says: never anything of the request's, nor of the authorization server's. */
export interface Notice {
  readonly status: number;
  readonly title: string;
  readonly text: string;
}

export interface Link {
  readonly path: string;
  readonly text: string;
}

const style = `
:root { color-scheme: light dark; }
body { margin: 0; padding: 18vh 1.5rem 2rem; font: 1.0625rem/1.6 system-ui, sans-serif; }
main { max-width: 30rem; margin: 0 auto; }
h1 { margin: 0 0 .75rem; font-size: 1.5rem; line-height: 1.25; }
p { margin: 0 0 1.5rem; }
a { display: inline-block; padding: .5rem 1.25rem; border: 1px solid; border-radius: .375rem; color: inherit; text-decoration: none; }
a:hover, a:focus-visible { text-decoration: underline; }
`;

const contentSecurityPolicy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** 303: whatever the method was, the browser goes on with GET (RFC 9110 section 15.4.4). */
export function redirect(location: string, cookies: readonly string[]): Response {
  return answer(null, 303, { location }, cookies);
}

export function page({ status, title, text }: Notice, link: Link | undefined, cookies: readonly string[] = [], headers: Readonly<Record<string, string>> = {}): Response {
  const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${style}</style>
<main>
<h1>${title}</h1>
<p>${text}</p>${link === undefined ? '' : `\n<a href="${link.path.replaceAll('&', '&amp;')}">${link.text}</a>`}
</main>
</html>
`;
  return answer(html, status, { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': contentSecurityPolicy, ...headers }, cookies);
}

/** Somebody else's answer with our cookies; it isn't to be kept either. */
export function withCookies(response: Response, cookies: readonly string[]): Response {
  return answer(response.body, response.status, response.headers, cookies);
}

function answer(body: Response['body'] | string, status: number, init: Headers | Record<string, string>, cookies: readonly string[]): Response {
  const headers = new Headers(init);
  headers.set('cache-control', 'no-store');
  headers.set('referrer-policy', 'no-referrer');
  headers.set('x-content-type-options', 'nosniff');
  for (const cookie of cookies) headers.append('set-cookie', cookie);
  return new Response(body, { status, headers });
}
