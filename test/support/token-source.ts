import type { AccessToken, GetTokenOptions, TokenSource } from 'grantkeeper';

export function accessToken(value: string, type: AccessToken['type'] = 'Bearer'): AccessToken {
  return Object.freeze({ value, type, parameters: {} });
}

/** A source without a server: `token-1`, until it is refused; then `token-2`, and so on. */
export class NumberedTokens implements TokenSource {
  readonly calls: GetTokenOptions[] = [];
  /** How many tokens were given up because an API refused them. */
  refreshes = 0;

  get current(): string {
    return `token-${this.refreshes + 1}`;
  }

  getToken(options: GetTokenOptions = {}): Promise<AccessToken> {
    this.calls.push(options);
    if (options.rejected?.value === this.current) this.refreshes += 1;
    return Promise.resolve(accessToken(this.current));
  }
}
