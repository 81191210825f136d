import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('replica.ts', import.meta.url));
const endsWithItsParent = new URL('ends-with-its-parent.ts', import.meta.url).href;

/** `replica.ts` in a process of its own, which may be killed and started anew. */
export class ReplicaProcess {
  readonly name: string;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #log: (line: string) => void;
  #child: ChildProcess | undefined;
  #port: number | undefined;

  constructor(name: string, environment: NodeJS.ProcessEnv, log: (line: string) => void) {
    this.name = name;
    this.#environment = environment;
    this.#log = (line) => { log(`${name}: ${line}`); };
  }

  /** Where it listens: each start has a port of its own. Undefined while it's down. */
  get port(): number | undefined {
    return this.#port;
  }

  /** Resolves once it listens. */
  async start(): Promise<void> {
    const child = fork(program, {
      env: { ...process.env, ...this.#environment, REPLICA: this.name, PORT: '0' },
      execArgv: ['--import', 'tsx', '--import', endsWithItsParent],
      // Ctrl-C is for the demo, which stops its replicas first.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#child = child;
    child.once('exit', (code, signal) => {
      this.#port = undefined;
      if (code !== 0) this.#log(`gone (${signal ?? `exit code ${String(code)}`})`);
    });
    const listening = new Promise<void>((resolve) => {
      for (const stream of [child.stdout, child.stderr]) {
        if (stream !== null) createInterface({ input: stream }).on('line', (line) => {
          this.#port ??= portIn(line);
          if (this.#port !== undefined) resolve();
          this.#log(line);
        });
      }
    });
    const ended = once(child, 'exit').then(() => { throw new Error(`${this.name} has ended before it listened`); });
    ended.catch(() => undefined);
    await Promise.race([listening, ended]);
  }

  /** @param signal `SIGTERM` for one that may answer what has arrived, `SIGKILL` for one that is gone at once */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }
}

function portIn(line: string): number | undefined {
  const [, port] = /^listening on port (\d+)$/.exec(line) ?? [];
  return port === undefined ? undefined : Number(port);
}
