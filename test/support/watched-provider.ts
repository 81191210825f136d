import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Provider } from 'oidc-provider';
import { eventually } from './eventually.js';

/** What happens at the token endpoint of an oidc-provider, by its own events. */
export class WatchedProvider {
  refreshes = 0;
  /** Why requests were refused. */
  readonly refusals: string[] = [];
  /** Whether token requests are answered with 503. */
  isDown = false;
  /** Runs before each token request is answered. */
  beforeToken: () => Promise<void> = () => Promise.resolve();
  readonly #grants = new Set<string>();
  #provider: Provider | undefined;
  #underWay = 0;
  #latestExpiry = 0;

  /** For the option `onRequest` of the server. */
  readonly onRequest = async ({ url }: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (url !== '/token') return;
    this.#underWay += 1;
    response.once('close', () => { this.#underWay -= 1; });
    await this.beforeToken();
    if (this.isDown) response.writeHead(503).end();
  };

  watch(provider: Provider): void {
    this.#provider = provider;
    provider.on('grant.success', ({ oidc }) => {
      if (oidc.params?.['grant_type'] === 'refresh_token') this.refreshes += 1;
      this.#grants.add(oidc.entities.Grant?.jti ?? '');
    });
    provider.on('grant.error', (_context, { error, error_detail: detail = '' }) => { this.refusals.push(`${error}: ${detail}`); });
    provider.on('access_token.issued', ({ expiration }) => { this.#latestExpiry = Date.now() + expiration * 1_000; });
  }

  /** Until no access token is good any more. */
  async tokensExpire(): Promise<void> {
    await eventually(() => this.#underWay === 0 && Date.now() > this.#latestExpiry, 30_000);
  }

  /** How many of the grants that were used are still there. */
  async grantsLeft(): Promise<number> {
    let left = 0;
    for (const id of this.#grants) if (await this.#provider?.Grant.find(id) !== undefined) left += 1;
    return left;
  }

  /** What an administrator does, or the user elsewhere. */
  async endGrants(): Promise<void> {
    for (const id of this.#grants) await (await this.#provider?.Grant.find(id))?.destroy();
  }
}
