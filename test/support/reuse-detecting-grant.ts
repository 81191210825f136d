/** One refresh token of a grant, and what became of it. */
export interface IssuedRefreshToken {
  readonly value: string;
  /** What came with it. */
  readonly accessToken: string;
  /** Whose request brought it; undefined for the login's. */
  readonly to: unknown;
  /** Whether it came there. */
  isDelivered: boolean;
  /** Whether the store has had it. */
  isDurable: boolean;
  /** When a write of it began that failed, in milliseconds since the epoch. */
  refusedAt?: number;
  /** Why it may be lost. */
  misfortune?: string | undefined;
  /** Milliseconds since the epoch; absent while it's the newest. */
  replacedAt?: number;
}

/** A user's grant at a server that rotates at every use, and kills the grant when a token comes back after its time (RFC 9700 section 4.14.2). */
export class ReuseDetectingGrant {
  readonly issued: IssuedRefreshToken[] = [];
  isAlive = true;
  readonly #graceMs: number;
  readonly #clock: { now(): number };

  constructor(graceMs: number, clock: { now(): number }) {
    this.#graceMs = graceMs;
    this.#clock = clock;
    this.#issue(undefined);
  }

  get newest(): IssuedRefreshToken {
    const newest = this.issued.at(-1);
    if (newest === undefined) throw new Error('a grant begins with a refresh token');
    return newest;
  }

  find(refreshToken: string): IssuedRefreshToken {
    const found = this.issued.find(({ value }) => value === refreshToken);
    if (found === undefined) throw new Error(`the server never issued "${refreshToken}"`);
    return found;
  }

  accepts(refreshToken: string): boolean {
    const { replacedAt } = this.find(refreshToken);
    return this.isAlive && (replacedAt === undefined || this.#clock.now() - replacedAt < this.#graceMs);
  }

  /** Undefined where it's refused. */
  use(refreshToken: string, by: unknown): IssuedRefreshToken | undefined {
    if (!this.accepts(refreshToken)) {
      this.isAlive = false;
      return undefined;
    }
    for (const token of this.issued) token.replacedAt ??= this.#clock.now();
    return this.#issue(by);
  }

  #issue(to: unknown): IssuedRefreshToken {
    const count = this.issued.length + 1;
    const token = { value: `rt-${count}`, accessToken: `at-${count}`, to, isDelivered: false, isDurable: false };
    this.issued.push(token);
    return token;
  }
}
