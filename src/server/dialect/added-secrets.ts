import { parseJsonObject } from '../body.js';
import { secretParameters } from '../secret-parameters.js';
import type { PreparedTokenRequest } from './dialect.js';
import type { Kept } from './template.js';
import type { TokenRequest } from './token-request.js';

/** Shorter headers are versions and the like, which may be part of anything. */
const shortest = 8;

/** What a dialect and its hook have added to a token request that must not be seen in an error: what the callback left, keys in headers, and parameters whose names say that they are secret. */
export function addedSecrets({ parameters, headers }: TokenRequest, prepared: PreparedTokenRequest, kept: Kept): string[] {
  const known = new Set([...parameters.values(), ...headers.values()]);
  const sentHeaders = [...prepared.headers].filter(([name, value]) => !['content-type', 'accept', 'user-agent'].includes(name) && value.length >= shortest).map(([, value]) => value);
  const added = [...sentHeaders, ...secretParameters([...prepared.url.searchParams, ...pairsOf(prepared.body ?? '')])];
  return [...Object.values(kept), ...added.filter((value) => !known.has(value))];
}

function pairsOf(body: string): [name: string, value: string][] {
  const members = parseJsonObject(body) ?? Object.fromEntries(new URLSearchParams(body));
  return Object.entries(members).filter((pair): pair is [string, string] => typeof pair[1] === 'string');
}
