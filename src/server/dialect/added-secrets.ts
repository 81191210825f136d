import { parseJsonObject } from '../body.js';
import { secretParameters } from '../secret-parameters.js';
import type { PreparedTokenRequest } from './dialect.js';
import type { Kept } from './template.js';
import type { TokenRequest } from './token-request.js';

/** Shorter values are versions, regions and the like, which may be part of anything. */
const shortest = 8;

/** What a dialect and its hook have added to a token request that must not be seen in an error: what the callback left, keys in headers, and parameters whose names say that they are secret. */
export function addedSecrets({ parameters, headers }: TokenRequest, prepared: PreparedTokenRequest, kept: Kept, before: readonly string[]): string[] {
  const known = new Set([...parameters.values(), ...headers.values()]);
  const sentHeaders = [...prepared.headers].filter(([name]) => !['content-type', 'accept', 'user-agent'].includes(name)).map(([, value]) => value);
  const byHook = sentValues(prepared).filter((value) => value.length >= shortest && !before.includes(value));
  const added = [...sentHeaders, ...byHook, ...secretParameters(pairsOf(prepared))];
  return [...keptSecrets(kept), ...added.filter((value) => value.length >= shortest && !known.has(value))];
}

/** What was kept of a callback is the caller's business, and no secret; where it's long enough to be told from a word it's left out of errors all the same. */
export function keptSecrets(kept: Kept): string[] {
  return Object.values(kept).filter((value) => value.length >= shortest);
}

/** The values of the parameters that a request has, in its query and its body. */
export function sentValues(request: PreparedTokenRequest): string[] {
  return pairsOf(request).map(([, value]) => value);
}

function pairsOf({ url, body = '' }: PreparedTokenRequest): [name: string, value: string][] {
  const members = parseJsonObject(body) ?? Object.fromEntries(new URLSearchParams(body));
  return [...url.searchParams, ...Object.entries(members).filter((pair): pair is [string, string] => typeof pair[1] === 'string')];
}
