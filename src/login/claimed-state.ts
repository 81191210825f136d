import { parseJsonObject } from '../server/body.js';

/**
 * The `state` that a callback claims, bare or in a JWT whose signature nobody has checked: good for finding the login that it may be of, and for nothing else.
 * @returns `undefined` without exactly one
 */
export function claimedState(parameters: URLSearchParams): string | undefined {
  const [state, ...others] = [...parameters.getAll('state'), ...parameters.getAll('response').flatMap(stateIn)];
  return others.length === 0 ? state : undefined;
}

function stateIn(jwt: string): string[] {
  const [, payload = ''] = jwt.split('.');
  const state = parseJsonObject(Buffer.from(payload, 'base64url').toString())?.['state'];
  return typeof state === 'string' ? [state] : [];
}
