import { startApi } from '../shared-servers/api.js';
import { startAuthorizationServer, type AuthorizationServer } from '../shared-servers/authorization-server.js';
import type { Settings } from './device.js';

export interface Surroundings {
  readonly authorizationServer: AuthorizationServer;
  /** Of a device that goes with them. */
  readonly settings: Settings;
  close(): Promise<void>;
}

/** What the device needs around it, in this process: an authorization server that knows it, and an API. */
export async function startSurroundings(): Promise<Surroundings> {
  const clientId = 'tv';
  const resource = { audience: 'https://api.example.com', scope: 'orders:read' };
  const authorizationServer = await startAuthorizationServer({ ...resource, clientId, clientName: 'Example TV', accessTokenTtl: 60 });
  const { issuer, provider } = authorizationServer;
  // Of itself it names none, which means 5 s.
  provider.on('device_authorization.success', (_context, answer) => { answer['interval'] = 1; });
  const api = await startApi({ issuer, ...resource });
  return {
    authorizationServer, settings: { issuer, clientId, apiUrl: api.url, allowInsecureRequests: true },
    async close() {
      await Promise.all([authorizationServer.close(), api.close()]);
    },
  };
}
