import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startSurroundings, type Surroundings, type SurroundingsOptions } from '../web-backend/start-surroundings.js';
import { startRedis } from './redis-server.js';
import { ReplicaProcess } from './replica-process.js';
import { roundRobin } from './round-robin.js';

export interface ReplicasOptions extends Omit<SurroundingsOptions, 'refreshGrace'> {
  /** Of the round robin; 0 takes a free port. @default 0 */
  port?: number;
  log: (line: string) => void;
}

export interface Replicas extends Pick<Surroundings, 'authorizationServer'> {
  /** Of the round robin, which is all that browsers know. */
  readonly url: string;
  readonly roundRobin: Server;
  readonly replicas: readonly ReplicaProcess[];
  readonly redisUrl: string;
  close(): Promise<void>;
}

const names = ['replica 1', 'replica 2', 'replica 3', 'replica 4'];
/** Milliseconds for which the authorization server takes a refresh token that it has replaced: time to send it again for who comes after a replica that was killed in the midst. */
const refreshGrace = 30_000;

/** Four replicas of the web backend behind a round robin, a Redis that they share, an authorization server and an API. */
export async function startReplicas({ port = 0, log, ...options }: ReplicasOptions): Promise<Replicas> {
  const started: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const end of started.splice(0).reverse()) await end();
  };
  try {
    const redis = await startRedis();
    started.push(async () => redis.close());

    const server = createServer().listen(port, 'localhost');
    await once(server, 'listening');
    started.push(async () => closed(server));
    const url = `http://localhost:${(server.address() as AddressInfo).port}`;
    const surroundings = await startSurroundings(url, { ...options, refreshGrace });
    started.push(async () => surroundings.close());

    const { settings } = surroundings;
    const environment = {
      APP_URL: url, ISSUER: settings.issuer, CLIENT_ID: settings.clientId, CLIENT_SECRET: settings.clientSecret, API_URL: settings.apiUrl, ALLOW_INSECURE_REQUESTS: 'true',
      REDIS_URL: redis.url, ENCRYPTION_KEYS: randomBytes(32).toString('base64url'),
      // Somewhat less than the server's: what is sent again takes its time.
      REFRESH_GRACE: String(refreshGrace - 2_000),
    };
    const replicas = names.map((name) => new ReplicaProcess(name, environment, log));
    started.push(async () => { await Promise.all(replicas.map(async (replica) => replica.end('SIGTERM'))); });
    await Promise.all(replicas.map(async (replica) => replica.start()));

    server.on('request', roundRobin(replicas));
    return { url, roundRobin: server, replicas, redisUrl: redis.url, authorizationServer: surroundings.authorizationServer, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function closed(server: Server): Promise<void> {
  const gone = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await gone;
}
