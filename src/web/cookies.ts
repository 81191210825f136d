/**
 * Browsers take a `__Host-` cookie only with Secure, with Path=/ and without Domain (RFC 6265bis section 4.1.3.2): no other host, not even a subdomain, can set one.
 * Lax, since the callback is a navigation that another site began.
 */
const attributes = 'Path=/; Secure; HttpOnly; SameSite=Lax';

/** The cookies of a request, in the order in which the browser sent them. */
export type Cookies = readonly (readonly [name: string, value: string])[];

/** @param maxAge seconds */
export function setCookie(name: string, value: string, maxAge: number): string {
  return `${name}=${value}; ${attributes}; Max-Age=${maxAge}`;
}

export function expireCookie(name: string): string {
  return setCookie(name, '', 0);
}

/** Reads a `Cookie` header (RFC 6265 section 4.2). What is no cookie is left out; never throws. */
export function readCookies(header: string | null | undefined): Cookies {
  return (header ?? '').split(';').flatMap((pair) => {
    const equals = pair.indexOf('=');
    return equals === -1 ? [] : [[trimmed(pair.slice(0, equals)), unquoted(trimmed(pair.slice(equals + 1)))] as const];
  });
}

/** The value of a `__Host-` cookie. A browser sends it once only: where two differ, somebody else has had a hand in it, and neither counts. */
export function cookieNamed(name: string, cookies: Cookies): string | undefined {
  const [value, ...others] = new Set(cookies.filter(([other]) => other === name).map(([, content]) => content));
  return others.length === 0 ? value : undefined;
}

/** Spaces and tabs only: `trim()` takes more for blank, and a subdomain could then have its cookie read as one of ours. */
function trimmed(text: string): string {
  let start = 0;
  let end = text.length;
  while (isBlank(text[start])) start += 1;
  while (end > start && isBlank(text[end - 1])) end -= 1;
  return text.slice(start, end);
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t';
}

function unquoted(value: string): string {
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}
