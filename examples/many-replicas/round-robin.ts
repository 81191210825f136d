import { request, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream';

/** Where a request can be sent to. */
export interface Upstream {
  /** Undefined while it's down. */
  readonly port: number | undefined;
}

/**
 * A load balancer without any stickiness: each request goes to the next upstream in turn. One that gets no answer goes on to the one after it, as far as nothing
 * is spoiled if it's sent twice (RFC 9110 section 9.2.2).
 */
export function roundRobin(upstreams: readonly Upstream[]): RequestListener {
  let turn = 0;
  const next = (): number | undefined => {
    const inTurn = upstreams.map((_upstream, index) => upstreams[(turn + index) % upstreams.length]);
    const found = inTurn.findIndex((upstream) => upstream?.port !== undefined);
    turn += found + 1;
    return inTurn[found]?.port;
  };

  const pass = (incoming: IncomingMessage, outgoing: ServerResponse, tries: number): void => {
    const port = next();
    if (port === undefined || tries === 0) { outgoing.writeHead(502).end(); return; }
    const { method = 'GET', url, headers } = incoming;
    // With a connection of its own: no request finds out that an idle one has gone away.
    const passed = request({ port, host: '127.0.0.1', agent: false, method, path: url, headers: { ...headers, connection: 'close' } });
    passed.once('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      // What ends one of them too early ends the other; nobody else is to be told.
      pipeline(answer, outgoing, () => undefined);
    });
    passed.once('error', () => {
      if (method === 'GET' || method === 'HEAD') pass(incoming, outgoing, tries - 1);
      else outgoing.writeHead(502).end();
    });
    incoming.pipe(passed);
  };

  return (incoming, outgoing) => { pass(incoming, outgoing, upstreams.length); };
}
