import { challenges, type Challenge } from './challenge.js';

/** What the next login has to ask for: options of `startLogin`, only those that the API named. */
export interface StepUp {
  /** Authentication contexts, separated by spaces, one of which is needed, the preferred first (RFC 9470 section 3). */
  readonly acrValues?: string;
  /** The most seconds since the user last signed in (RFC 9470 section 3). */
  readonly maxAge?: number;
  /** The scope that this request needs, separated by spaces (RFC 6750 section 3): not what the session has beside it, `openid` included. */
  readonly scope?: string;
}

/**
 * Reads from the refusal of an API what a new login has to bring: a stronger or more recent authentication (`insufficient_user_authentication`, RFC 9470) or more
 * scope (`insufficient_scope`, RFC 6750 section 3.1). Undefined where a 401 or 403 asks for neither, and for every other status.
 *
 * `tokens.startLogin({ redirectUri, ...stepUp(response) })`: a `scope` in it replaces one before it. Where a login has scopes of its own, both are needed:
 * ``startLogin({ redirectUri, ...needed, scope: `openid offline_access ${needed.scope ?? ''}` })``.
 *
 * Never throws: what can't be read is left out. The response's body stays unread.
 */
export function stepUp(response: Pick<Response, 'status' | 'headers'>): StepUp | undefined {
  if (response.status !== 401 && response.status !== 403) return undefined;
  const found = challenges(response);
  const authentication = found.find(({ error }) => error === 'insufficient_user_authentication');
  if (authentication !== undefined) return neededBy(authentication);
  // Without a scope it doesn't say what is missing: another login would bring the same.
  const missing = found.find(({ error, scope }) => error === 'insufficient_scope' && isText(scope));
  return missing && neededBy({ scope: missing.scope });
}

function neededBy({ acr_values: acrValues, max_age: maxAge, scope }: { [Name in 'acr_values' | 'max_age' | 'scope']?: Challenge[Name] | undefined }): StepUp {
  return Object.freeze({
    ...isText(acrValues) && { acrValues: acrValues.trim() },
    ...isSeconds(maxAge) && { maxAge: Number(maxAge) },
    ...isText(scope) && { scope: scope.trim() },
  });
}

function isText(value: string | undefined): value is string {
  return value !== undefined && value.trim() !== '';
}

function isSeconds(value: string | undefined): boolean {
  return value !== undefined && /^\d+$/.test(value) && Number.isSafeInteger(Number(value));
}
