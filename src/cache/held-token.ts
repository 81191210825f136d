import { elapsedSince, type Clock, type Moment } from '../clock.js';
import type { Events } from '../events.js';
import { fromStored, type GrantedToken } from '../grants/granted-token.js';
import { IssuedToken, type AccessToken, type TokenObserver } from '../tokens/access-token.js';
import { isExpired, mayRefresh, mustRefresh, toTheLast, type RefreshPolicy } from '../tokens/lifetime.js';
import type { StoredToken } from '../tokens/stored-token.js';
import { doubled } from './pause.js';

export interface HoldingContext {
  readonly clock: Clock;
  readonly policy: RefreshPolicy;
  readonly events: Events;
}

const firstReplacementPause = 1_000;
const longestReplacementPause = 60_000;

/** A token in memory, with what only this process knows of it. */
export class HeldToken implements TokenObserver {
  readonly token: AccessToken;
  readonly lifetime: number;
  /** Its API refused it: whoever comes next gets another. */
  refused = false;
  /** How many tokens in a row were fetched because the one before was refused without ever having been accepted, this one included. */
  readonly replacements: number;
  readonly #policy: RefreshPolicy;
  readonly #obtained: Moment;
  readonly #context: HoldingContext;
  readonly #spread = Math.random();
  #accepted = false;
  #isRevoked = false;

  /** @param replaced the token whose refusal this one answers */
  constructor(granted: GrantedToken, replaced: HeldToken | undefined, context: HoldingContext) {
    const { lifetime, obtained, renewable } = granted;
    this.token = new IssuedToken(granted, this);
    this.lifetime = lifetime;
    this.#policy = renewable ? context.policy : toTheLast;
    this.replacements = replaced === undefined ? 0 : replaced.#accepted ? 1 : replaced.replacements + 1;
    this.#obtained = obtained;
    this.#context = context;
  }

  static fromStore(stored: StoredToken, replaced: HeldToken | undefined, context: HoldingContext): HeldToken {
    return new HeldToken(fromStored(stored, context.clock), replaced, context);
  }

  get mustRefresh(): boolean {
    return mustRefresh(this.lifetime, this.#age, this.#policy);
  }

  /** Both questions at one reading of the clock. */
  get due(): 'must refresh' | 'may refresh' | undefined {
    const age = this.#age;
    if (this.#isRevoked || mustRefresh(this.lifetime, age, this.#policy)) return 'must refresh';
    return mayRefresh(this.lifetime, age, this.#policy, this.#spread) ? 'may refresh' : undefined;
  }

  get isExpired(): boolean {
    return this.#isRevoked || isExpired(this.lifetime, this.#age);
  }

  /** Milliseconds until it expires. */
  get remaining(): number {
    return this.lifetime - this.#age;
  }

  /**
   * Whether a refusal of this token is answered by fetching another. A replacement that is refused itself before anything accepted it
   * is kept for a while, each one twice as long: an API that refuses everything must not drive the authorization server.
   */
  get isReplaceable(): boolean {
    if (this.replacements === 0 || this.#accepted) return true;
    return this.#age >= doubled(firstReplacementPause, this.replacements - 1, longestReplacementPause);
  }

  isOlderThan(other: HeldToken): boolean {
    return this.#obtained.now < other.#obtained.now;
  }

  is(token: AccessToken | undefined): boolean {
    return this.token.value === token?.value;
  }

  accepted(): void {
    this.#accepted = true;
  }

  revoked(): void {
    this.#isRevoked = true;
  }

  refusedBy(status: number, origin: string): void {
    this.#context.events.emit('token-rejected', { status, origin });
  }

  get #age(): number {
    return elapsedSince(this.#obtained, this.#context.clock);
  }
}
