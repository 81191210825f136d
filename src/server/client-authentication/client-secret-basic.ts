import { checkOptions, invalid } from '../../validation.js';
import { formEncode } from '../form-encoding.js';
import type { ClientAuthentication } from './client-authentication.js';
import { holdSecret, type ClientSecret } from './client-secret.js';

/** How `client_secret_basic` is sent. */
export interface ClientSecretBasicOptions {
  /** How id and secret go into the header. `raw`: as they are, for servers that don't decode the form encoding that RFC 6749 section 2.3.1 asks for. @default 'form' */
  encoding?: 'form' | 'raw' | undefined;
}

/**
 * `client_secret_basic` (RFC 6749 section 2.3.1): id and secret in the `Authorization` header.
 * @throws OAuthError `invalid_configuration`
 */
export function clientSecretBasic(secret: ClientSecret, options: ClientSecretBasicOptions = {}): ClientAuthentication {
  const holder = holdSecret('clientSecretBasic', secret);
  checkOptions<ClientSecretBasicOptions>('clientSecretBasic', options, {
    encoding: { expected: "'form' or 'raw'", accepts: (value) => value === 'form' || value === 'raw' },
  });
  const encode = options.encoding === 'raw' ? (value: string) => value : formEncode;
  return Object.freeze<ClientAuthentication>({
    method: 'client_secret_basic',
    // Most servers that refuse Basic say nothing else.
    hint: 'If id and secret are right, the server may want them in the body: set `clientAuthentication: clientSecretPost(secret)`',
    async authenticate({ clientId, headers, signal }) {
      if (options.encoding === 'raw' && clientId.includes(':')) throw invalid("clientSecretBasic: a `clientId` with a colon can't be sent with encoding 'raw' (RFC 7617 section 2); use 'form' or clientSecretPost");
      const value = await holder.current(signal);
      const credentials = Buffer.from(`${encode(clientId)}:${encode(value)}`).toString('base64');
      headers.set('authorization', `Basic ${credentials}`);
      const { replace } = holder;
      return { secrets: [value, credentials], ...(replace && { renew: () => replace(value, signal) }) };
    },
  });
}
