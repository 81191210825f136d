import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { Agent, buildConnector } from 'undici';

/**
 * The library's own undici agents, made on first use: loading undici costs more than all the rest.
 * One for requests that keep the process alive, as any fetch does, and one for requests that don't.
 */
export async function ownAgent(detached: boolean): Promise<Agent> {
  return (agents[detached ? 'detached' : 'attached'] ??= createAgent(detached));
}

const agents: { attached?: Promise<Agent>; detached?: Promise<Agent> } = {};

/** Milliseconds, well below the deadlines that requests have: a connection that can't be made is known to have carried nothing. */
const connectTimeout = 4_000;

async function createAgent(detached: boolean): Promise<Agent> {
  const { Agent, Pool, buildConnector } = await import('undici');
  // undici 7 counts connections by origin, those of a pool that it gave up included: after one body that was not read
  // each further request would open a connection of its own. A pool that keeps its losses to itself is never given up.
  class SteadyPool extends Pool {
    override emit(...parameters: Parameters<EventEmitter['emit']>): boolean {
      return parameters[0] !== 'disconnect' && EventEmitter.prototype.emit.apply(this, parameters);
    }
  }
  return new Agent({
    factory: (origin, options) => new SteadyPool(origin, options),
    ...(detached && { connect: detachedConnector(buildConnector({ timeout: connectTimeout })) }),
  });
}

/** undici holds the process for as long as a request is under way; these sockets don't let it. Whoever waits keeps the process alive. */
function detachedConnector(connect: (...parameters: Parameters<buildConnector.connector>) => unknown): buildConnector.connector {
  return (options, callback) => {
    const socket = connect(options, callback) as Socket;
    socket.unref();
    socket.ref = () => socket;
  };
}
