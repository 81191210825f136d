import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';

/** Listens on the loopback, on a free port unless one is given, and gives the origin. Connections stay open between rounds. */
export async function listen(server: Server, port = 0): Promise<string> {
  server.keepAliveTimeout = 60_000;
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
