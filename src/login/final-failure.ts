import { OAuthError } from '../errors.js';

/** What may pass elsewhere can't here: what the login goes by is spent, and the same call will not succeed later. */
export function asFinal(thrown: unknown): never {
  if (!(thrown instanceof OAuthError) || !thrown.retryable) throw thrown;
  const { code, message, status, error, errorDescription, retryAfter, cause } = thrown;
  throw new OAuthError(code, `${message}. The login has to be started again`, { status, error, errorDescription, retryAfter, cause });
}
