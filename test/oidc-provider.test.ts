import { decodeJwt } from 'jose';
import { clientSecretBasic, clientSecretPost, createTokenManager, type TokenManager, type TokenManagerOptions } from 'grantkeeper';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failureOf } from './support/failure.js';
import { startOidcProvider, type OidcProvider } from './support/oidc-provider.js';

// RFC 6749 appendix A.2, which this server enforces: ASCII only.
const ODD_SECRET = `a:b+c% and -_.!~*'() "too" & more=?`;
const INVOICES = 'https://invoices.example.com/';

let provider: OidcProvider;
let granted: number;

beforeAll(async () => {
  provider = await startOidcProvider({
    clients: [
      { client_id: 'basic', client_secret: 'an-ordinary.secret_1' },
      { client_id: 'odd client: 100%', client_secret: ODD_SECRET },
      { client_id: 'post', client_secret: ODD_SECRET, token_endpoint_auth_method: 'client_secret_post' },
    ],
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
