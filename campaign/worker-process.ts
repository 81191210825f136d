import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { ProcessLife } from './journal.js';
import type { Command, Report, WorkerConfig } from './protocol.js';

/** One worker, from its start to its end. */
export class WorkerProcess {
  readonly life: ProcessLife;
  /** Its last words, once it's gone. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  #errors = '';

  constructor(file: string, config: WorkerConfig, onReport: (report: Report) => void) {
    this.life = { name: config.process, startedAt: Date.now(), stops: [], stalls: [] };
    this.#child = fork(file, [JSON.stringify(config)], { execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    this.#child.stderr?.on('data', (chunk: Buffer) => { this.#errors = (this.#errors + chunk.toString()).slice(-4_000); });
    this.ended = once(this.#child, 'close').then(([code, signal]: (number | string | null)[]) => `${String(signal ?? `exit code ${String(code)}`)}\n${this.#errors}`);
    this.#child.on('message', (report: Report) => {
      if (report.type === 'ready') this.life.readyAt = Date.now();
      onReport(report);
    });
  }

  get name(): string {
    return this.life.name;
  }

  get isReady(): boolean {
    return this.life.readyAt !== undefined;
  }

  get isStopped(): boolean {
    const last = this.life.stops.at(-1);
    return last !== undefined && last.to === undefined;
  }

  tell(command: Command): void {
    // It may be dying.
    if (this.#child.connected) this.#child.send(command, () => undefined);
  }

  kill(): void {
    if (this.life.killedAt !== undefined) return;
    this.life.killedAt = Date.now();
    this.#child.kill('SIGKILL');
  }

  /** Once at a time. */
  stop(ms: number): void {
    if (this.isStopped || this.life.killedAt !== undefined) return;
    const stop: { from: number; to?: number } = { from: Date.now() };
    this.life.stops.push(stop);
    this.#child.kill('SIGSTOP');
    setTimeout(() => {
      stop.to = Date.now();
      this.#child.kill('SIGCONT');
    }, ms).unref();
  }
}
