import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Scheduler } from 'fast-check';
import type { AccessToken, KeyvLike, Lock } from 'grantkeeper';
import { createGuard } from '../../src/cache/guard.js';
import { guardedStore } from '../../src/cache/guarded-store.js';
import { inProcessLock } from '../../src/cache/in-process-lock.js';
import { unsealed } from '../../src/cache/sealing.js';
import { createStoreReport } from '../../src/cache/store-report.js';
import { createTokenCache } from '../../src/cache/token-cache.js';
import { OAuthError } from '../../src/errors.js';
import { createEvents } from '../../src/events.js';
import { createRetryBudget } from '../../src/retry/retry-budget.js';
import { retryPolicy } from '../../src/retry/retry-options.js';
import type { AuthorizationServer, ReceivedTokens } from '../../src/server/authorization-server.js';
import { createExclusive } from '../../src/cache/exclusive.js';
import { sessionStore } from '../../src/sessions/session-store.js';
import { proofKeys } from '../../src/server/dpop/proof-keys.js';
import { createSessions, type Sessions } from '../../src/sessions/sessions.js';
import { defaultRefreshPolicy } from '../../src/tokens/lifetime.js';
import { ReuseDetectingGrant, type IssuedRefreshToken } from './reuse-detecting-grant.js';
import { RotationChecks, type StoredRecord } from './rotation-checks.js';
import { networkFaults, SimulatedNetwork, type NetworkFault, type NetworkNode, type StoreFault } from './simulated-network.js';
import { VirtualTime } from './virtual-time.js';

/** Beside what the network does, a server may be busy, before or after the fact, and may give an answer that can't be used. */
export type ServerFault = NetworkFault | 'busy' | 'busy after' | 'bad answer';
export const serverFaults: readonly ServerFault[] = [...networkFaults, 'busy', 'busy after', 'bad answer'];

export const TIMEOUT = 10_000;
export const TOKEN_LIFETIME = 20_000;
const STORE_TIMEOUT = 1_000;

export interface Trouble {
  /** One for each of the next calls of the store and the lock, in their order. */
  readonly calls: readonly StoreFault[];
  /** One for each of the next refreshes. */
  readonly refreshes: readonly ServerFault[];
}

/** A process as the others see it: it can be killed, and it can sleep. */
export class SimulatedProcess implements NetworkNode {
  isDead = false;
  sleepsUntil = 0;
  requestsOutliveIt = true;
  /** How many calls of `end()` are under way, and whether one succeeded. */
  endings = 0;
  hasEnded = false;
  lastToken: AccessToken | undefined;
  readonly name: string;
  readonly sessions: Sessions;

  constructor(name: string, sessionsOf: (process: SimulatedProcess) => Sessions) {
    this.name = name;
    this.sessions = sessionsOf(this);
  }
}

/**
 * Some processes of one client, their store, their lock, and a server with one grant. Every call between them is a step of its own and may go wrong;
 * what the store is asked for may arrive long after whoever asked has given up.
 */
export class RotationWorld {
  readonly time: VirtualTime = new VirtualTime();
  readonly grant: ReuseDetectingGrant;
  readonly checks: RotationChecks;
  readonly #graceMs: number;
  readonly #network: SimulatedNetwork;
  readonly #lock: Lock;
  readonly #entries = new Map<string, string>();
  readonly #processes: SimulatedProcess[] = [];
  readonly #waiting = new Set<{ readonly process: SimulatedProcess }>();
  /** The last process that was given the lock. */
  #holder: SimulatedProcess | undefined;
  #calls: StoreFault[] = [];
  #refreshes: ServerFault[] = [];
  #sessionId = '';
  #started = 0;

  constructor(scheduler: Scheduler, graceMs: number) {
    this.#graceMs = graceMs;
    this.grant = new ReuseDetectingGrant(graceMs, this.time);
    this.checks = new RotationChecks(this.grant, this.time, { graceMs, timeout: TIMEOUT });
    this.#network = new SimulatedNetwork(scheduler, this.time, (process) => { this.checks.mishap(process, 'it was too slow'); });
    this.#lock = inProcessLock(this.time);
  }

