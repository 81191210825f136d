/** Anything will do: it's never looked up. */
const site = 'https://site.invalid';

/**
 * A path of this site, with its query and fragment, or `/`. Never throws.
 *
 * What a browser makes of a text is what the URL standard makes of it: it drops tabs and newlines, takes `\` for `/`, and resolves dots first.
 * So the text is read that way, and only what stays on the site and reads the same once more is let through.
 */
export function safeReturnTo(returnTo: unknown): string {
  if (typeof returnTo !== 'string' || !/^\/(?![/\\])/.test(returnTo)) return '/';
  const path = pathOnSite(returnTo);
  return path !== undefined && pathOnSite(path) === path ? path : '/';
}

function pathOnSite(text: string): string | undefined {
  if (!URL.canParse(text, site)) return undefined;
  const { origin, pathname, search, hash } = new URL(text, site);
  return origin === site ? pathname + search + hash : undefined;
}
