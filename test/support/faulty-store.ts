import { deferred, type Deferred } from './deferred.js';
import { MapStore } from './map-store.js';

type Operation = 'get' | 'set';
/** It fails before it did anything, or after; or it waits until it's told to go on. */
type Fault = 'fails' | 'fails after the fact' | { readonly arrived: Deferred<void>; readonly goesOn: Deferred<void> };

/** A store that does as it is told. Its errors look like those of a client that lost its server. */
export class FaultyStore extends MapStore {
  /** Every call fails. */
  isDown = false;
  readonly #faults: { readonly operation: Operation; readonly fault: Fault }[] = [];

  /** The next call of this kind fails; each further one after it that is named as well. */
  failsNext(...operations: Operation[]): void {
    for (const operation of operations) this.#faults.push({ operation, fault: 'fails' });
  }

  /** The next call of this kind takes effect, and its answer is lost. */
  losesNextAnswerOf(operation: Operation): void {
    this.#faults.push({ operation, fault: 'fails after the fact' });
  }

  /** The next call of this kind waits. */
  holds(operation: Operation): { readonly arrived: Promise<void>; release(): void } {
    const hold = { arrived: deferred(), goesOn: deferred() };
    this.#faults.push({ operation, fault: hold });
    return { arrived: hold.arrived.promise, release: () => { hold.goesOn.resolve(); } };
  }

  override async get(key: string): Promise<unknown> {
    return this.#perform('get', async () => super.get(key));
  }

  override async set(key: string, value: unknown, ttl?: number): Promise<unknown> {
    return this.#perform('set', async () => super.set(key, value, ttl));
  }

  async #perform(operation: Operation, call: () => Promise<unknown>): Promise<unknown> {
    const index = this.#faults.findIndex((next) => next.operation === operation);
    const fault = index === -1 ? undefined : this.#faults.splice(index, 1)[0]?.fault;
    if (this.isDown || fault === 'fails') throw lost();
    if (typeof fault === 'object') {
      fault.arrived.resolve();
      await fault.goesOn.promise;
    }
    const answer = await call();
    if (fault === 'fails after the fact') throw lost();
    return answer;
  }
}

function lost(): Error {
  return Object.assign(new Error('the connection was lost'), { code: 'ECONNRESET' });
}
