import type { TokenManager } from 'grantkeeper';
import type { Figures } from './figures.js';
import { TOKEN_LIFETIME_MS, type Servers } from './servers.js';
import { bar, count, counted, seconds, type Terminal } from './terminal.js';
import type { Traffic } from './traffic.js';

/** One token as the daemon got it. */
export interface Acquired {
  expiresAt: number;
  /** How long its predecessor would still have been good. */
  predecessorLeftMs: number;
}

/** What the scenes play on: the servers, the daemon's traffic and tokens, and all that was observed. */
export class Stage {
  readonly terminal: Terminal;
  readonly servers: Servers;
  readonly traffic: Traffic;
  readonly tokens: TokenManager;
  readonly acquired: Acquired[] = [];
  /** Calls that were answered while a token request was under way: they did not wait for it. */
  callsDuringTokenRequests = 0;

  /** Starts the daemon's loops; they run until the demo ends. */
  readonly startPolling: () => void;

  #waitingForToken: (token: Acquired) => void = () => undefined;

  constructor(terminal: Terminal, servers: Servers, traffic: Traffic, tokens: TokenManager, startPolling: () => void) {
    this.terminal = terminal;
    this.servers = servers;
    this.traffic = traffic;
    this.tokens = tokens;
    this.startPolling = startPolling;

    let callsBefore = 0;
    servers.onRequest = ({ method, path }) => {
      if (path === '/token') callsBefore = traffic.calls;
      this.event('authorization server', `${method} ${path}`);
    };
    servers.onAnswer = ({ method, path, status }) => {
      if (status !== 200) this.event('authorization server', `${method} ${path} answered with ${status}`);
    };
    tokens.on('acquired', ({ expiresAt = Infinity }) => {
      const predecessorLeftMs = this.current === undefined ? 0 : this.current.expiresAt - Date.now();
      const callsMeanwhile = traffic.calls - callsBefore;
      const number = this.acquired.length;
      this.event('daemon', callsMeanwhile === 0
        ? `token ${number + 1}`
        : `token ${number + 1}, ${seconds(predecessorLeftMs)} ahead; ${counted(callsMeanwhile, 'call')} meanwhile`);
      this.callsDuringTokenRequests += callsMeanwhile;
      const token = { expiresAt, predecessorLeftMs };
      this.acquired.push(token);
      this.#waitingForToken(token);
    });
    tokens.on('refresh-failed', ({ error, background }) => {
      this.event('daemon', `${error.code}${background ? `; token ${this.acquired.length} is used on` : ''}`);
    });
  }

  get current(): Acquired | undefined {
    return this.acquired.at(-1);
  }

  event(who: 'daemon' | 'API' | 'authorization server', what: string): void {
    this.terminal.event(performance.now(), who, what);
  }

  async figures(): Promise<Figures> {
    return this.traffic.hold(async () => ({
      atMs: performance.now(),
      calls: this.traffic.calls,
      failures: this.traffic.failures,
      tokenRequests: this.servers.tokenRequests,
      discoveryRequests: this.servers.discoveryRequests,
      api: await this.servers.apiFigures(),
    }));
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

  /** The status line: the totals, and the life of the current token running out. */
  status(): string {
    const leftMs = Math.max(0, (this.current?.expiresAt ?? 0) - Date.now());
    const { filled, rest } = bar(leftMs / TOKEN_LIFETIME_MS, 20);
    const { terminal, traffic } = this;
    const failures = `${count(traffic.failures)} failed`;
    return [
      seconds(performance.now()).padStart(8),
      `${count(traffic.calls).padStart(7)} calls`,
      traffic.failures > 0 ? terminal.style('red', failures) : failures,
      `token ${count(this.acquired.length).padStart(2)} ${terminal.style('green', filled)}${terminal.style('dim', rest)} ${(leftMs / 1_000).toFixed(1)} s`,
    ].join('   ');
  }
}
