import { createPublicKey, generateKeyPairSync, randomUUID, webcrypto, type JsonWebKey, type KeyObject } from 'node:crypto';
import { decodeJwt, SignJWT } from 'jose';
import { clientAssertion, clientSecretBasic, clientSecretJwt, clientSecretPost, createTokenManager, privateKeyJwt, type PrivateKey, type TokenManager, type TokenManagerOptions } from 'grantkeeper';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failureOf } from './support/failure.js';
import { startOidcProvider, type OidcProvider } from './support/oidc-provider.js';

// RFC 6749 appendix A.2, which this server enforces: ASCII only.
const ODD_SECRET = `a:b+c% and -_.!~*'() "too" & more=?`;
const INVOICES = 'https://invoices.example.com/';

const SECRET_FOR_ASSERTIONS = 'a secret of sixty-four characters, which is enough for HS512 too';

const privateKeys = {
  ES256: { key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, parameters: { name: 'ECDSA', namedCurve: 'P-256' } },
  RS256: { key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, parameters: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } },
  PS256: { key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, parameters: { name: 'RSA-PSS', hash: 'SHA-256' } },
  EdDSA: { key: generateKeyPairSync('ed25519').privateKey, parameters: { name: 'Ed25519' } },
};
type Signature = keyof typeof privateKeys;
const signatures = Object.keys(privateKeys) as Signature[];
const jwkOf = (key: KeyObject): JsonWebKey => key.export({ format: 'jwk' });

let provider: OidcProvider;
let granted: number;

beforeAll(async () => {
  provider = await startOidcProvider({
    clients: [
      { client_id: 'basic', client_secret: 'an-ordinary.secret_1' },
      { client_id: 'odd client: 100%', client_secret: ODD_SECRET },
      { client_id: 'post', client_secret: ODD_SECRET, token_endpoint_auth_method: 'client_secret_post' },
      ...signatures.map((alg) => ({
        client_id: alg,
        token_endpoint_auth_method: 'private_key_jwt' as const,
        token_endpoint_auth_signing_alg: alg,
        jwks: { keys: [{ ...jwkOf(createPublicKey(privateKeys[alg].key)), kid: 'k1', use: 'sig' } as JsonWebKey & { kty: string }] },
      })),
      ...(['HS256', 'HS384', 'HS512'] as const).map((alg) => ({
        client_id: alg,
        client_secret: SECRET_FOR_ASSERTIONS,
        token_endpoint_auth_method: 'client_secret_jwt' as const,
        token_endpoint_auth_signing_alg: alg,
      })),
    ],
    configuration: { enabledJWA: { clientAuthSigningAlgValues: ['HS256', 'HS384', 'HS512', ...signatures] } },
    accessTokenTtl: 600,
  });
  granted = 0;
  provider.provider.on('grant.success', () => { granted += 1; });
});

afterAll(async () => {
  await provider.close();
});

function client(options: Partial<TokenManagerOptions>): TokenManager {
  return createTokenManager({ issuer: provider.issuer, clientId: 'basic', allowInsecureRequests: true, retry: { minDelay: 0 }, ...options });
}

describe('a real authorization server', () => {
  test('is discovered, and issues a token', async () => {
    const before = Date.now();
    const token = await client({ clientSecret: 'an-ordinary.secret_1' }).clientCredentials({ scope: 'read' }).getToken();
    expect(token).toMatchObject({ type: 'Bearer', scope: 'read' });
    expect(token.expiresAt).toBeGreaterThanOrEqual(before + 600_000);
    expect(token.expiresAt).toBeLessThanOrEqual(Date.now() + 600_000);
    expect(decodeJwt(token.value)).toMatchObject({ iss: provider.issuer, client_id: 'basic', scope: 'read', aud: 'https://api.example.com' });
  });

  test('is asked once by a hundred callers', async () => {
    const tokens = client({ clientSecret: 'an-ordinary.secret_1' });
    const before = granted;
    const all = await Promise.all(Array.from({ length: 100 }, async () => tokens.clientCredentials({ scope: 'read write' }).getToken()));
    expect(new Set(all.map(({ value }) => value)).size).toBe(1);
    expect(granted - before).toBe(1);
  });

  test.each<[string, Partial<TokenManagerOptions>]>([
    ['Basic', { clientId: 'odd client: 100%', clientSecret: ODD_SECRET }],
    ['Basic, named', { clientId: 'odd client: 100%', clientAuthentication: clientSecretBasic(ODD_SECRET) }],
    ['post', { clientId: 'post', clientAuthentication: clientSecretPost(ODD_SECRET) }],
  ])('T1 reads credentials of any characters: %s', async (_case, options) => {
    const { value } = await client(options).clientCredentials().getToken();
    expect(decodeJwt(value)).toMatchObject({ client_id: options.clientId });
  });

  test('T1 does not read raw ones that had to be encoded', async () => {
    const failure = await failureOf(client({ clientAuthentication: clientSecretBasic('100%', { encoding: 'raw' }) }).clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'token_request_failed', status: 400, error: 'invalid_request' });
  });

  test('refuses a wrong secret: the error says what to check, and nothing of the secret', async () => {
    const failure = await failureOf(client({ clientSecret: 'wrong-s3cret' }).clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'token_request_failed', status: 401, error: 'invalid_client', retryable: false });
    expect(failure.message).toContain('clientSecretPost');
    expect(failure.message).not.toContain('wrong-s3cret');
  });

  test('takes the new secret where the first one was out of date', async () => {
    const secrets = ['out-of-date', 'an-ordinary.secret_1'];
    const tokens = client({ clientSecret: () => secrets.shift() ?? 'none left' });
    expect(await tokens.clientCredentials().getToken()).toMatchObject({ type: 'Bearer' });
  });

  test('names a resource in the token\'s audience (RFC 8707)', async () => {
    const { value } = await client({ clientSecret: 'an-ordinary.secret_1' }).clientCredentials({ resource: INVOICES }).getToken();
    expect(decodeJwt(value).aud).toBe(INVOICES);
  });

  test('says why a resource is none', async () => {
    const failure = await failureOf(client({ clientSecret: 'an-ordinary.secret_1' }).clientCredentials({ resource: 'not a URI' }).getToken());
    expect(failure).toMatchObject({ code: 'token_request_failed', status: 400, error: 'invalid_target' });
  });

  test('T7 is refused under another spelling of its issuer', async () => {
    const failure = await failureOf(client({ issuer: `${provider.issuer}/`, clientSecret: 'an-ordinary.secret_1' }).clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'discovery_failed' });
    expect(failure.message).toContain(`"${provider.issuer}" instead of "${provider.issuer}/"`);
  });
});

