/**
 * Whether a page of the site's own sent the form. A browser says where a POST comes from, and scripts can't forge it.
 *
 * `Origin: null` says nothing: it's also what a page with `Referrer-Policy: no-referrer` sends to its own site (Fetch standard, "append a request `Origin` header").
 * `Sec-Fetch-Site` then tells, as it does where there is no `Origin`.
 */
export function isFromOwnOrigin(headers: Headers, origin: string): boolean {
  const claimed = headers.get('origin');
  return claimed === null || claimed === 'null' ? headers.get('sec-fetch-site') === 'same-origin' : claimed === origin;
}
