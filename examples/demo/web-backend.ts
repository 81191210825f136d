import { createFetch, createTokenManager, type Session, type TokenManager } from 'grantkeeper';
import { UserAgent } from '../shared-servers/user-agent.js';
import { REFRESH_GRACE_MS, type Servers } from './servers.js';

/** A web backend whose users sign in, and their browser, which is played by a script. */
export class WebBackend {
  readonly tokens: TokenManager;
  readonly #servers: Servers;
  readonly #browser = new UserAgent();
  #session: Session | undefined;

  constructor(servers: Servers) {
    const { issuer, config: { clientId, clientSecret } } = servers;
    this.#servers = servers;
    this.tokens = createTokenManager({ issuer, clientId, clientSecret, refreshGrace: REFRESH_GRACE_MS, allowInsecureRequests: true });
  }

  /** Of the user who signed in last. */
  get session(): Session {
    if (this.#session === undefined) throw new Error('Nobody has signed in');
    return this.#session;
  }

  /** A fetch whose requests are that user's. */
  get api(): typeof fetch {
    return createFetch(this.session, { baseUrl: this.#servers.apiUrl, timeout: 10_000, allowInsecureRequests: true });
  }

  /**
   * From the link "Sign in" to the callback, with the login form and the consent page in between.
   * @returns what the callback does, whenever the browser loads it
   */
  async signIn(name: string): Promise<() => Promise<void>> {
    const { url, transaction } = await this.tokens.startLogin({
      redirectUri: this.#servers.config.redirectUris[0] ?? '',
      scope: `openid profile offline_access ${this.#servers.config.scope}`,
      prompt: 'consent',
    });
    const callback = await this.#browser.signIn(url, name);
    return async () => { this.#session = (await this.tokens.completeLogin(callback, transaction)).session; };
  }
}
