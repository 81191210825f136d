import { setMaxListeners } from 'node:events';
import type { TokenManager } from 'grantkeeper';
import { poll } from '../daemon/daemon.js';
import type { Figures } from './figures.js';
import { TOKEN_LIFETIME_MS, type Servers } from './servers.js';
import { bar, count, seconds, type Terminal } from './terminal.js';
import { Traffic } from './traffic.js';
import { WatchedTokens, type Observer } from './watched-tokens.js';
import type { WebBackend } from './web-backend.js';

/** Loops of the daemon. */
export const POLLERS = 16;
const POLL_INTERVAL_MS = 15;

type Who = 'daemon' | 'web backend' | 'API' | 'authorization server';

export interface Cast {
  servers: Servers;
  daemon: { tokens: TokenManager; api: typeof fetch };
  backend: WebBackend;
}

/** What the scenes play on: the servers, their two clients with their traffic and tokens, and all that was observed. */
export class Stage {
  readonly terminal: Terminal;
  readonly servers: Servers;
  readonly traffic: Traffic = new Traffic();
  /** The daemon's calls, counted. */
  readonly daemonApi: typeof fetch;
  readonly daemonTokens: WatchedTokens;
  readonly backend: WebBackend;
  readonly backendTokens: WatchedTokens;
  readonly #polling = new AbortController();
  readonly #fail: (error: unknown) => void;

  /** `fail` is told of a loop of the daemon that ends by itself. */
  constructor(terminal: Terminal, { servers, daemon, backend }: Cast, fail: (error: unknown) => void) {
    this.terminal = terminal;
    this.#fail = fail;
    this.servers = servers;
    this.daemonApi = this.traffic.counted(daemon.api);
    this.backend = backend;

    let callsBefore = 0;
    const observer = (who: Who): Observer => ({
      say: (what) => { this.event(who, what); },
      callsMeanwhile: () => this.traffic.calls - callsBefore,
    });
    this.daemonTokens = new WatchedTokens(daemon.tokens, observer('daemon'));
    this.backendTokens = new WatchedTokens(backend.tokens, observer('web backend'));
    servers.onRequest = ({ method, path }) => {
      if (path === '/token') callsBefore = this.traffic.calls;
      this.event('authorization server', `${method} ${path}`);
    };
    servers.onAnswer = ({ method, path, status }) => {
      if (status >= 400) this.event('authorization server', `${method} ${path} answered with ${status}`);
    };
    servers.onLostAnswer = () => { this.event('authorization server', 'has answered, and the connection breaks'); };
  }

  event(who: Who, what: string): void {
    this.terminal.event(performance.now(), who, what);
  }

  /** Starts the daemon's loops; they run until they're stopped. */
  startPolling(): void {
    const { signal } = this.#polling;
    setMaxListeners(POLLERS, signal);
    for (let poller = 0; poller < POLLERS; poller += 1) {
      // The stage counts what fails, so the loops needn't say it.
      poll(this.daemonApi, { intervalMs: POLL_INTERVAL_MS, signal, log: () => undefined }).catch(this.#fail);
    }
  }

  stopPolling(): void {
    this.#polling.abort();
  }

  async figures(): Promise<Figures> {
    return this.traffic.hold(async () => ({
      atMs: performance.now(),
      calls: this.traffic.calls,
      failures: this.traffic.failures,
      tokenRequests: this.servers.tokenRequests,
      refreshTokensReplaced: this.servers.refreshTokensReplaced,
      discoveryRequests: this.servers.discoveryRequests,
      api: await this.servers.apiFigures(),
    }));
  }

  /** The status line: the totals, and the life of the newest token running out. */
  status(): string {
    const { terminal, traffic } = this;
    const { acquired, current } = this.backendTokens.current === undefined ? this.daemonTokens : this.backendTokens;
    const leftMs = Math.max(0, (current?.expiresAt ?? 0) - Date.now());
    const { filled, rest } = bar(leftMs / TOKEN_LIFETIME_MS, 20);
    const failures = `${count(traffic.failures)} failed`;
    return [
      seconds(performance.now()).padStart(8),
      `${count(traffic.calls).padStart(7)} calls`,
      traffic.failures > 0 ? terminal.style('red', failures) : failures,
      `token ${count(acquired.length).padStart(2)} ${terminal.style('green', filled)}${terminal.style('dim', rest)} ${(leftMs / 1_000).toFixed(1)} s`,
    ].join('   ');
  }
}
