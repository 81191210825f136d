import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { FromChild, ToChild } from './message.js';

export interface Server<Ready> {
  readonly ready: Ready;
  ask(command: string, argument?: unknown): Promise<unknown>;
  stop(): Promise<void>;
}

/** Starts a server in a process of its own and waits until it listens. */
export async function startServer<Ready>(file: URL): Promise<Server<Ready>> {
  const child = fork(file);
  const pending = new Map<number, (value: unknown) => void>();
  const ready = new Promise<unknown>((resolve, reject) => {
    child.on('message', (message: FromChild) => {
      if (message.type === 'ready') resolve(message.value);
      if (message.type === 'answer') pending.get(message.id)?.(message.value);
    });
    child.once('exit', (code) => {
      reject(new Error(`${file.pathname} ended early with code ${String(code)}`));
    });
  });
  let lastId = 0;
  return {
    ready: (await ready) as Ready,
    ask(command, argument) {
      const id = ++lastId;
      return new Promise((resolve) => {
        pending.set(id, (value) => {
          pending.delete(id);
          resolve(value);
        });
        child.send({ id, command, argument } satisfies ToChild);
      });
    },
    async stop() {
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}
