import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ApiConfig, AuthorizationServerConfig, Command, Report, ReportOf } from './protocol.js';

/** A server of the demo in a process of its own. */
export class ServerProcess {
  readonly #child: ChildProcess;
  #output = '';
  #stopping = false;

  /** Rejects when the process ends without having been told to. */
  readonly failed: Promise<never>;

  private constructor(name: string) {
    this.#child = fork(fileURLToPath(new URL(`${name}.ts`, import.meta.url)), {
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => { this.#output = (this.#output + chunk.toString()).slice(-4_000); });
    }
    this.failed = new Promise((_resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('exit', (code, signal) => {
        if (!this.#stopping) reject(new Error(`${name} ended (${signal ?? `exit code ${String(code)}`})\n${this.#output}`));
      });
    });
    this.failed.catch(() => undefined);
  }

  /** Starts the process and loads its modules; it listens when `start` says so. */
  static async load(name: 'authorization-server' | 'api'): Promise<ServerProcess> {
    const server = new ServerProcess(name);
    await server.next('loaded');
    return server;
  }

  async start(config: AuthorizationServerConfig | ApiConfig): Promise<string> {
    return (await this.ask({ type: 'start', config }, 'listening')).url;
  }

  onReport(listener: (report: Report) => void): void {
    this.#child.on('message', (message) => { listener(message as Report); });
  }

  async ask<T extends Report['type']>(command: Command, answer: T): Promise<ReportOf<T>> {
    const answered = this.next(answer);
    this.#child.send(command);
    return answered;
  }

  async next<T extends Report['type']>(type: T): Promise<ReportOf<T>> {
    const reported = new Promise<ReportOf<T>>((resolve) => {
      const listener = (message: unknown): void => {
        const report = message as Report;
        if (report.type !== type) return;
        this.#child.off('message', listener);
        resolve(report as ReportOf<T>);
      };
      this.#child.on('message', listener);
    });
    return Promise.race([reported, this.failed]);
  }

  /** Ends the process the hard way, as a crash would. */
  async kill(): Promise<void> {
    this.#stopping = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    // Not by `once` of node:events, which an `error` ends as well: a command that comes too late is one.
    const exited = new Promise((resolve) => { this.#child.once('exit', resolve); });
    this.#child.kill('SIGKILL');
    await exited;
  }
}
