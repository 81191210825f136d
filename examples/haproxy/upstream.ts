import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Upstream {
  readonly port: number;
  /** The headers of what has come through. */
  readonly received: readonly IncomingHttpHeaders[];
  close(): Promise<void>;
}

/** The API itself, without a thought of tokens: it answers whoever the gateway lets through, and says for whom it takes them. */
export async function startUpstream(): Promise<Upstream> {
  const received: IncomingHttpHeaders[] = [];
  const server = createServer(({ headers }, response) => {
    received.push(headers);
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ subject: headers['x-subject'] ?? null, orders: 3 }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    received,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
