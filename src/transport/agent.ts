import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import type { Agent, buildConnector } from 'undici';

/** The library's own undici agents. */
export const ownAgent: (detached: boolean) => Promise<Agent> = lazyAgents();

/**
 * undici agents that are made on first use: loading undici costs more than all the rest.
 * One for requests that keep the process alive, as any fetch does, and one for requests that don't.
 * @param secureContext what their TLS connections present and trust; by default what Node does
 */
export function lazyAgents(secureContext?: SecureContext): (detached: boolean) => Promise<Agent> {
  const agents: { attached?: Promise<Agent>; detached?: Promise<Agent> } = {};
  return async (detached) => (agents[detached ? 'detached' : 'attached'] ??= createAgent(detached, secureContext));
}

/** Milliseconds, well below the deadlines that requests have: a connection that can't be made is known to have carried nothing. */
const connectTimeout = 4_000;

async function createAgent(detached: boolean, secureContext: SecureContext | undefined): Promise<Agent> {
  const { Agent, Pool, buildConnector } = await import('undici');
  // undici 7 counts connections by origin, those of a pool that it gave up included: after one body that was not read
  // each further request would open a connection of its own. A pool that keeps its losses to itself is never given up.
  class SteadyPool extends Pool {
    override emit(...parameters: Parameters<EventEmitter['emit']>): boolean {
      return parameters[0] !== 'disconnect' && EventEmitter.prototype.emit.apply(this, parameters);
    }
  }
  const tls = secureContext && { secureContext };
  // One for each origin: a connector knows its TLS sessions by host only, and one from a port that asks for no certificate must not be resumed at a port that does.
  const connect = (): buildConnector.BuildOptions | buildConnector.connector => (detached ? detachedConnector(buildConnector({ ...tls, timeout: connectTimeout })) : { ...tls });
  return new Agent({ factory: (origin, options) => new SteadyPool(origin, { ...options as object, connect: connect() }) });
}

/** undici holds the process for as long as a request is under way; these sockets don't let it. Whoever waits keeps the process alive. */
function detachedConnector(connect: (...parameters: Parameters<buildConnector.connector>) => unknown): buildConnector.connector {
  return (options, callback) => {
    const socket = connect(options, callback) as Socket;
    socket.unref();
    socket.ref = () => socket;
  };
}
