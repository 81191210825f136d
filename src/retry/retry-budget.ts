import { elapsedSince, momentOf, type Clock } from '../clock.js';

/**
 * Keeps an outage from being amplified: retries may be at most a tenth of the requests, beside a reserve for quiet clients
 * that refills at one a second. The first try of a request is never refused.
 */
export interface RetryBudget {
  /** A request was begun. */
  deposit(): void;
  /** Whether one more try may be made; if so it's paid for. */
  withdraw(): boolean;
}

const reserve = 10;
const perRequest = 0.1;
const perMillisecond = 1 / 1_000;

export function createRetryBudget(clock: Clock): RetryBudget {
  let balance = reserve;
  let credited = momentOf(clock);
  const credit = (amount: number): void => { balance = Math.min(reserve, balance + amount); };
  return {
    deposit() {
      credit(perRequest);
    },
    withdraw() {
      credit(elapsedSince(credited, clock) * perMillisecond);
      credited = momentOf(clock);
      if (balance < 1) return false;
      balance -= 1;
      return true;
    },
  };
}
