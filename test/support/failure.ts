import { OAuthError } from 'grantkeeper';

/** What the work rejected with. */
export async function failureOf(work: Promise<unknown>): Promise<OAuthError> {
  return oauthError(await work.then(succeeded, (thrown: unknown) => thrown));
}

/** What the call threw, before anything was awaited. */
export function thrownBy(call: () => unknown): OAuthError {
  try {
    return oauthError(succeeded(call()));
  } catch (thrown) {
    return oauthError(thrown);
  }
}

function succeeded(value: unknown): never {
  throw new Error(`expected an OAuthError, and it succeeded with a ${typeof value}`);
}

function oauthError(thrown: unknown): OAuthError {
  if (thrown instanceof OAuthError) return thrown;
  throw thrown instanceof Error ? thrown : new TypeError(`expected an OAuthError, and a ${typeof thrown} was thrown`);
}