describe('a real authorization server that is shown assertions', () => {
  const forms: Record<string, (alg: Signature) => PrivateKey | Promise<PrivateKey>> = {
    'a PEM': (alg) => privateKeys[alg].key.export({ format: 'pem', type: 'pkcs8' }).toString(),
    'a JWK': (alg) => jwkOf(privateKeys[alg].key),
    'a KeyObject': (alg) => privateKeys[alg].key,
    'a CryptoKey': async (alg) => webcrypto.subtle.importKey('jwk', jwkOf(privateKeys[alg].key), privateKeys[alg].parameters, true, ['sign']),
    'a CryptoKey that can\'t be exported': async (alg) => webcrypto.subtle.importKey('jwk', jwkOf(privateKeys[alg].key), privateKeys[alg].parameters, false, ['sign']),
  };
  const matrix = signatures.flatMap((alg) => Object.keys(forms).map((form): [Signature, string] => [alg, form]));
  const expectToken = async (clientId: string, clientAuthentication: TokenManagerOptions['clientAuthentication']): Promise<void> => {
    const { value } = await client({ clientId, clientAuthentication }).clientCredentials().getToken();
    expect(decodeJwt(value)).toMatchObject({ client_id: clientId });
  };

  test.each(matrix)('private_key_jwt: %s with %s', async (alg, form) => {
    const key = await forms[form]?.(alg) ?? '';
    // A server that lists both takes an RSA key for RS256.
    await expectToken(alg, privateKeyJwt(key, { kid: 'k1', ...alg === 'PS256' && { alg } }));
  });

  test.each(['HS256', 'HS384', 'HS512'] as const)('client_secret_jwt: %s', async (alg) => {
    await expectToken(alg, clientSecretJwt(SECRET_FOR_ASSERTIONS, { alg }));
  });

  test.each(['token_endpoint', 'the URL itself'])('takes the token endpoint for the audience too: %s', async (audience) => {
    const options = { audience: audience === 'token_endpoint' ? audience : `${provider.issuer}/token` };
    await expectToken('ES256', privateKeyJwt(privateKeys.ES256.key, options));
    await expectToken('HS256', clientSecretJwt(SECRET_FOR_ASSERTIONS, options));
  });

  test.each<[string, string, () => TokenManagerOptions['clientAuthentication'], RegExp]>([
    ['an assertion for somebody else', 'ES256', () => privateKeyJwt(privateKeys.ES256.key, { audience: 'https://other.example.com' }), /another `audience`: most want the issuer/],
    ['another key', 'ES256', () => privateKeyJwt(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey), /The server must know the public half of this very key/],
    ['another secret', 'HS256', () => clientSecretJwt('another secret'), /If the secret is right/],
    ['another algorithm', 'HS512', () => clientSecretJwt(SECRET_FOR_ASSERTIONS), /the `alg` that is registered/],
  ])('refuses %s, and the error says what to look at', async (_case, clientId, authentication, hint) => {
    const failure = await failureOf(client({ clientId, clientAuthentication: authentication() }).clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'token_request_failed', status: 401, error: 'invalid_client', retryable: false });
    expect(failure.message).toMatch(hint);
  });

  test('takes the new key where the first one was out of date', async () => {
    const keys = [generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, privateKeys.ES256.key];
    await expectToken('ES256', privateKeyJwt(() => keys.shift() ?? 'none left'));
  });

  test('takes an assertion of somebody else\'s, once: the next one is sent after it was refused', async () => {
    const issue = async (): Promise<string> => new SignJWT({ jti: randomUUID() })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' }).setIssuer('ES256').setSubject('ES256').setAudience(provider.issuer).setIssuedAt().setExpirationTime('5 minutes')
      .sign(privateKeys.ES256.key);
    let current = await issue();
    const next = await issue();
    await expectToken('ES256', clientAssertion(() => `${current}\n`));
    const failure = await failureOf(client({ clientId: 'ES256', clientAuthentication: clientAssertion(() => current) }).clientCredentials().getToken());
    expect(failure).toMatchObject({ error: 'invalid_client' });
    let asked = 0;
    await expectToken('ES256', clientAssertion(() => {
      if ((asked += 1) > 1) current = next;
      return current;
    }));
  });
});
