import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';
import type { Fault } from './faults.js';
import { Grants, type Use } from './grants.js';
import type { AnswerFate, Journal, Refresh } from './journal.js';
import { TOKEN_LIFETIMES } from './settings.js';

/** What a fault does to processes, and who is told that it was done. */
export interface FaultHands {
  kill(process: string): void;
  stop(process: string, ms: number): void;
  done(fault: Fault): void;
  /** The grant of this user is dead. */
  lost(user: string): void;
  /** The server itself is wrong. */
  readonly failed: (error: unknown) => void;
}

/**
 * An authorization server that detects reuse, and writes down what it was asked. Each worker process has a token endpoint of its own, so that the journal
 * tells who sent what: `/PROCESS/token`. Whoever comes to `/authorize` is signed in as `login_hint` says, and consents.
 */
export class AuthorizationServer {
  readonly origin: string;
  readonly #port: number;
  #server: Server;
  readonly #journal: Journal;
  readonly #hands: FaultHands;
  readonly #grants = new Grants();
  /** For the next refreshes, in this order. */
  readonly #faults: Fault[] = [];
  readonly #underWay = new Set<Refresh>();
  #issued = 0;
  #isClosed = false;

  private constructor(server: Server, journal: Journal, hands: FaultHands) {
    this.#port = (server.address() as AddressInfo).port;
    this.origin = `http://127.0.0.1:${this.#port}`;
    this.#journal = journal;
    this.#hands = hands;
    this.#server = this.#serve(server);
  }

  static async start(journal: Journal, hands: FaultHands): Promise<AuthorizationServer> {
    return new AuthorizationServer(await listening(0), journal, hands);
  }

  /** How many faults wait for a refresh to hit. */
  get armed(): number {
    return this.#faults.length;
  }

  arm(fault: Fault): void {
    this.#faults.push(fault);
  }

  disarm(): void {
    this.#faults.length = 0;
  }

  async refuseConnections(ms: number): Promise<void> {
    const from = Date.now();
    await this.#stop();
    await delay(ms);
    if (this.#isClosed) return;
    this.#server = this.#serve(await listening(this.#port));
    this.#journal.outages.push({ of: 'authorization server', from, to: Date.now() });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#stop();
  }

  async #stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const refresh of this.#underWay) this.#settle(refresh, 'lost');
    this.#server.closeAllConnections();
    await closed;
  }

  #serve(server: Server): Server {
    server.keepAliveTimeout = 60_000;
    return server.on('request', (request, response) => {
      this.#answer(request, response).catch(this.#hands.failed);
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.origin);
    const [, process = '', endpoint] = url.pathname.split('/');
    if (process === 'authorize') this.#authorize(url.searchParams, response);
    else if (endpoint === 'token') await this.#token(process, new URLSearchParams(await text(request)), response);
    else response.writeHead(404).end();
  }

  /** RFC 6749 section 4.1.2. The code says who it is for: nobody here would forge one. */
  #authorize(parameters: URLSearchParams, response: ServerResponse): void {
    const callback = new URL(parameters.get('redirect_uri') ?? '');
    callback.search = new URLSearchParams({ code: parameters.get('login_hint') ?? '', state: parameters.get('state') ?? '' }).toString();
    response.writeHead(302, { location: callback.href }).end();
  }

  async #token(process: string, parameters: URLSearchParams, response: ServerResponse): Promise<void> {
    const user = parameters.get('code');
    if (user !== null) {
      give(response, 200, this.#tokens(this.#grants.begin(user, this.#journal.graces.get(user) ?? 0)));
      return;
    }
    const presented = parameters.get('refresh_token') ?? '';
    const refresh: Refresh = { process, user: this.#grants.userOf(presented) ?? '', presented, arrivedAt: Date.now(), outcome: 'nothing', fate: 'under way' };
    this.#journal.refreshes.push(refresh);
    const others = [...this.#underWay].filter((other) => other.presented === presented);
    this.#underWay.add(refresh);
    response.once('close', () => { this.#settle(refresh, 'given up'); });
    await this.#noteDoubleUse(refresh, others);
    await this.#play(this.#faults.shift(), refresh, response);
  }

  /** Who hung up before this request was sent is not using the token any more, though the news of it may come in later in this turn. */
  async #noteDoubleUse(second: Refresh, others: readonly Refresh[]): Promise<void> {
    if (others.length === 0) return;
    for (let turns = 0; turns < 3; turns += 1) await nextTurn();
    for (const first of others.filter(({ fate }) => fate !== 'given up')) this.#journal.doubleUses.push({ first, second });
  }

  async #play(fault: Fault | undefined, refresh: Refresh, response: ServerResponse): Promise<void> {
    const { kind, lasts = 0, pick = 0 } = fault ?? {};
    const isStop = kind === 'lease owner stopped for less than its lease' || kind === 'lease owner stopped for more than its lease';
    if (kind === 'sender killed when its refresh arrived') this.#hands.kill(refresh.process);
    if (isStop && pick < 0.5) this.#hands.stop(refresh.process, lasts);
    if (fault !== undefined) this.#hands.done(fault);
    if (kind === 'request lost' || kind === '503 instead of rotating') {
      this.#reply(refresh, response, kind === 'request lost' ? 'lost' : '503');
      return;
    }
    await delay(2 + Math.random() * 10);
    const use = this.#use(refresh);
    if (kind === 'answer later than the timeout') await delay(lasts);
    else await delay(2 + Math.random() * 10);
    const fate = kind === 'answer lost' ? 'lost' : kind === '503 after rotating' ? '503' : kind === 'answer later than the timeout' ? 'late' : 'answered';
    this.#reply(refresh, response, fate, use);
    if (kind === 'sender killed when its answer was written') this.#hands.kill(refresh.process);
    if (isStop && pick >= 0.5) this.#hands.stop(refresh.process, lasts);
    if (kind === 'sender killed milliseconds after its answer') {
      await delay(lasts);
      this.#hands.kill(refresh.process);
    }
  }

  #use(refresh: Refresh): Use {
    const use = this.#grants.use(refresh.presented, Date.now());
    refresh.outcome = use.outcome;
    if (use.outcome === 'rotated') refresh.issued = use.issued;
    if (use.outcome === 'reuse') this.#hands.lost(refresh.user);
    return use;
  }

  #reply(refresh: Refresh, response: ServerResponse, fate: AnswerFate, use?: Use): void {
    // Before anything is written: who reads the answer may be faster than what follows here.
    this.#settle(refresh, response.destroyed ? 'given up' : fate);
    if (fate === 'lost') response.destroy();
    else if (fate === '503') response.writeHead(503).end();
    else if (use?.outcome === 'rotated') give(response, 200, this.#tokens(use.issued));
    else give(response, 400, { error: 'invalid_grant' });
  }

  /** The access token names the refresh token that it came with: the journal needs no table. */
  #tokens(refreshToken: string): Readonly<Record<string, unknown>> {
    this.#issued += 1;
    return { access_token: `at:${refreshToken}`, token_type: 'Bearer', expires_in: TOKEN_LIFETIMES[this.#issued % TOKEN_LIFETIMES.length], refresh_token: refreshToken };
  }

  #settle(refresh: Refresh, fate: AnswerFate): void {
    if (!this.#underWay.delete(refresh)) return;
    refresh.settledAt = Date.now();
    refresh.fate = fate;
  }
}

function give(response: ServerResponse, status: number, json: Readonly<Record<string, unknown>>): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
}

async function listening(port: number): Promise<Server> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
