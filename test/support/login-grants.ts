import { createHash } from 'node:crypto';

/** What a user has consented to, and for whom. */
export interface Consent {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly subject: string;
  readonly scope: string;
  readonly resource: readonly string[];
  readonly nonce?: string | undefined;
  /** S256 (RFC 7636 section 4.2). */
  readonly codeChallenge?: string | undefined;
  /** Seconds since the epoch; kept if the request had `max_age`. */
  readonly authTime?: number | undefined;
}

export interface LoginGrant extends Consent {
  readonly id: string;
  /** A grant that isn't alive refuses everything. */
  readonly alive: boolean;
}

export interface RotationPolicy {
  /** `rotate`: a new refresh token at every use, and an old one that comes back kills the grant. `keep`: the first one stays good. */
  readonly rotation: 'rotate' | 'keep';
  /** How long an old refresh token is still taken after it was replaced, in milliseconds of `clock`. */
  readonly graceMs: number;
  readonly clock: { now(): number };
}

/** An error answer of the token endpoint (RFC 6749 section 5.2). */
export class Refusal extends Error {
  readonly error: string;

  constructor(error: string, reason: string) {
    super(reason);
    this.error = error;
  }
}

interface KeptGrant extends LoginGrant {
  alive: boolean;
  underWay: number;
}

interface RefreshToken {
  readonly grant: KeptGrant;
  /** Of `clock`; absent while it's the newest. */
  replacedAt?: number;
}

/** Codes and refresh tokens, each good for one use: a second one kills the grant (RFC 9700 section 4.14.2, RFC 6749 section 10.5). */
export class LoginGrants {
  /** How often a refresh token came back that was no longer good. */
  reuses = 0;
  /** The most refreshes of one grant that were being answered at the same time. */
  mostRefreshesAtOnce = 0;
  readonly #policy: RotationPolicy;
  readonly #grants = new Map<string, KeptGrant>();
  readonly #codes = new Map<string, { grant: KeptGrant; used: boolean }>();
  readonly #refreshTokens = new Map<string, RefreshToken>();

  constructor(policy: RotationPolicy) {
    this.#policy = policy;
  }

  get all(): readonly LoginGrant[] {
    return [...this.#grants.values()];
  }

  /** The authorization code of a new grant. */
  begin(consent: Consent): string {
    const count = this.#grants.size + 1;
    const grant: KeptGrant = { ...consent, id: `grant-${count}`, alive: true, underWay: 0 };
    this.#grants.set(grant.id, grant);
    this.#codes.set(`code-${count}`, { grant, used: false });
    return `code-${count}`;
  }

  redeem(code: string, client: string | undefined, redirectUri: string | null, verifier: string | null): LoginGrant {
    const known = this.#codes.get(code);
    if (!known) throw new Refusal('invalid_grant', 'no such code');
    const { grant, used } = known;
    known.used = true;
    if (used) {
      grant.alive = false;
      throw new Refusal('invalid_grant', 'the code was used before');
    }
    checkClient(grant, client);
    if (redirectUri !== grant.redirectUri) throw new Refusal('invalid_grant', 'redirect_uri is not the one of the authorization request');
    if (grant.codeChallenge !== undefined && s256(verifier ?? '') !== grant.codeChallenge) throw new Refusal('invalid_grant', 'code_verifier does not fit the code_challenge');
    return grant;
  }

  newRefreshToken(id: string): string {
    const token = `rt-${this.#refreshTokens.size + 1}`;
    this.#refreshTokens.set(token, { grant: this.#kept(id) });
    return token;
  }

  /** The grant, and the refresh token that takes the place of this one, if one does. */
  refresh(token: string, client: string | undefined, scope: string | null): { grant: LoginGrant; refreshToken?: string } {
    const presented = this.#refreshTokens.get(token);
    if (!presented?.grant.alive) throw new Refusal('invalid_grant', presented ? 'the grant has ended' : 'no such refresh token');
    const { grant } = presented;
    checkClient(grant, client);
    if (this.#isReuse(presented)) {
      this.reuses += 1;
      grant.alive = false;
      throw new Refusal('invalid_grant', 'the refresh token was used before');
    }
    const granted = new Set(grant.scope.split(' '));
    if (!(scope ?? grant.scope).split(' ').every((value) => granted.has(value))) throw new Refusal('invalid_scope', 'more than was granted');
    if (this.#policy.rotation === 'keep') return { grant };
    this.#replaceAll(grant);
    return { grant, refreshToken: this.newRefreshToken(grant.id) };
  }

  kill(id: string): void {
    this.#kept(id).alive = false;
  }

  /** The grant that this refresh token belongs to, dead or alive. */
  of(refreshToken: string): LoginGrant | undefined {
    return this.#refreshTokens.get(refreshToken)?.grant;
  }

  /** Counts a refresh until the returned function is called. */
  watch(refreshToken: string): () => void {
    const grant = this.#refreshTokens.get(refreshToken)?.grant;
    if (!grant) return () => undefined;
    grant.underWay += 1;
    this.mostRefreshesAtOnce = Math.max(this.mostRefreshesAtOnce, grant.underWay);
    return () => { grant.underWay -= 1; };
  }

  #isReuse({ replacedAt }: RefreshToken): boolean {
    return replacedAt !== undefined && this.#policy.clock.now() - replacedAt >= this.#policy.graceMs;
  }

  #replaceAll(grant: KeptGrant): void {
    for (const token of this.#refreshTokens.values()) {
      if (token.grant === grant) token.replacedAt ??= this.#policy.clock.now();
    }
  }

  #kept(id: string): KeptGrant {
    const grant = this.#grants.get(id);
    if (!grant) throw new Error(`there is no grant "${id}"`);
    return grant;
  }
}

function checkClient(grant: LoginGrant, client: string | undefined): void {
  if (client !== undefined && client !== grant.clientId) throw new Refusal('invalid_grant', 'it was issued to another client');
}

function s256(verifier: string): string {
  return createHash('sha256').update(verifier).digest('base64url');
}
