import { startServer, type Server } from '../processes/start-server.js';
import type { ApiCounts } from './api.js';
import type { RotationLog } from './rotating-token-endpoint.js';
import type { Outage, TokenEndpointLog } from './token-endpoint.js';

export interface Api {
  readonly origin: string;
  counts(): Promise<ApiCounts>;
  revoke(token: string): Promise<void>;
  stop(): Promise<void>;
}

export interface TokenEndpoint {
  /** Its URL for tokens of `lifetime` seconds, answered after `delay` milliseconds. */
  url(options?: { lifetime?: number; delay?: number }): string;
  /** The next request starts an outage. */
  plan(outage: Outage): Promise<void>;
  reset(): Promise<void>;
  log(): Promise<TokenEndpointLog>;
  stop(): Promise<void>;
}

export interface RotatingTokenEndpoint {
  /** Its URL for tokens of `lifetime` seconds, answered after `delay` milliseconds. */
  url(options: { lifetime: number; delay: number }): string;
  /** Begins a grant without a login, and gives its first refresh token. */
  begin(): Promise<string>;
  reset(): Promise<void>;
  log(): Promise<RotationLog>;
  stop(): Promise<void>;
}

export async function startApi(): Promise<Api> {
  const server = await startServer<string>(new URL('api.ts', import.meta.url));
  return {
    origin: server.ready,
    counts: async () => (await server.ask('counts')) as ApiCounts,
    revoke: async (token) => {
      await server.ask('revoke', token);
    },
    stop: () => server.stop(),
  };
}

export async function startTokenEndpoint(): Promise<TokenEndpoint> {
  const server: Server<string> = await startServer<string>(new URL('token-endpoint.ts', import.meta.url));
  return {
    url: ({ lifetime = 3600, delay = 0 } = {}) => `${server.ready}/${lifetime}/${delay}/token`,
    plan: async (outage) => {
      await server.ask('plan', outage);
    },
    reset: async () => {
      await server.ask('reset');
    },
    log: async () => (await server.ask('log')) as TokenEndpointLog,
    stop: () => server.stop(),
  };
}

export async function startRotatingTokenEndpoint(): Promise<RotatingTokenEndpoint> {
  const server = await startServer<string>(new URL('rotating-token-endpoint.ts', import.meta.url));
  return {
    url: ({ lifetime, delay }) => `${server.ready}/${lifetime}/${delay}/token`,
    begin: async () => (await server.ask('begin')) as string,
    reset: async () => {
      await server.ask('reset');
    },
    log: async () => (await server.ask('log')) as RotationLog,
    stop: () => server.stop(),
  };
}
