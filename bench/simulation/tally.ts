import type { Cost } from './store-costs.js';

const quantities = ['calls', 'fromMemory', 'failedCalls', 'gets', 'sets', 'deletes', 'locks', 'tokenRequests', 'renewals', 'awaitedRenewals', 'contendedRenewals', 'waiters'] as const;
export type Quantity = (typeof quantities)[number];

const second = 1_000;

/** What happened when, in slots of ten seconds: short enough for a peak, and long enough for the sessions that are modelled to say something. */
export class Tally {
  static readonly slot: number = 10 * second;
  readonly #counts: Readonly<Record<Quantity, Float64Array>>;
  readonly #scale: number;

  /** @param scale sessions that each modelled one stands for */
  constructor(duration: number, scale: number) {
    this.#counts = Object.fromEntries(quantities.map((quantity) => [quantity, new Float64Array(Math.ceil(duration / Tally.slot))])) as Record<Quantity, Float64Array>;
    this.#scale = scale;
  }

  add(time: number, quantity: Quantity, count: number = 1): void {
    const counts = this.#counts[quantity];
    const slot = Math.floor(time / Tally.slot);
    if (slot < counts.length) counts[slot] = (counts[slot] ?? 0) + count;
  }

  spend(time: number, { gets = 0, sets = 0, deletes = 0, locks = 0 }: Cost): void {
    this.add(time, 'gets', gets);
    if (locks === 0) return;
    this.add(time, 'sets', sets);
    this.add(time, 'deletes', deletes);
    this.add(time, 'locks', locks);
  }

  /** Of the whole fleet. */
  perSecond(quantity: Quantity, from: number, to: number): number {
    const slots = this.#counts[quantity].subarray(from / Tally.slot, to / Tally.slot);
    return (slots.reduce((sum, count) => sum + count, 0) * this.#scale * second) / (to - from);
  }

  /** The same in the busiest slot. */
  peak(quantity: Quantity, from: number, to: number): number {
    const slots = this.#counts[quantity].subarray(from / Tally.slot, to / Tally.slot);
    return (Math.max(...slots) * this.#scale * second) / Tally.slot;
  }
}
