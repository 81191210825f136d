/** What ties a callback to its login, and requests that hold it. */
const ofLogins: ReadonlySet<string> = new Set(['state', 'nonce', 'request']);

/** The values that must appear nowhere else: parameters of the user's own may be secret too, which only their names tell. */
export function secretParameters(parameters: Iterable<readonly [name: string, value: string]>): string[] {
  return [...parameters].filter(([name]) => ofLogins.has(name) || /secret|passw|token|assertion|key/i.test(name)).map(([, value]) => value);
}
