import { fork } from 'node:child_process';
import type { FromChild } from './message.js';

export interface JobOptions {
  /** Flags of Node, e.g. `--expose-gc`. */
  readonly flags?: readonly string[];
  readonly progress?: (line: string) => void;
}

/** Runs a program of `jobs/` in a fresh process and gives what it reported. */
export async function runJob(file: URL, argument: unknown, { flags = [], progress }: JobOptions = {}): Promise<unknown> {
  const child = fork(file, [JSON.stringify(argument)], { execArgv: [...process.execArgv, ...flags] });
  return new Promise((resolve, reject) => {
    child.on('message', (message: FromChild) => {
      if (message.type === 'progress') progress?.(message.line);
      if (message.type === 'result') resolve(message.value);
    });
    child.once('exit', (code) => {
      reject(new Error(`${file.pathname} ended with code ${String(code)} and no result`));
    });
  });
}
