import { asked } from '../../asked.js';
import { OAuthError } from '../../errors.js';
import { checkOptions, text } from '../../validation.js';
import { signatureAlgorithm } from '../keys/key-algorithms.js';
import { signingKey, type PrivateKey, type SigningKey, type SigningKeyOptions } from '../keys/signing-key.js';
import { assertionAlgorithms, assertionClaims, audienceHint, presentAssertion } from './assertion.js';
import type { ClientAuthentication } from './client-authentication.js';
import { askedValue, heldValue, type ValueHolder } from './held-value.js';

/** How `private_key_jwt` is made. */
export interface PrivateKeyJwtOptions {
  /** The JWS algorithm, e.g. `PS256`. @default the JWK's; else the first that the key can do and the server lists; else ES256, ES384, ES512, EdDSA or RS256, as the key is */
  alg?: string | undefined;
  /** The key's id in the client's JWKS, sent in the header. @default the JWK's, else none */
  kid?: string | undefined;
  /** Whom the assertion is for: `token_endpoint` for servers that want the URL of that, or any other text. @default the issuer; the token endpoint where none is known */
  audience?: string | undefined;
}

/**
 * `private_key_jwt` (OpenID Connect Core section 9, RFC 7523): an assertion signed with a key whose public half the server knows. A function is asked for the key
 * on first use and again after `invalid_client`: keys rotate.
 * @throws OAuthError `invalid_configuration`
 */
export function privateKeyJwt(key: PrivateKey | (() => PrivateKey | Promise<PrivateKey>), options: PrivateKeyJwtOptions = {}): ClientAuthentication {
  checkOptions<PrivateKeyJwtOptions>('privateKeyJwt', options, {
    alg: signatureAlgorithm,
    kid: text,
    audience: text,
  });
  const { audience, ...signing } = options;
  const holder = holdKey(key, signing);
  return Object.freeze<ClientAuthentication>({
    method: 'private_key_jwt',
    hint: `The server must know the public half of this very key, by its \`kid\` where there are several. ${audienceHint(audience)}`,
    async authenticate(request) {
      const value = await holder.current(request.signal);
      const header = { alg: value.algorithm(assertionAlgorithms(request)), kid: value.kid };
      const assertion = await value.sign(assertionClaims(request, audience), header);
      presentAssertion(request, assertion);
      const { replace } = holder;
      return { secrets: [assertion], ...(replace && { renew: () => replace(value, request.signal) }) };
    },
  });
}

function holdKey(key: PrivateKey | (() => PrivateKey | Promise<PrivateKey>), signing: SigningKeyOptions): ValueHolder<SigningKey> {
  if (typeof key !== 'function') return heldValue(signingKey('privateKeyJwt', key, signing));
  return askedValue(async () => askOnce(key, signing), (a, b) => a.thumbprint === b.thumbprint && a.kid === b.kid);
}

async function askOnce(give: () => PrivateKey | Promise<PrivateKey>, signing: SigningKeyOptions): Promise<SigningKey> {
  const key = await asked('privateKeyJwt: the key function', give);
  try {
    return signingKey('privateKeyJwt: the key function', key, signing);
  } catch (thrown) {
    // Another answer may be better.
    throw thrown instanceof OAuthError ? new OAuthError(thrown.code, thrown.message, { retryable: true }) : thrown;
  }
}
