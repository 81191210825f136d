import { waitFor } from '../deadline.js';
import { OAuthError } from '../errors.js';
import type { Grant, GrantCall } from '../grants/grant.js';
import type { AccessToken } from '../tokens/access-token.js';
import type { StoredToken } from '../tokens/stored-token.js';
import type { GetTokenOptions } from '../tokens/token-source.js';
import { FailureMemory } from './failure-memory.js';
import { HeldToken, type HoldingContext } from './held-token.js';
import { Pause } from './pause.js';

/** What all sources of one token manager share. */
export interface CachingContext extends HoldingContext {
  readonly maxRetryAfter: number;
}

/** What one source's token is, and where it comes from. */
export interface SourceRequest {
  readonly key: string;
  /** What another process, or this one earlier, has left. */
  readonly find: () => Promise<StoredToken | undefined>;
  readonly grant: Grant;
}

interface Flight {
  readonly landing: Promise<AccessToken>;
  /** Whether somebody waits for it. */
  isAwaited: boolean;
  /** Whether somebody waits who has no other token: only then is a failed try repeated at once. */
  isUrgent: boolean;
}

/**
 * One token, kept fresh. Invariants:
 *
 * - At most one flight at a time. All who wait share its token or its failure; who comes after it starts afresh, unless the failure is remembered.
 * - A flight belongs to nobody: no caller's abort ends it. What it asks has deadlines of its own.
 * - The token in memory is replaced by a newer one only, and never served once it has expired.
 * - A caller who was refused a token never gets that token back from a flight, unless the server issues it again or the pause
 *   after repeated refusals lasts.
 * - A failure in the background reaches nobody but the listeners.
 * - Where the grant itself has ended (`reauthorization_required`) its token is served no more, however long it's good.
 *
 * Order within a flight: what others have left, the grant, memory. What many processes share is the grant's business.
 */
export class CachingSource {
  #held: HeldToken | undefined;
  #flight: Flight | undefined;
  readonly #failures: FailureMemory;
  readonly #sharing = { isUseful: true };
  readonly #backgroundPause = new Pause(5_000, 300_000);

  /** Assignable: whoever asks last knows best how, since what a grant is had by may have expired. */
  request: SourceRequest;
  readonly #context: CachingContext;
  readonly #departs: (flight: Promise<AccessToken>) => void;

  /** @param departs called with every flight, so that its source is kept while it lasts */
  constructor(request: SourceRequest, context: CachingContext, departs: (flight: Promise<AccessToken>) => void) {
    this.request = request;
    this.#context = context;
    this.#departs = departs;
    this.#failures = new FailureMemory(context.maxRetryAfter);
  }

  async getToken({ rejected, signal }: GetTokenOptions = {}): Promise<AccessToken> {
    signal?.throwIfAborted();
    this.#noteRefusal(rejected);
    const held = this.#held;
    const due = held?.due;
    if (held === undefined || held.refused || due === 'must refresh') {
      const token = await waitFor(this.#renewed(rejected), signal);
      // What was found in the store may be due already, and the next call may come to another process, which would have to wait for it.
      if (this.#held?.due === 'may refresh') this.#renewAhead();
      return token;
    }
    if (due === 'may refresh') this.#renewAhead();
    return held.token;
  }

  #renewAhead(): void {
    if (this.#mayDepartUnasked) this.#depart(undefined);
  }

  get #isWithoutToken(): boolean {
    return this.#held === undefined || this.#held.isExpired;
  }

  get #mayDepartUnasked(): boolean {
    const { clock } = this.#context;
    return this.#flight === undefined && this.#backgroundPause.isOver(clock) && this.#failures.current(clock) === undefined;
  }

  /** Only the current token can be refused: a refusal of an earlier one was answered already. */
  #noteRefusal(rejected: AccessToken | undefined): void {
    if (this.#held?.is(rejected) === true && this.#held.isReplaceable) this.#held.refused = true;
  }

  async #renewed(rejected: AccessToken | undefined): Promise<AccessToken> {
    if (this.#flight !== undefined) {
      const token = await this.#arrival(this.#flight, rejected);
      if (token.value !== rejected?.value) return token;
      // The flight had departed before the refusal was known, and brought the refused token.
      this.#noteRefusal(rejected);
      if (this.#held?.refused !== true) return token;
    }
    const failure = this.#failures.current(this.#context.clock);
    if (failure !== undefined) return this.#instead(failure, rejected);
    return this.#arrival(this.#flight ?? this.#depart(rejected), rejected);
  }

