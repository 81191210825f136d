import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import type { Command, Report } from './protocol.js';

type Commands = { [T in Command['type']]?: (command: Extract<Command, { type: T }>) => void };

/** The child's end of the IPC channel, with the commands that it takes. */
export function listenToDirector(commands: Commands): void {
  process.on('message', (message) => {
    const command = message as Command;
    const run = commands[command.type] as ((command: Command) => void) | undefined;
    run?.(command);
  });
  // Ctrl-C reaches the whole process group; it's the director who decides when a server goes.
  process.on('SIGINT', () => undefined);
  // However the director ends, even by SIGKILL, no server outlives it.
  process.on('disconnect', () => { process.exit(); });
  report({ type: 'loaded' });
}

export function report(message: Report): void {
  process.send?.(message);
}

/** Listens on loopback and tells the port that it got. */
export async function listen(server: Server, port: number): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const { port: actual } = server.address() as AddressInfo;
  return `http://127.0.0.1:${actual}`;
}
