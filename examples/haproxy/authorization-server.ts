import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import { loadProvider } from '../shared-servers/load-provider.js';
import { memoryAdapter } from '../shared-servers/memory-adapter.js';

export interface AuthorizationServer {
  readonly issuer: string;
  readonly jwksUri: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** How many token requests it has answered. */
  readonly tokenRequests: number;
  /** The next token has expired before it's issued, whatever `expires_in` says: as if the server's clock were behind. */
  nextTokenIsOld(): void;
  close(): Promise<void>;
}

/** A real authorization server on http and loopback, with one machine as its client. Its access tokens are JWTs (RFC 9068) for the one API that a request names (`resource`, RFC 8707). */
export async function startAuthorizationServer(): Promise<AuthorizationServer> {
  const [Provider, { privateKey }] = await Promise.all([loadProvider(), generateKeyPair('ES256', { extractable: true })]);
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = { clientId: 'billing', clientSecret: randomBytes(32).toString('base64url') };

  let tokenRequests = 0;
  let isOld = false;
  const provider = new Provider(issuer, {
    clients: [{ client_id: client.clientId, client_secret: client.clientSecret, grant_types: ['client_credentials'], redirect_uris: [], response_types: [], id_token_signed_response_alg: 'ES256' }],
    adapter: memoryAdapter(0),
    jwks: { keys: [{ ...await exportJWK(privateKey), alg: 'ES256', use: 'sig', kid: 'example' }] },
    scopes: ['orders:read', 'orders:write'],
    ttl: { ClientCredentials: 60 },
    formats: {
      customizers: {
        jwt(_context, _token, { payload }) {
          if (isOld) payload['exp'] = Math.floor(Date.now() / 1_000) - 1;
          isOld = false;
        },
      },
    },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, audience) => ({ audience, scope: 'orders:read orders:write', accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }),
      },
    },
  });
  provider.on('grant.success', () => { tokenRequests += 1; });
  const handle = provider.callback();
  server.on('request', (request, response) => { handle(request, response).catch(() => { response.destroy(); }); });
  return {
    issuer, ...client,
    jwksUri: `${issuer}/jwks`,
    get tokenRequests() { return tokenRequests; },
    nextTokenIsOld() { isOld = true; },
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
