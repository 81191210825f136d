import { randomBytes } from 'node:crypto';
import { OAuthError, type LoginOptions, type Session } from 'grantkeeper';
import type { LoginManager } from 'grantkeeper/web';

interface UnderWay {
  readonly state: string;
  readonly returnTo: string | undefined;
  used: boolean;
}

export interface Ending {
  readonly id: string;
  readonly options: unknown;
}

/** The part of a token manager that logins need, without an authorization server: it does as it's told, and remembers what it was asked. */
export class ScriptedLogins implements LoginManager {
  readonly started: LoginOptions[] = [];
  readonly completed: { readonly callback: string; readonly transaction: string }[] = [];
  readonly endings: Ending[] = [];
  /** What `end()` gives as the address of RP-initiated logout. */
  logoutUrl: URL | undefined;
  /** What a transaction says it is to return to, whatever the login was started with. */
  returnTo: string | undefined;
  /** Bytes of a transaction, those of `returnTo` apart. */
  transactionBytes = 400;
  readonly #underWay = new Map<string, UnderWay>();
  readonly #living = new Set<string>();
  #completion: Promise<void> = Promise.resolve();
  #startFailure: Error | undefined;
  #completionFailure: Error | undefined;
  #endFailure: Error | undefined;
  #infoFailure: Error | undefined;

  failsToStartWith(thrown: Error): void {
    this.#startFailure = thrown;
  }

  failsToCompleteWith(thrown: Error): void {
    this.#completionFailure = thrown;
  }

  completionWaitsFor(event: Promise<void>): void {
    this.#completion = event;
  }

  failsToEndWith(thrown: Error): void {
    this.#endFailure = thrown;
  }

  failsToLookUpWith(thrown: Error): void {
    this.#infoFailure = thrown;
  }

  /** A session that is there, without a login. */
  hasSession(): string {
    const id = randomBytes(32).toString('base64url');
    this.#living.add(id);
    return id;
  }

  isAlive(id: string): boolean {
    return this.#living.has(id);
  }

  async startLogin(options: LoginOptions): Promise<{ url: URL; state: string; transaction: string }> {
    this.started.push(options);
    await refuse(this.#startFailure);
    const state = randomBytes(32).toString('base64url');
    const transaction = `transaction-${this.started.length}.${randomBytes(this.transactionBytes + (options.returnTo?.length ?? 0)).toString('base64url')}`;
    this.#underWay.set(transaction, { state, returnTo: options.returnTo, used: false });
    const url = new URL('https://login.example.com/authorize');
    url.search = new URLSearchParams({ client_id: 'app', redirect_uri: String(options.redirectUri), state }).toString();
    return { url, state, transaction };
  }

  async completeLogin(callback: string | URL | Request, transaction: string): Promise<{ session: Session; returnTo?: string }> {
    if (typeof callback !== 'string') throw new TypeError('the handlers pass the URL as text');
    this.completed.push({ callback, transaction });
    await this.#completion;
    await refuse(this.#completionFailure);
    const login = this.#underWay.get(transaction);
    if (login?.state !== new URL(callback).searchParams.get('state')) throw new OAuthError('invalid_callback', 'completeLogin: the callback is of another login');
    if (login.used) throw new OAuthError('callback_already_used', 'completeLogin: the login was completed before');
    login.used = true;
    const returnTo = this.returnTo ?? login.returnTo;
    return { session: this.session(this.hasSession()), ...returnTo !== undefined && { returnTo } };
  }

  session(id: string): Session {
    return {
      id,
      info: async () => {
        await refuse(this.#infoFailure);
        return this.#living.has(id) ? { id, createdAt: 0 } : undefined;
      },
      end: async (options) => {
        this.endings.push({ id, options });
        await refuse(this.#endFailure);
        this.#living.delete(id);
        return this.logoutUrl === undefined ? {} : { url: this.logoutUrl };
      },
      getToken: () => Promise.resolve({ value: `token-of-${id}`, type: 'Bearer', parameters: {} }),
      forResource: () => { throw new TypeError('no test of the handlers asks for that'); },
    };
  }
}

async function refuse(thrown: Error | undefined): Promise<void> {
  if (thrown !== undefined) await Promise.reject(thrown);
}
