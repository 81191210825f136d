import { endWithParent, tellParent, type ToChild } from './message.js';

export type Commands = Readonly<Record<string, (argument: never) => unknown>>;

/** A server's side of the channel: says that it is ready, then answers commands. */
export function answer(ready: unknown, commands: Commands): void {
  endWithParent();
  process.on('message', ({ id, command, argument }: ToChild) => {
    const run = commands[command];
    if (run === undefined) throw new Error(`unknown command ${command}`);
    tellParent({ type: 'answer', id, value: run(argument as never) });
  });
  tellParent({ type: 'ready', value: ready });
}
