import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { Agent, type Dispatcher } from 'undici';

/** A token request in one form, whatever its format. */
export interface Asked {
  /** Method and address, without the query. */
  readonly to: string;
  readonly as: 'form' | 'json' | 'query';
  /** User and password. */
  readonly basic?: string;
  readonly parameters: Readonly<Record<string, string>>;
}

export interface Told {
  readonly status?: number;
  readonly json: unknown;
  /** On its way. */
  readonly lost?: true;
}

/** Stands for every host on the net. It takes only the requests that it was told of, in their order: method, address, format, authentication, and each parameter. */
export class ProviderServer {
  readonly dispatcher: Dispatcher;
  /** What came that was not what it takes. */
  readonly refused: Asked[] = [];
  readonly #server: Server;
  readonly #agent: Agent;
  readonly #documents = new Map<string, unknown>();
  #expected: { asked: Asked; told: Told }[] = [];

  constructor(server: Server) {
    this.#server = server;
    this.#agent = new Agent();
    const loopback = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.dispatcher = this.#agent.compose((dispatch) => (options, handler) => dispatch({ ...options, origin: loopback, path: `/${encodeURIComponent(String(options.origin))}${options.path}` }, handler));
    server.on('request', (request, response) => {
      void this.#answer(request).then(({ status = 200, json, lost }) => {
        if (lost === true) request.socket.destroy();
        else response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
      });
    });
  }

  /** How many of the requests that it takes have not come. */
  get awaited(): number {
    return this.#expected.length;
  }

  publishes(address: string, document: unknown): void {
    this.#documents.set(address, document);
  }

  takes(asked: Asked, told: Told): void {
    this.#expected.push({ asked, told });
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #answer(request: IncomingMessage): Promise<Told> {
    const [, origin = '', path = ''] = /^\/([^/]+)(.*)$/.exec(request.url ?? '') ?? [];
    const url = new URL(path, decodeURIComponent(origin));
    const document = this.#documents.get(url.href);
    if (request.method === 'GET' && document !== undefined) return { json: document };
    const asked = await askedIn(request, url);
    const [next] = this.#expected;
    if (next === undefined || !isDeepStrictEqual(asked, next.asked)) {
      this.refused.push(asked);
      return { status: 400, json: { error: 'unlike_anything_this_server_takes' } };
    }
    this.#expected = this.#expected.slice(1);
    return next.told;
  }
}

export async function startProviderServer(): Promise<ProviderServer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return new ProviderServer(server);
}

async function askedIn(request: IncomingMessage, url: URL): Promise<Asked> {
  const body = Buffer.concat((await request.toArray()) as Buffer[]).toString();
  const { authorization = '', 'content-type': type = '' } = request.headers;
  const as = type.startsWith('application/json') ? 'json' : type.startsWith('application/x-www-form-urlencoded') ? 'form' : 'query';
  const parameters = { json: () => JSON.parse(body) as Record<string, string>, form: () => Object.fromEntries(new URLSearchParams(body)), query: () => Object.fromEntries(url.searchParams) }[as]();
  return {
    to: `${request.method ?? ''} ${url.origin}${url.pathname}${as === 'query' ? '' : url.search}`,
    as,
    ...(authorization.startsWith('Basic ') && { basic: Buffer.from(authorization.slice(6), 'base64').toString() }),
    parameters: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, name === 'code_verifier' && /^[\w.~-]{43,128}$/.test(value) ? 'a verifier' : value])),
  };
}
