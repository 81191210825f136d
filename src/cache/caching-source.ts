import { elapsedSince, momentOf } from '../clock.js';
import { deadlineIn, orAbort, waitFor } from '../deadline.js';
import { OAuthError } from '../errors.js';
import type { Grant, GrantCall } from '../grants/grant.js';
import type { AccessToken } from '../tokens/access-token.js';
import type { GetTokenOptions } from '../tokens/token-source.js';
import { FailureMemory } from './failure-memory.js';
import { HeldToken, type HoldingContext } from './held-token.js';
import { Pause } from './pause.js';
import type { TokenStore } from './token-store.js';

/** What all sources of one token manager share. */
export interface CachingContext extends HoldingContext {
  /** The authorization server's name, for messages. */
  readonly server: string;
  readonly store: TokenStore;
  /** Milliseconds for one flight until the server's answer, discovery and retries included; the store has deadlines of its own. */
  readonly timeout: number;
  /** Milliseconds that a token lives whose server named no lifetime. */
  readonly assumedLifetime: number;
  readonly maxRetryAfter: number;
}

/** What one source's token is, and where it comes from. */
export interface SourceRequest {
  readonly key: string;
  /** Name of the grant, for events. */
  readonly grantType: string;
  readonly grant: Grant;
  /** What the token is asked for, where the server doesn't say what it granted. */
  readonly scope: string | undefined;
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
 * - A flight belongs to nobody: no caller's abort ends it, only its deadline.
 * - The token in memory is replaced by a newer one only, and never served once it has expired.
 * - A caller who was refused a token never gets that token back from a flight, unless the server issues it again or the pause
 *   after repeated refusals lasts.
 * - A failure in the background reaches nobody but the listeners.
 *
 * Order within a flight: store, authorization server, memory, store. A lock of many processes goes around all of it.
 */
export class CachingSource {
  #held: HeldToken | undefined;
  #flight: Flight | undefined;
  readonly #failures: FailureMemory;
  readonly #backgroundPause = new Pause(5_000, 300_000);

  readonly #request: SourceRequest;
  readonly #context: CachingContext;
  readonly #departs: (flight: Promise<AccessToken>) => void;

  /** @param departs called with every flight, so that its source is kept while it lasts */
  constructor(request: SourceRequest, context: CachingContext, departs: (flight: Promise<AccessToken>) => void) {
    this.#request = request;
    this.#context = context;
    this.#departs = departs;
    this.#failures = new FailureMemory(context.maxRetryAfter);
  }

  async getToken({ rejected, signal }: GetTokenOptions = {}): Promise<AccessToken> {
    signal?.throwIfAborted();
    this.#noteRefusal(rejected);
    const held = this.#held;
    const due = held?.due;
    if (held === undefined || held.refused || due === 'must refresh') return waitFor(this.#renewed(rejected), signal);
    if (due === 'may refresh' && this.#mayDepartUnasked) this.#depart(undefined);
    return held.token;
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
    const { server, timeout } = this.#context;
    const before = this.#held;
    // Known at departure: a refusal that comes later is not what this flight answers.
    const replaced = before?.refused === true ? before : undefined;
    const deadline = deadlineIn(timeout, `No token from ${server} within ${timeout} ms (option \`timeout\`)`);
    const call: GrantCall = { signal: deadline.signal, remaining: () => deadline.remaining(), mayRepeat: () => flight.isUrgent || (flight.isAwaited && this.#isWithoutToken) };
    try {
      return await this.#adopted(before, replaced, rejected) ?? await this.#acquired(before, replaced, call);
    } catch (thrown) {
      this.#noteFailure(thrown as OAuthError, flight.isAwaited, before ?? rejected);
      throw thrown;
    } finally {
      deadline.clear();
    }
  }

  /** What another process, or this one earlier, has put into the store, if it's newer than what is held here and not what was refused. */
  async #adopted(before: HeldToken | undefined, replaced: HeldToken | undefined, rejected: AccessToken | undefined): Promise<AccessToken | undefined> {
    const stored = await this.#context.store.get(this.#request.key);
    if (stored === undefined) return undefined;
    const found = HeldToken.fromStore(stored, replaced, this.#context);
    if (found.is(rejected) || found.is(before?.token) || found.mustRefresh || (before !== undefined && found.isOlderThan(before))) return undefined;
    return this.#hold(found);
  }

  async #acquired(before: HeldToken | undefined, replaced: HeldToken | undefined, call: GrantCall): Promise<AccessToken> {
    const { clock, events, store, assumedLifetime } = this.#context;
    const { key, grant, grantType, scope } = this.#request;
    const began = momentOf(clock);
    // Only this far the deadline reaches: a token that came in time is not lost to a slow store.
    const response = await orAbort(grant(call), call.signal);
    const lifetime = response.lifetime ?? assumedLifetime;
    const fields = {
      value: response.accessToken,
      type: response.tokenType,
      expiresAt: response.lifetime === undefined ? undefined : response.sentAt.now + response.lifetime,
      scope: response.scope ?? scope,
      parameters: response.parameters,
    };
    const issued = new HeldToken(fields, lifetime, response.sentAt, replaced, this.#context);
    events.emit('acquired', { grant: grantType, ...(fields.expiresAt !== undefined && { expiresAt: fields.expiresAt }), durationMs: elapsedSince(began, clock) });
    if (lifetime <= 0) {
      // It serves those who wait for it; keeping it would make every call a flight ahead of its expiry.
      this.#failures.clear();
      this.#backgroundPause.begin(clock);
      return issued.token;
    }
    this.#hold(issued);
    if (before !== undefined) events.emit('refreshed', {});
    if (issued.remaining > 0) await store.set(key, issued.toStore(), issued.remaining);
    return issued.token;
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
    // There is nothing better than the refused token now; who was refused it gets the failure, the others the token.
    if (this.#held !== undefined) this.#held.refused = false;
    if (renewed !== undefined) events.emit('refresh-failed', { error, background: !isAwaited });
  }
}