  /** Signs in, some time ago: the access token has expired. */
  async begin(processes: number): Promise<void> {
    for (let index = 0; index < processes; index += 1) this.start(index);
    const { value, accessToken } = this.grant.newest;
    const token = { token: { value: accessToken, type: 'Bearer' as const, parameters: {} }, lifetime: TOKEN_LIFETIME, obtainedAt: this.time.now() - TOKEN_LIFETIME, renewable: true };
    const begun = this.#process(0).sessions.begin({ refreshToken: value, parameters: {}, tokens: { '': token } });
    await this.settle();
    this.#sessionId = (await begun).id;
  }

  /** Why the session is over, as the store has it: by an end that was asked for, else by what is under the highest fence. */
  get ended(): string | undefined {
    const records = [...this.#entries].filter(([key]) => slotOf(key) !== undefined || isEnd(key)).map(([, text]) => JSON.parse(text) as StoredRecord);
    return records.reduce<StoredRecord | undefined>((highest, record) => (highest === undefined || record.fence > highest.fence ? record : highest), undefined)?.ended;
  }

  goesWrongWith({ calls, refreshes }: Trouble): void {
    this.#calls = [...calls];
    this.#refreshes = [...refreshes];
  }

  /** From here on nothing goes wrong, and nobody sleeps. */
  stopTrouble(): void {
    this.goesWrongWith({ calls: [], refreshes: [] });
    for (const process of this.#processes) process.sleepsUntil = 0;
  }

  start(index: number): void {
    this.#started += 1;
    this.#processes[index] = new SimulatedProcess(`process ${this.#started}`, (process) => this.#sessionsOf(process));
  }

  /** Where the process is that last had the lock: most is at stake there. */
  get holder(): number {
    return Math.max(0, this.#processes.findIndex((process) => process === this.#holder));
  }

  /** Another one with an empty memory takes its place. */
  kill(index: number, requestsOutliveIt: boolean): void {
    const killed = Object.assign(this.#process(index), { isDead: true, requestsOutliveIt });
    this.checks.mishap(killed, 'its process was killed');
    this.start(index);
  }

  sleep(index: number, ms: number): void {
    const process = this.#process(index);
    process.sleepsUntil = this.time.now() + ms;
    this.checks.mishap(process, 'its process slept');
  }

  /** Somebody asks for a token; `isRefused`: because an API refused the last one. */
  async ask(index: number, isRefused: boolean): Promise<AccessToken | OAuthError> {
    const process = this.#process(index);
    const asked = { afterEnd: false };
    const answer = await this.#waitFor(process, async () => {
      asked.afterEnd = process.hasEnded;
      return process.sessions.session(this.#sessionId).getToken({ rejected: isRefused ? process.lastToken : undefined });
    });
    if (answer instanceof OAuthError) {
      if (asked.afterEnd && answer.code !== 'reauthorization_required') this.checks.fail(`after end() somebody was told ${answer.code}`);
      return answer;
    }
    process.lastToken = answer;
    if (asked.afterEnd) this.checks.fail('a token was handed out after end()');
    this.checks.handsOut(answer.value);
    return answer;
  }

  /** Somebody signs out. */
  async end(index: number): Promise<void> {
    const process = this.#process(index);
    const outcome = await this.#waitFor(process, async () => {
      process.endings += 1;
      this.checks.mishap(process, 'the session was being ended');
      return process.sessions.session(this.#sessionId).end();
    });
    process.endings -= 1;
    if (outcome instanceof OAuthError) return;
    process.hasEnded = true;
    if (this.ended === undefined && this.grant.isAlive) this.checks.fail('end() succeeded, and the session is still there');
  }

  /** The next thing happens; where all wait, time passes. False if nothing is left to happen. */
  async step(): Promise<boolean> {
    await nextTurn();
    const wait = this.time.untilNext;
    if (this.#network.isBusy) await this.#network.deliverNext();
    else if (wait !== undefined) await this.time.pass(wait);
    else return false;
    return true;
  }

  /** All that was begun comes to its end. */
  async settle(): Promise<void> {
    while (await this.step());
    await nextTurn();
    const forgotten = [...this.#waiting].filter(({ process }) => !process.isDead && process.sleepsUntil <= this.time.now());
    if (forgotten.length > 0) this.checks.fail(`${forgotten.length} who asked were never answered`);
  }

  async #waitFor<T>(process: SimulatedProcess, call: () => Promise<T>): Promise<T | OAuthError> {
    const waiting = { process };
    this.#waiting.add(waiting);
    try {
      await this.time.awake(process);
      return await this.time.as(process, call);
    } catch (thrown) {
      if (thrown instanceof OAuthError) return thrown;
      throw thrown;
    } finally {
      this.#waiting.delete(waiting);
    }
  }

  #process(index: number): SimulatedProcess {
    const process = this.#processes[index];
    if (process === undefined) throw new RangeError(`there is no process at ${index}`);
    return process;
  }

  #sessionsOf(process: SimulatedProcess): Sessions {
    const clock = this.time;
    const events = createEvents();
    return createSessions({
      clock,
      events,
      report: createStoreReport(events),
      identity: { server: 'model', clientId: 'app' },
      server: this.#serverFor(process),
      serverName: 'model',
      store: sessionStore(guardedStore(this.#storeFor(process), { timeout: STORE_TIMEOUT, clock }), unsealed, { idle: 1e10, absolute: Infinity }, clock),
      exclusive: createExclusive({ lock: this.#lockFor(process), guard: createGuard('The lock', { timeout: 1_000, clock }), leaseMs: TIMEOUT + 3_000, clock }),
      cache: createTokenCache(100, { clock, events, policy: defaultRefreshPolicy, maxRetryAfter: 60_000 }),
      maxEntries: 100,
      idle: 1e10,
      timeout: TIMEOUT,
      retry: retryPolicy({ minDelay: 0 }),
      budget: createRetryBudget(clock),
      refreshGrace: this.#graceMs,
      assumedLifetime: Infinity,
      keys: proofKeys(undefined, { isPublic: false }),
      bindingOf: () => undefined,
    });
  }

  #storeFor(process: SimulatedProcess): KeyvLike {
    const reach = async (what: string, fault: StoreFault, effect: () => unknown): Promise<unknown> => this.#network.reach(process, what, { fault, limit: STORE_TIMEOUT, effect });
    return {
      get: async (key) => reach('get', this.#nextStoreCall(), () => this.#entries.get(key)),
      set: async (key, value) => {
        const fault = this.#nextStoreCall();
        const record = JSON.parse(String(value)) as StoredRecord;
        this.checks.asksStore(process, record, fault);
        return reach('set', fault, () => {
          const before = this.#entries.get(key);
          this.checks.writes(process, { slot: slotOf(key), isEnd: isEnd(key) }, before === undefined ? undefined : JSON.parse(before) as StoredRecord, record);
          this.#entries.set(key, String(value));
          return true;
        });
      },
      delete: async (key) => reach('delete', this.#nextStoreCall(), () => this.#entries.delete(key)),
    };
  }

  #lockFor(process: SimulatedProcess): Lock {
    const reach = async <T>(what: string, effect: () => Promise<T>): Promise<T> => {
      const fault = this.#nextCall();
      if (fault !== 'none') this.checks.mishap(process, 'the lock failed');
      return this.#network.reach(process, what, { fault, effect });
    };
    return {
      acquire: async (...parameters) => reach('acquire', async () => {
        const answer = await this.#lock.acquire(...parameters);
        if ('fence' in answer) {
          this.#holder = process;
          this.checks.acquires(process);
        }
        return answer;
      }),
      renew: async (...parameters) => reach('renew', async () => this.#lock.renew(...parameters)),
      release: async (...parameters) => reach('release', async () => this.#lock.release(...parameters)),
    };
  }

  #serverFor(process: SimulatedProcess): AuthorizationServer {
    const unused = async (): Promise<never> => Promise.reject(new Error('no part of the model'));
    return {
      grant: unused,
      authorizationUrl: unused,
      understoodCallback: (parameters) => ({ parameters, kept: {}, secrets: [] }),
      callbackIssuer: unused,
      authorizationResponse: unused,
      authorizationCode: unused,
      decoupledLogin: unused,
      prepareRefresh: async () => Promise.resolve(async ({ refreshToken }, signal) => this.#refresh(process, refreshToken, signal)),
      revoke: async (_token, _kind, signal) => this.#network.reach(process, 'revoke', { fault: this.#nextCall(), limit: TIMEOUT, signal, effect: () => { this.grant.isAlive = false; return true; } }),
      introspect: unused,
      endSessionUrl: async () => Promise.resolve(undefined),
    };
  }

  async #refresh(process: SimulatedProcess, refreshToken: string, signal: AbortSignal): Promise<ReceivedTokens> {
    const fault = this.#refreshes.shift() ?? 'none';
    const departure = this.checks.departs(refreshToken);
    let issued: IssuedRefreshToken | undefined;
    try {
      await this.#network.reach(process, `send ${refreshToken}`, {
        fault: fault === 'busy' || fault === 'busy after' || fault === 'bad answer' ? 'none' : fault,
        limit: TIMEOUT,
        signal,
        effect: () => {
          departure.isUnderWay = false;
          if (fault === 'busy') return;
          this.checks.arrives(refreshToken, process);
          issued = this.grant.use(refreshToken, process);
          if (issued !== undefined) issued.misfortune = this.#misfortuneOf(process);
        },
      });
    } catch (thrown) {
      departure.isUnderWay = false;
      if (issued !== undefined) issued.misfortune ??= 'its answer was lost';
      if (fault === 'fails') departure.answer = 'not sent';
      throw thrown instanceof OAuthError ? thrown : unreachable(fault === 'fails' ? 'ECONNREFUSED' : 'ECONNRESET');
    }
    departure.answer = fault === 'busy' || fault === 'busy after' ? 'unclear' : 'clear';
    if (departure.answer === 'unclear') {
      if (issued !== undefined) issued.misfortune ??= 'its answer was lost';
      throw new OAuthError('token_request_failed', fault, { status: 503, retryable: true });
    }
    if (issued === undefined) throw new OAuthError('token_request_failed', 'refused', { status: 400, error: 'invalid_grant' });
    issued.isDelivered = true;
    return received(issued, fault === 'bad answer', this.time);
  }

  /** Why what is issued for a process now may be lost, if it may. */
  #misfortuneOf({ isDead, sleepsUntil, endings }: SimulatedProcess): string | undefined {
    if (isDead) return 'its process was killed';
    if (sleepsUntil > this.time.now()) return 'its process slept';
    return endings > 0 ? 'the session was being ended' : undefined;
  }

  #nextStoreCall(): StoreFault {
    return this.#calls.shift() ?? 'none';
  }

  /** What is late elsewhere comes to nothing. */
  #nextCall(): NetworkFault {
    const fault = this.#nextStoreCall();
    return fault === 'late' || fault === 'very late' ? 'hangs' : fault;
  }
}

/** The fence whose owner alone writes there. */
function slotOf(key: string): number | undefined {
  const [, fence] = /:(\d+)$/.exec(key) ?? [];
  return fence === undefined ? undefined : Number(fence);
}

function isEnd(key: string): boolean {
  return key.endsWith(':end');
}

function unreachable(code: string): OAuthError {
  return new OAuthError('server_unreachable', code, { retryable: true, cause: Object.assign(new Error(code), { code }) });
}

function received({ value, accessToken }: IssuedRefreshToken, isBad: boolean, clock: VirtualTime): ReceivedTokens {
  const sentAt = { now: clock.now(), monotonic: clock.monotonic() };
  return {
    refreshToken: () => value,
    accessToken: () => accessToken,
    judged() {
      if (isBad) throw new OAuthError('invalid_response', 'bad answer');
      return { accessToken, tokenType: 'Bearer', lifetime: TOKEN_LIFETIME, scope: undefined, parameters: {}, sentAt };
    },
    hasIdToken: false,
    identity: async () => Promise.resolve(undefined),
  };
}
