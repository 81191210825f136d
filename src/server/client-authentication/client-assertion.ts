import { asked } from '../../asked.js';
import { orAbort } from '../../deadline.js';
import { OAuthError } from '../../errors.js';
import { callable, invalid, typeName } from '../../validation.js';
import { presentAssertion } from './assertion.js';
import type { ClientAuthentication } from './client-authentication.js';

/**
 * An assertion that somebody else issued (RFC 7523 section 2.2), e.g. in a file that Kubernetes projects and renews. The function is asked at every attempt, and once more
 * after `invalid_client`: the request is sent again if there is another assertion by then. White space around it is left out.
 * @throws OAuthError `invalid_configuration`
 */
export function clientAssertion(assertion: () => string | Promise<string>): ClientAuthentication {
  if (!callable.accepts(assertion)) throw invalid(`clientAssertion: a function that returns the assertion is needed, since one expires; received ${typeName(assertion)}`);
  return Object.freeze<ClientAuthentication>({
    method: 'private_key_jwt',
    hint: 'The server must trust whoever issued the assertion, and know its `sub` and `aud`; one that has expired is to be renewed by its issuer',
    async authenticate(request) {
      const value = await ask(assertion);
      presentAssertion(request, value);
      return { secrets: [value], renew: async () => await orAbort(ask(assertion), request.signal) !== value };
    },
  });
}

async function ask(assertion: () => string | Promise<string>): Promise<string> {
  const value: unknown = await asked('clientAssertion: the function', assertion);
  const trimmed = typeof value === 'string' ? value.trim() : '';
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(trimmed)) return trimmed;
  throw new OAuthError('invalid_configuration', `clientAssertion: the function must return a signed JWT: three parts in base64url with dots between them; it returned ${typeName(value)}`, { retryable: true });
}
