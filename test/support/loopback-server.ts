import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { TlsOptions } from 'node:tls';
import { readBody, receivedRequest, type ReceivedRequest } from './received-request.js';

const LOOPBACK = '127.0.0.1';

/**
 * Listening, but not yet answering: its address is known before anything is built on it.
 * @param tls for https
 */
export async function listenOnLoopback(port = 0, tls?: TlsOptions): Promise<Server> {
  // A token of 16 kB is legitimate, and Node's default limit for all headers together is 16 KiB.
  const limits = { maxHeaderSize: 128 * 1024 };
  const server = tls === undefined ? createServer(limits) : createTlsServer({ ...limits, ...tls });
  server.listen(port, LOOPBACK);
  await once(server, 'listening');
  return server;
}

export interface LoopbackServerOptions {
  /** Whether the journal keeps what was sent; `bodySize` is counted anyway. @default true */
  keepBodies?: boolean;
  /** Answers as soon as the head is there, while the body is still on its way. @default false */
  answersBeforeBody?: boolean;
}

/** An HTTP server with a journal, whose connections can be counted and cut. */
export abstract class LoopbackServer {
  readonly origin: string;
  readonly requests: ReceivedRequest[] = [];
  totalConnections = 0;
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  readonly #options: LoopbackServerOptions;
  #server: Server;

  constructor(server: Server, options: LoopbackServerOptions = {}) {
    this.#port = (server.address() as AddressInfo).port;
    this.origin = `http://${LOOPBACK}:${this.#port}`;
    this.#options = options;
    this.#server = this.#attach(server);
  }

  protected abstract answer(request: ReceivedRequest, response: ServerResponse): Promise<void>;

  get openConnections(): number {
    return this.#sockets.size;
  }

  /** Connections are refused from here on, and the open ones destroyed. */
  async stop(): Promise<void> {
    const server = this.#server;
    const closed = [...this.#sockets].map((socket) => once(socket, 'close'));
    if (server.listening) {
      closed.push(once(server, 'close'));
      server.close();
    }
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
    // A client in this process hears of it in the next turn; before that it would still use its pooled connection.
    await nextTurn();
    await nextTurn();
  }

  /** Listens again, on the same port. */
  async start(): Promise<void> {
    if (!this.#server.listening) this.#server = this.#attach(await listenOnLoopback(this.#port));
  }

  async close(): Promise<void> {
    await this.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #attach(server: Server): Server {
    server.on('connection', (socket) => {
      this.totalConnections += 1;
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.on('request', (message, response) => {
      this.#receive(message, response).catch((error: unknown) => {
        // A script that throws must not look like the network's fault.
        if (response.headersSent) response.destroy();
        else response.writeHead(500, { 'content-type': 'text/plain' }).end(`the script of this test server threw: ${String(error)}`);
      });
    });
    return server;
  }

  async #receive(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const { keepBodies = true, answersBeforeBody = false } = this.#options;
    const request = receivedRequest(message, response);
    this.requests.push(request);
    const reading = readBody(message, request, keepBodies);
    if (!answersBeforeBody && !await reading) return;
    await this.answer(request, response);
  }
}
