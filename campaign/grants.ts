interface Grant {
  readonly user: string;
  readonly graceMs: number;
  isAlive: boolean;
  issued: number;
}

interface RefreshToken {
  readonly grant: Grant;
  /** Absent while it's the newest. */
  replacedAt?: number;
}

export type Use = { readonly outcome: 'rotated'; readonly issued: string } | { readonly outcome: 'reuse' | 'refused' };

/** Refresh tokens that are good for one use, and for more within their grant's grace: one that comes back later kills the grant (RFC 9700 section 4.14.2). */
export class Grants {
  readonly #refreshTokens = new Map<string, RefreshToken>();

  /** @returns its first refresh token */
  begin(user: string, graceMs: number): string {
    return this.#issue({ user, graceMs, isAlive: true, issued: 0 });
  }

  /** Whose it is, dead or alive. */
  userOf(refreshToken: string): string | undefined {
    return this.#refreshTokens.get(refreshToken)?.grant.user;
  }

  use(presented: string, now: number): Use {
    const found = this.#refreshTokens.get(presented);
    if (!found?.grant.isAlive) return { outcome: 'refused' };
    const { grant, replacedAt } = found;
    if (replacedAt !== undefined && now - replacedAt >= grant.graceMs) {
      grant.isAlive = false;
      return { outcome: 'reuse' };
    }
    for (const token of this.#refreshTokens.values()) {
      if (token.grant === grant) token.replacedAt ??= now;
    }
    return { outcome: 'rotated', issued: this.#issue(grant) };
  }

  #issue(grant: Grant): string {
    grant.issued += 1;
    const token = `${grant.user}.${grant.issued}`;
    this.#refreshTokens.set(token, { grant });
    return token;
  }
}
