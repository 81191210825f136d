import { className, OAuthError } from './errors.js';

/**
 * What a function of the user's gives: a secret, a key, an assertion. What it throws is no answer of the server, and may hold anything: its class is all that is told.
 * @param what names the function in the message, e.g. `privateKeyJwt: the key function`
 */
export async function asked<T>(what: string, give: () => T | Promise<T>): Promise<T> {
  try {
    return await give();
  } catch (thrown) {
    throw new OAuthError('invalid_configuration', `${what} threw ${className(thrown)}`, { retryable: true });
  }
}
