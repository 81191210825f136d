import type { Journal } from './journal.js';
import type { Command, Report, WorkerConfig } from './protocol.js';
import { WorkerProcess } from './worker-process.js';

export interface CrewOptions {
  readonly size: number;
  readonly file: string;
  readonly config: Omit<WorkerConfig, 'process'>;
  readonly journal: Journal;
  readonly onReport: (report: Report, worker: WorkerProcess) => void;
  /** A worker has ended by itself. */
  readonly onCrash: (error: Error) => void;
}

/** The workers: a place for each, and in each one process after the other. */
export class Crew {
  readonly #options: CrewOptions;
  readonly #places: WorkerProcess[] = [];
  #isClosing = false;

  constructor(options: CrewOptions) {
    this.#options = options;
    for (let place = 1; place <= options.size; place += 1) this.#start(place, 1);
  }

  /** Those that could do something right now. */
  get running(): readonly WorkerProcess[] {
    return this.#places.filter(({ isReady, isStopped, life }) => isReady && !isStopped && life.killedAt === undefined);
  }

  kill(name: string): void {
    this.#find(name)?.kill();
  }

  stop(name: string, ms: number): void {
    this.#find(name)?.stop(ms);
  }

  /** @param part from 0 to 1: which of the running ones */
  pick(part: number): WorkerProcess | undefined {
    const { running } = this;
    return running[Math.floor(part * running.length)];
  }

  tellAll(command: Command): void {
    for (const worker of this.#places) {
      if (worker.isReady) worker.tell(command);
    }
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    for (const worker of this.#places) worker.kill();
    await Promise.all(this.#places.map(({ ended }) => ended));
  }

  #find(name: string): WorkerProcess | undefined {
    return this.#places.find((worker) => worker.name === name);
  }

  #start(place: number, count: number): void {
    const { file, config, journal, onReport, onCrash } = this.#options;
    const worker: WorkerProcess = new WorkerProcess(file, { ...config, process: `${place}.${count}` }, (report) => { onReport(report, worker); });
    this.#places[place - 1] = worker;
    journal.processes.push(worker.life);
    void worker.ended.then((lastWords) => {
      if (this.#isClosing) return;
      if (worker.life.killedAt === undefined) onCrash(new Error(`Worker ${worker.name} ended by itself: ${lastWords}`));
      else this.#start(place, count + 1);
    });
  }
}
