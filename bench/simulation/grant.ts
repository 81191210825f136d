import { firstPoll, longestPoll } from '../../src/cache/turn.js';
import type { Random } from './random.js';
import { renewal, turn } from './store-costs.js';
import type { Tally } from './tally.js';

/** A token request under way. */
export interface Renewal {
  readonly began: number;
  readonly end: number;
  isContended: boolean;
}

export interface GrantContext {
  readonly tally: Tally;
  readonly random: Random;
  /** Milliseconds that a token lives. */
  readonly lifetime: number;
  /** Milliseconds that a renewal takes. */
  readonly duration: number;
  /** Whether the authorization server is gone. */
  readonly isOutage: (time: number) => boolean;
}

/** What all replicas share of one session: its record in the store, and its lock. */
export class Grant {
  #issued: number;
  #renewal: Renewal | undefined;
  readonly #context: GrantContext;

  /** A token of any age. */
  constructor(context: GrantContext) {
    this.#context = context;
    this.#issued = -context.random() * context.lifetime;
  }

  /** When the token in the store was issued: its age is counted from when it was asked for. */
  issued(time: number): number {
    if (this.#renewal !== undefined && time >= this.#renewal.end) {
      this.#issued = this.#renewal.began;
      this.#renewal = undefined;
    }
    return this.#issued;
  }

  /** By a replica that has looked, and found no newer token. Undefined if the authorization server doesn't answer. */
  renew(time: number, isAwaited: boolean): Renewal | undefined {
    const { tally, duration, isOutage } = this.#context;
    if (this.#renewal !== undefined) return this.#waitedFor(this.#renewal, time);
    tally.add(time, 'tokenRequests');
    if (isOutage(time)) return undefined;
    this.#renewal = { began: time, end: time + duration, isContended: false };
    tally.add(time, 'renewals');
    if (isAwaited) tally.add(time, 'awaitedRenewals');
    tally.spend(time, renewal);
    return this.#renewal;
  }

  #waitedFor(current: Renewal, time: number): Renewal {
    const { tally, random } = this.#context;
    tally.add(time, 'waiters');
    if (!current.isContended) tally.add(time, 'contendedRenewals');
    current.isContended = true;
    for (let waited = 0, poll = firstPoll; time + waited < current.end; poll = Math.min(poll * 2, longestPoll)) {
      tally.spend(time, turn);
      waited += (0.5 + random() / 2) * poll;
    }
    return current;
  }
}
