import type { Dialect } from './dialect.js';

/** What of a dialect changes the token that a client gets for itself: part of its identity in a cache. */
export function dialectIdentity({ tokenRequest: { endpoint = '', grantType = '', parameters = {}, headers = {} } = {} }: Dialect): readonly string[] {
  const sorted = (members: Readonly<Record<string, string>>): string[] => Object.entries(members).sort(([a], [b]) => (a < b ? -1 : 1)).flat();
  const identity = [endpoint, grantType, String(Object.keys(parameters).length), ...sorted(parameters), ...sorted(headers)];
  return identity.some((text) => text !== '' && text !== '0') ? identity : [];
}
