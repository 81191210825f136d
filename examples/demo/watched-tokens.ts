import { setTimeout as sleep } from 'node:timers/promises';
import type { TokenManager } from 'grantkeeper';
import { TOKEN_LIFETIME_MS } from './servers.js';
import { counted, seconds } from './terminal.js';

/** One token as its manager got it. */
export interface Acquired {
  expiresAt: number;
  /** How long its predecessor would still have been good. */
  predecessorLeftMs: number;
}

export interface Observer {
  say: (what: string) => void;
  /** Calls that were answered since the last token request began. */
  callsMeanwhile: () => number;
}

/** The access tokens of one token manager, as they come and go. */
export class WatchedTokens {
  readonly manager: TokenManager;
  readonly acquired: Acquired[] = [];
  /** Why sessions ended. */
  readonly ends: string[] = [];
  /** Calls that were answered while a token request was under way: they did not wait for it. */
  callsDuringTokenRequests = 0;

  #waitingForToken: (token: Acquired) => void = () => undefined;

  constructor(manager: TokenManager, { say, callsMeanwhile }: Observer) {
    this.manager = manager;
    manager.on('acquired', ({ expiresAt = Infinity }) => {
      const predecessorLeftMs = this.current === undefined ? 0 : this.current.expiresAt - Date.now();
      const calls = callsMeanwhile();
      const number = this.acquired.length;
      say(calls === 0
        ? `token ${number + 1}`
        : `token ${number + 1}, ${seconds(predecessorLeftMs)} ahead; ${counted(calls, 'call')} meanwhile`);
      this.callsDuringTokenRequests += calls;
      const token = { expiresAt, predecessorLeftMs };
      this.acquired.push(token);
      this.#waitingForToken(token);
    });
    manager.on('refresh-failed', ({ error, background }) => {
      say(`${error.code}${background ? `; token ${this.acquired.length} is used on` : ''}`);
    });
    manager.on('session-ended', ({ reason }) => {
      this.ends.push(reason);
      say(`the session has ended: ${reason}`);
    });
  }

  get current(): Acquired | undefined {
    return this.acquired.at(-1);
  }

  async nextToken(): Promise<Acquired> {
    return new Promise((resolve) => { this.#waitingForToken = resolve; });
  }

  /** The current token if nearly all of its life is ahead of it, else the next one. */
  async youngToken(): Promise<Acquired> {
    const { current } = this;
    if (current !== undefined && current.expiresAt - Date.now() > TOKEN_LIFETIME_MS * 0.7) return current;
    return this.nextToken();
  }

  /** Until the current token can't be used any more. */
  async expiry(): Promise<void> {
    // A timer may be early by a millisecond.
    await sleep((this.current?.expiresAt ?? 0) - Date.now() + 10);
  }
}
