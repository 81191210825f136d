import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TokenManager } from 'grantkeeper';
import { startSurroundings, type Surroundings, type SurroundingsOptions } from './start-surroundings.js';
import { createWebBackend } from './web-backend.js';

export interface DemoOptions extends SurroundingsOptions {
  /** 0 takes a free port. @default 0 */
  port?: number;
  log: (line: string) => void;
}

export interface Demo extends Pick<Surroundings, 'authorizationServer' | 'api'> {
  readonly url: string;
  readonly server: Server;
  readonly tokens: TokenManager;
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

  const surroundings = await startSurroundings(url, options);
  const { authorizationServer, api } = surroundings;
  const { listener, tokens } = createWebBackend(surroundings.settings, log);
  server.on('request', listener);
  return {
    url, server, tokens, authorizationServer, api,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await Promise.all([closed, tokens.close()]);
      await surroundings.close();
    },
  };
}