  async #arrival(flight: Flight, rejected: AccessToken | undefined): Promise<AccessToken> {
    flight.isAwaited = true;
    flight.isUrgent ||= this.#isWithoutToken || this.#held?.is(rejected) === true;
    try {
      return await flight.landing;
    } catch (thrown) {
      return this.#instead(thrown, rejected);
    }
  }

  /** The current token where it is better than the failure to renew it, else the failure. */
  #instead(failure: unknown, rejected: AccessToken | undefined): AccessToken {
    const held = this.#held;
    const isPassing = failure instanceof OAuthError && failure.retryable;
    if (held !== undefined && !held.is(rejected) && !held.isExpired && (isPassing || !held.mustRefresh)) return held.token;
    throw failure;
  }

  #depart(rejected: AccessToken | undefined): Flight {
    const flight: Flight = { isAwaited: false, isUrgent: false, landing: Promise.resolve().then(async () => this.#renew(flight, rejected)).finally(() => { this.#flight = undefined; }) };
    this.#flight = flight;
    flight.landing.catch(() => undefined);
    this.#departs(flight.landing);
    return flight;
  }

  async #renew(flight: Flight, rejected: AccessToken | undefined): Promise<AccessToken> {
    const before = this.#held;
    // Known at departure: a refusal that comes later is not what this flight answers.
    const replaced = before?.refused === true ? before : undefined;
    const found = (stored: StoredToken): HeldToken => HeldToken.fromStore(stored, replaced, this.#context);
    const call: GrantCall = {
      isUrgent: () => flight.isUrgent || (flight.isAwaited && this.#isWithoutToken),
      sharing: this.#sharing,
      isRenewal: before !== undefined,
      isNewer: (stored) => isNewer(found(stored), before, rejected),
      isUsable: (stored) => isUsable(found(stored), replaced, rejected),
    };
    try {
      const stored = await this.request.find();
      if (stored !== undefined && call.isNewer(stored)) return this.#hold(found(stored));
      // Good for little longer, but better than a failure.
      if (before === undefined && stored !== undefined && call.isUsable(stored)) this.#held = found(stored);
      return await this.#acquired(replaced, call);
    } catch (thrown) {
      this.#noteFailure(thrown as OAuthError, flight.isAwaited, before ?? rejected);
      throw thrown;
    }
  }

  async #acquired(replaced: HeldToken | undefined, call: GrantCall): Promise<AccessToken> {
    const granted = await this.request.grant(call);
    const issued = new HeldToken(granted, replaced, this.#context);
    if (granted.lifetime <= 0) {
      // It serves those who wait for it; keeping it would make every call a flight ahead of its expiry.
      this.#failures.clear();
      this.#backgroundPause.begin(this.#context.clock);
      return issued.token;
    }
    return this.#hold(issued);
  }

  #hold(next: HeldToken): AccessToken {
    this.#held = next;
    this.#failures.clear();
    this.#backgroundPause.reset();
    return next.token;
  }

  #noteFailure(error: OAuthError, isAwaited: boolean, renewed: unknown): void {
    const { clock, events } = this.#context;
    // Once the token at hand has expired the server is asked again, whatever pause was begun while it was good.
    if (isAwaited) this.#failures.add(error, clock, this.#isWithoutToken ? Infinity : this.#held?.remaining);
    else this.#backgroundPause.begin(clock, Math.min(error.retryAfter ?? 0, this.#context.maxRetryAfter));
    if (error.code === 'reauthorization_required') this.#held = undefined;
    // There is nothing better than the refused token now; who was refused it gets the failure, the others the token.
    if (this.#held !== undefined) this.#held.refused = false;
    if (renewed !== undefined) events.emit('refresh-failed', { error, background: !isAwaited });
  }
}

/** Fresh, and not what is to be replaced. */
function isNewer(found: HeldToken, before: HeldToken | undefined, rejected: AccessToken | undefined): boolean {
  return !found.is(rejected) && !found.is(before?.token) && !found.mustRefresh && (before === undefined || !found.isOlderThan(before));
}

function isUsable(found: HeldToken, refused: HeldToken | undefined, rejected: AccessToken | undefined): boolean {
  return !found.isExpired && !found.is(rejected) && !found.is(refused?.token);
}
