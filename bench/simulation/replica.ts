import { FailureMemory } from '../../src/cache/failure-memory.js';
import { Pause } from '../../src/cache/pause.js';
import type { Clock } from '../../src/clock.js';
import { OAuthError } from '../../src/errors.js';
import { isExpired, mayRefresh, mustRefresh, type RefreshPolicy } from '../../src/tokens/lifetime.js';
import type { Grant, Renewal } from './grant.js';
import type { Random } from './random.js';
import { failedRenewal, look } from './store-costs.js';
import type { Tally } from './tally.js';

export interface ReplicaContext {
  readonly tally: Tally;
  readonly random: Random;
  readonly clock: Clock;
  readonly policy: RefreshPolicy;
  readonly lifetime: number;
  readonly jitter: boolean;
  /** Milliseconds after which an unused token is no longer in memory. */
  readonly memory: number;
}

interface Held {
  readonly issued: number;
  readonly spread: number;
}

const unreachable = new OAuthError('server_unreachable', 'simulated', { retryable: true });
const longestRetryAfter = 60_000;

/** What one replica knows of one session: what `CachingSource` does at a call, without the token. */
export class Replica {
  #held: Held | undefined;
  #flight: Renewal | undefined;
  #lastUsed = -Infinity;
  #failures: FailureMemory | undefined;
  #backgroundPause: Pause | undefined;
  readonly #context: ReplicaContext;

  constructor(context: ReplicaContext) {
    this.#context = context;
  }

  /** @param restarted when this replica last started, with nothing in memory */
  call(grant: Grant, restarted: number): void {
    const { tally, clock } = this.#context;
    const time = clock.now();
    this.#land(time);
    if (this.#lastUsed < restarted || this.#lastUsed < time - this.#context.memory) this.#forget();
    this.#lastUsed = time;
    tally.add(time, 'calls');
    const held = this.#held;
    const isHeldGood = held !== undefined && !this.#must(held.issued, time);
    if (isHeldGood) tally.add(time, 'fromMemory');
    else this.#awaited(time, grant);
    this.#renewAhead(time, grant);
  }

  #renewAhead(time: number, grant: Grant): void {
    const { clock } = this.#context;
    const held = this.#held;
    const isPaused = this.#backgroundPause?.isOver(clock) === false || this.#failures?.current(clock) !== undefined;
    if (this.#flight !== undefined || isPaused || held === undefined || this.#must(held.issued, time) || !this.#may(held, time)) return;
    if (this.#depart(time, grant, false)) return;
    this.#backgroundPause ??= new Pause(5_000, 300_000);
    this.#backgroundPause.begin(clock);
  }

  #awaited(time: number, grant: Grant): void {
    const { clock } = this.#context;
    if (this.#flight !== undefined) return;
    const isPaused = this.#failures?.current(clock) !== undefined;
    if (!isPaused && this.#depart(time, grant, true)) return;
    const left = this.#held === undefined ? 0 : this.#held.issued + this.#context.lifetime - time;
    if (left <= 0) this.#context.tally.add(time, 'failedCalls');
    if (isPaused) return;
    this.#failures ??= new FailureMemory(longestRetryAfter);
    this.#failures.add(unreachable, clock, left <= 0 ? Infinity : left);
  }

  /** Looks into the store, and renews what isn't newer there. False if that failed. */
  #depart(time: number, grant: Grant, isAwaited: boolean): boolean {
    const { tally } = this.#context;
    tally.spend(time, look);
    const issued = grant.issued(time);
    if (issued !== this.#held?.issued && !this.#must(issued, time)) {
      this.#hold(issued);
      return true;
    }
    if (this.#held === undefined && !isExpired(this.#context.lifetime, time - issued)) this.#hold(issued);
    this.#flight = grant.renew(time, isAwaited);
    if (this.#flight === undefined) tally.spend(time, failedRenewal);
    return this.#flight !== undefined;
  }

  #land(time: number): void {
    if (this.#flight === undefined || time < this.#flight.end) return;
    this.#hold(this.#flight.began);
    this.#flight = undefined;
  }

  #hold(issued: number): void {
    const { random, jitter } = this.#context;
    this.#held = { issued, spread: jitter ? random() : 0 };
    this.#failures?.clear();
    this.#backgroundPause?.reset();
  }

  #forget(): void {
    this.#held = this.#flight = this.#failures = this.#backgroundPause = undefined;
  }

  #must(issued: number, time: number): boolean {
    const { lifetime, policy } = this.#context;
    return mustRefresh(lifetime, time - issued, policy);
  }

  #may({ issued, spread }: Held, time: number): boolean {
    const { lifetime, policy } = this.#context;
    return mayRefresh(lifetime, time - issued, policy, spread);
  }
}
