import type { Scheduler } from 'fast-check';
import type { TimerOwner, VirtualTime } from './virtual-time.js';

export const networkFaults = ['fails', 'answer lost', 'hangs', 'hangs after'] as const;
export type NetworkFault = 'none' | typeof networkFaults[number];
/** It arrives long after whoever asked has given up: clients of a store send what they have queued. */
export const lateFaults = ['late', 'very late'] as const;
export type StoreFault = NetworkFault | typeof lateFaults[number];

/** In milliseconds. */
const delays: Readonly<Partial<Record<StoreFault, number>>> = { 'late': 3_000, 'very late': 20_000 };

export interface NetworkNode extends TimerOwner {
  readonly name: string;
  /** Whether what is on its way when the process dies still arrives. */
  readonly requestsOutliveIt: boolean;
}

export interface NetworkCall<T> {
  readonly fault: StoreFault;
  /** What has not arrived within so many milliseconds never does. @default no limit */
  readonly limit?: number;
  /** Ends the waiting: what is on its way then has arrived, unless a fault keeps it. */
  readonly signal?: AbortSignal;
  /** What happens where it arrives. */
  readonly effect: () => T | Promise<T>;
}

/** Calls of which each is two steps, that it arrives and that its answer does, in whatever order the scheduler wants them. */
export class SimulatedNetwork {
  readonly #scheduler: Scheduler;
  readonly #time: VirtualTime;
  readonly #onDelay: (node: NetworkNode) => void;

  /** @param onDelay told when something is given up that no fault held */
  constructor(scheduler: Scheduler, time: VirtualTime, onDelay: (node: NetworkNode) => void) {
    this.#scheduler = scheduler;
    this.#time = time;
    this.#onDelay = onDelay;
  }

  /** Whether something is on its way. */
  get isBusy(): boolean {
    return this.#scheduler.count() > 0;
  }

  async deliverNext(): Promise<void> {
    await this.#scheduler.waitNext(1);
  }

  /** Rejects where a fault says so, or with the signal's reason; never settles for who is dead. */
  async reach<T>(node: NetworkNode, what: string, call: NetworkCall<T>): Promise<T> {
    const { fault, limit, signal, effect } = call;
    if (node.isDead) return never();
    const delay = delays[fault];
    if (delay !== undefined) {
      this.#time.as(undefined, () => setTimeout(() => { void this.#step(`${node.name}: ${what} (${fault})`).then(effect); }, delay));
      return never();
    }
    let isDecided = false;
    let arrived: { readonly answer: T | Promise<T> } | undefined;
    const decide = (arrives: boolean): void => {
      if (isDecided) return;
      isDecided = true;
      if (arrives && fault !== 'fails' && fault !== 'hangs') arrived = { answer: effect() };
    };
    const giveUp = (): void => {
      this.#onDelay(node);
      decide(false);
    };
    // Just before whoever asked gives up as well. An answer may be too slow, too.
    const patience = limit === undefined ? undefined : this.#time.as(undefined, () => setTimeout(giveUp, limit - 1));
    const delivered = (async () => {
      await this.#step(`${node.name}: ${what}${fault === 'none' ? '' : ` (${fault})`}`);
      if (node.isDead && !node.requestsOutliveIt) giveUp();
      decide(true);
      await this.#step(`${node.name} hears of ${what}`);
      clearTimeout(patience);
      await this.#time.awake(node);
      if (node.isDead || fault === 'hangs' || fault === 'hangs after') return never();
      if (fault !== 'none') throw new Error(fault);
      return arrived === undefined ? never() : arrived.answer;
    })();
    if (signal === undefined) return delivered;
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => {
        decide(true);
        reject(signal.reason as Error);
      }, { once: true });
    });
    return Promise.race([aborted, delivered]);
  }

  async #step(label: string): Promise<void> {
    await this.#scheduler.schedule(Promise.resolve(), label);
  }
}

async function never(): Promise<never> {
  return new Promise<never>(() => undefined);
}
