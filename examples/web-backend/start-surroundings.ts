import { randomBytes } from 'node:crypto';
import { startApi, type Api } from '../shared-servers/api.js';
import { startAuthorizationServer, type AuthorizationServer, type AuthorizationServerOptions } from '../shared-servers/authorization-server.js';
import type { Settings } from './settings.js';

export type SurroundingsOptions = Pick<AuthorizationServerOptions, 'accessTokenTtl' | 'refreshGrace' | 'onRequest'>;

export interface Surroundings {
  readonly authorizationServer: AuthorizationServer;
  readonly api: Api;
  /** Of a backend that goes with them. */
  readonly settings: Settings;
  close(): Promise<void>;
}

/** What the web backend at `appUrl` needs around it, in this process: an authorization server that knows it, and an API. */
export async function startSurroundings(appUrl: string, options: SurroundingsOptions): Promise<Surroundings> {
  const client = { clientId: 'shop', clientSecret: randomBytes(32).toString('base64url') };
  const resource = { audience: 'https://api.example.com', scope: 'orders:read' };
  const authorizationServer = await startAuthorizationServer({
    ...options, ...client, ...resource, clientName: 'Example shop', redirectUris: [`${appUrl}/callback`], postLogoutRedirectUris: [`${appUrl}/`],
  });
  const { issuer } = authorizationServer;
  const api = await startApi({ issuer, ...resource });
  return {
    authorizationServer, api, settings: { appUrl, issuer, ...client, apiUrl: api.url, allowInsecureRequests: true },
    async close() {
      await Promise.all([authorizationServer.close(), api.close()]);
    },
  };
}
