import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TokenManager } from 'grantkeeper';
import { startApi, type Api } from '../shared-servers/api.js';
import { startAuthorizationServer, type AuthorizationServer, type AuthorizationServerOptions } from '../shared-servers/authorization-server.js';
import { createWebBackend } from './web-backend.js';

export interface DemoOptions extends Pick<AuthorizationServerOptions, 'accessTokenTtl' | 'onRequest'> {
  /** 0 takes a free port. @default 0 */
  port?: number;
  log: (line: string) => void;
}

export interface Demo {
  readonly url: string;
  readonly server: Server;
  readonly tokens: TokenManager;
  readonly authorizationServer: AuthorizationServer;
  readonly api: Api;
  close(): Promise<void>;
}

/**
 * The web backend, an authorization server and an API, in this process.
 *
 * The backend is at `localhost` and the authorization server at `127.0.0.1`: to a browser these are two sites, as they will be in production. Chromium and Firefox keep
 * `__Host-` cookies of http://localhost; Safari keeps them of https only.
 */
export async function startDemo({ port = 0, log, ...options }: DemoOptions): Promise<Demo> {
  const server = createServer();
  server.listen(port, 'localhost');
  await once(server, 'listening');
  const url = `http://localhost:${(server.address() as AddressInfo).port}`;

  const client = { clientId: 'shop', clientSecret: randomBytes(32).toString('base64url') };
  const resource = { audience: 'https://api.example.com', scope: 'orders:read' };
  const authorizationServer = await startAuthorizationServer({
    ...options, ...client, ...resource, clientName: 'Example shop', redirectUris: [`${url}/callback`], postLogoutRedirectUris: [`${url}/`],
  });
  const { issuer } = authorizationServer;
  const api = await startApi({ issuer, ...resource });
  const { listener, tokens } = createWebBackend({ appUrl: url, issuer, ...client, apiUrl: api.url, allowInsecureRequests: true }, log);
  server.on('request', listener);
  return {
    url, server, tokens, authorizationServer, api,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await Promise.all([closed, tokens.close()]);
      await Promise.all([authorizationServer.close(), api.close()]);
    },
  };
}
