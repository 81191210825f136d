import { randomBytes } from 'node:crypto';
import type { KeyvLike, Lock, Session } from 'grantkeeper';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from './authorization-server.js';
import { bundleProgram, type BundledProgram } from './bundled-program.js';
import { startProgram, type RunningProgram } from './child-process.js';
import { ManualClock } from './clock.js';
import { eventually } from './eventually.js';
import { failureOf } from './failure.js';
import { CLIENT_SECRET, type MachineClient, type MachineClientOptions } from './machine-client.js';
import { MapStore } from './map-store.js';
import type { ReplicaOrders, ReplicaReport } from './replica.js';
import { openBackend, type BackendKind, type SharedBackend } from './shared-backend.js';
import { signIn, webClient } from './web-client.js';

const HOUR = 3_600_000;
/** A lease is three seconds longer. */
const TIMEOUT = 1_200;

/** The server of the store and the lock, which can be stopped like any process. */
export interface BackendServer {
  readonly url: string;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  kill(): Promise<void>;
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** The behaviours of many processes, on one kind of store and lock. */
export function describeManyProcesses(kind: BackendKind, start: () => Promise<BackendServer>): void {
  let backend: BackendServer;
  let program: BundledProgram;
  let server: AuthorizationServer;
  let encryptionKeys: string[];
  const opened: SharedBackend[] = [];
  const replicas: RunningProgram[] = [];

  beforeAll(async () => {
    [backend, program] = await Promise.all([start(), bundleProgram(new URL('replica.ts', import.meta.url))]);
  });

  afterAll(async () => {
    await Promise.all([backend.close(), program.remove()]);
  });

  beforeEach(async () => {
    server = await startAuthorizationServer();
    server.idTokenOnRefresh = false;
    encryptionKeys = [randomBytes(32).toString('base64url')];
  });

  afterEach(async () => {
    for (const replica of replicas.splice(0)) replica.kill();
    await Promise.all(opened.splice(0).map(async (connection) => connection.close()));
    await server.close();
  });

  async function connect(): Promise<SharedBackend> {
    const connection = await openBackend(kind, backend.url);
    opened.push(connection);
    return connection;
  }

  /** A token manager with connections of its own: in this process, so that its clock can be turned. */
  async function client(options: MachineClientOptions = {}): Promise<MachineClient> {
    const { store, lock } = await connect();
    return webClient(server, { store, lock, encryptionKeys, timeout: TIMEOUT, ...options });
  }

  /** A process, connected and waiting for `go`. */
  async function startReplica(orders: Partial<ReplicaOrders> = {}): Promise<RunningProgram> {
    const all: ReplicaOrders = { kind, url: backend.url, metadata: { ...server.metadata }, encryptionKeys, timeout: TIMEOUT, refreshGrace: server.graceMs, callers: 1, ...orders };
    const replica = await startProgram(program, { args: [JSON.stringify(all)], limitMs: 60_000 });
    replicas.push(replica);
    await replica.prints('ready');
    return replica;
  }

  async function reportOf({ finished }: RunningProgram): Promise<ReplicaReport> {
    const { stdout, stderr } = await finished;
    const last = stdout.trim().split('\n').at(-1) ?? '';
    if (!last.startsWith('{')) throw new Error(`the replica ended without a report: ${stdout}${stderr}`);
    return JSON.parse(last) as ReplicaReport;
  }

  /** A session whose access token, as the processes outside see it, has expired. */
  async function expiredSession(): Promise<Session> {
    const { tokens } = await client({ clock: new ManualClock(Date.now() - 2 * HOUR) });
    const { session } = await signIn({ tokens });
    server.clock = Date;
    return session;
  }

  /** Resolves when the server has answered so many logins and refreshes, whether or not the answers arrived. */
  async function issued(count: number): Promise<void> {
    await eventually(() => { expect(server.issued).toHaveLength(count); });
  }

  function refreshTokens(): (string | null)[] {
    return server.tokenRequests.map(({ parameters }) => parameters.get('refresh_token')).filter((token) => token !== null);
  }

  describe('M1', () => {
    test('M1 8 processes with 1,000 cold callers each cost one token request', { timeout: 60_000 }, async () => {
      const processes = await Promise.all(Array.from({ length: 8 }, async () => startReplica({ callers: 1_000, timeout: 10_000 })));
      for (const replica of processes) replica.tell('go');
      const reports = await Promise.all(processes.map(reportOf));
      expect(reports.map(({ tokens, failures }) => ({ tokens, failures }))).toEqual(processes.map(() => ({ tokens: ['at-1'], failures: [] })));
      expect(server.tokenRequests).toHaveLength(1);
    });

    test('M1 20 at a session\'s expiry: one refresh', { timeout: 60_000 }, async () => {
      const clock = new ManualClock();
      const clients = await Promise.all(Array.from({ length: 20 }, async () => client({ clock, timeout: 10_000 })));
      const [first] = clients;
      if (first === undefined) throw new Error('there are none');
      const { session } = await signIn(first);
      clock.advance(HOUR);
      const tokens = await Promise.all(clients.map(async (each) => each.tokens.session(session.id).getToken()));
      expect(new Set(tokens.map(({ value }) => value)).size).toBe(1);
      expect(refreshTokens()).toEqual(['rt-1']);
    });
  });

  describe('M2', () => {
    test('M2 killed at any answer of the store or the lock, with a grace at the server: every session lives', { timeout: 120_000 }, async () => {
      server.graceMs = 10 * 60_000;
      const whole = await startReplica({ sessionId: (await expiredSession()).id });
      whole.tell('go');
      const { calls, failures } = await reportOf(whole);
      expect(failures).toEqual([]);
      expect(calls).toBeGreaterThan(8);

      const sessions: Session[] = [];
      for (let diesAfterCall = 1; diesAfterCall <= calls; diesAfterCall += 1) {
        const session = await expiredSession();
        const replica = await startReplica({ sessionId: session.id, diesAfterCall });
        replica.tell('go');
        // With its last answers it may have ended on its own.
        await replica.finished;
        sessions.push(session);
      }
      const heir = await client({ clock: new ManualClock(Date.now()), refreshGrace: server.graceMs });
      const tokens = await Promise.all(sessions.map(async ({ id }) => heir.tokens.session(id).getToken()));
      expect(tokens).toHaveLength(calls);
      expect(server.reuses).toBe(0);
    });

    test('M2 without a grace: a session killed between its refresh token\'s sending and the storing of the next is lost, and said to be; any other lives', { timeout: 120_000 }, async () => {
      const [unsent, sent] = [await expiredSession(), await expiredSession()];
      // The fifth and sixth answers are those of the slot that it looks at, and of the intent that it notes.
      const early = await startReplica({ sessionId: unsent.id, diesAfterCall: 5 });
      early.tell('go');
      await early.finished;
      const hold = server.hold();
      const late = await startReplica({ sessionId: sent.id });
      late.tell('go');
      await hold.arrived;
      late.kill('SIGSTOP');
      hold.release();
      await issued(3);
      late.kill();
      await late.finished;

      const heir = await client({ clock: new ManualClock(Date.now()) });
      const [lives, lost] = await Promise.all([heir.tokens.session(unsent.id).getToken(), failureOf(heir.tokens.session(sent.id).getToken())]);
      expect(lives.type).toBe('Bearer');
      expect(lost).toMatchObject({ code: 'reauthorization_required', ambiguous: true });
      expect(heir.events['session-ended']).toEqual([{ sessionId: sent.id, reason: 'ambiguous' }]);
    });
  });

  test('M3 a process that was stopped beyond its lease overwrites nothing and releases nobody\'s lock', { timeout: 60_000 }, async () => {
    server.graceMs = 10 * 60_000;
    const session = await expiredSession();
    const hold = server.hold();
    const sleeper = await startReplica({ sessionId: session.id });
    sleeper.tell('go');
    await hold.arrived;
    sleeper.kill('SIGSTOP');
    hold.release();
    await issued(2);
    const clock = new ManualClock(Date.now());
    const { store, lock } = await connect();
    const names: string[] = [];
    const noting: Lock = { ...lock, acquire: async (name, ...rest) => { names.push(name); return lock.acquire(name, ...rest); } };
    const awake = await client({ clock, store, lock: noting, refreshGrace: server.graceMs });
    const taken = await awake.tokens.session(session.id).getToken();

    const next = server.hold();
    clock.advance(HOUR);
    const refreshing = awake.tokens.session(session.id).getToken();
    await next.arrived;
    sleeper.kill('SIGCONT');
    await sleeper.finished;
    expect(await lock.acquire(names[0] ?? '', 'somebody else', 1_000, 0)).toEqual({ busy: expect.any(Number) as number });
    next.release();
    const newest = await refreshing;
    expect(newest.value).not.toBe(taken.value);

    const reader = await client({ clock, refreshGrace: server.graceMs });
    expect((await reader.tokens.session(session.id).getToken()).value).toBe(newest.value);
    expect(server.reuses).toBe(0);
  });

  test('M4 the lock\'s server is gone: tokens that are good are served, rotation is refused, machine tokens go on alone; when it\'s back all is well', { timeout: 60_000 }, async () => {
    const store = new MapStore();
    const { tokens, clock } = await client({ store });
    const { session } = await signIn({ tokens });
    await backend.kill();
    try {
      expect((await session.getToken()).value).toBe('at-1');
      expect(await tokens.clientCredentials().getToken()).toMatchObject({ type: 'Bearer' });
      clock.advance(HOUR);
      expect(await failureOf(session.getToken())).toMatchObject({ code: 'store_failed', retryable: true });
      expect(refreshTokens()).toEqual([]);
    } finally {
      await backend.restart();
    }
    await eventually(async () => {
      clock.advance(5_000);
      expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
    }, 15_000);
    expect(refreshTokens()).toEqual(['rt-1']);
  });

  describe('M5', () => {
    test('M5 a dump shows no token, no secret, no claim and no session\'s id', async () => {
      server.idTokenOnRefresh = true;
      const { tokens, clock } = await client();
      const { session } = await signIn({ tokens }, { returnTo: '/inbox' });
      clock.advance(HOUR);
      await session.getToken();
      await tokens.clientCredentials().getToken();
      const { dump } = await connect();
      const text = await dump();
      expect(text).toContain('grantkeeper:session:');
      expect(text).toContain('grantkeeper:token:');
      const secrets = server.issued.flatMap(({ accessToken, refreshToken = '' }) => [accessToken, refreshToken]);
      const { sub } = (await session.info())?.claims ?? {};
      for (const secret of [...secrets, CLIENT_SECRET, String(sub), session.id, '/inbox']) expect(text).not.toContain(secret);
      for (const sealed of text.match(/eyJ[\w-]+/g) ?? []) expect(Buffer.from(sealed, 'base64url').toString()).not.toMatch(/at-|rt-|user-/);
    });

    test('M5 an entry that was moved to another key doesn\'t open', async () => {
      const { store, lock } = await connect();
      const heads = new Set<string>();
      const noting: KeyvLike = {
        get: async (key) => store.get(key),
        delete: async (key) => store.delete(key),
        async set(key, value, ttl) {
          if (/^grantkeeper:session:[^:]+$/.test(key)) heads.add(key);
          return store.set(key, value, ttl);
        },
      };
      const writer = await client({ store: noting, lock });
      const [mine, other] = [await signIn(writer), await signIn(writer)];
      const [first = '', second = ''] = heads;
      const [a, b] = [await store.get(first), await store.get(second)];
      await Promise.all([store.set(first, b), store.set(second, a)]);
      const reader = await client();
      for (const { session } of [mine, other]) expect(await failureOf(reader.tokens.session(session.id).getToken())).toMatchObject({ code: 'store_failed' });
    });

    test('M5 keys rotate without losing a session: the new one second, then first, then alone', async () => {
      const clock = new ManualClock();
      const [old = ''] = encryptionKeys;
      const next = randomBytes(32).toString('base64url');
      const { session } = await signIn(await client({ clock }));
      for (const keys of [[old, next], [next, old], [next]]) {
        clock.advance(HOUR);
        const { tokens } = await client({ clock, encryptionKeys: keys });
        expect(await tokens.session(session.id).getToken()).toMatchObject({ type: 'Bearer' });
      }
      expect(refreshTokens()).toEqual(['rt-1', 'rt-2', 'rt-3']);
    });
  });

  describe('M6', () => {
    test('M6 frozen: a token that is good is served, a refresh is refused in time, machine tokens keep coming; thawed, nothing was lost', { timeout: 60_000 }, async () => {
      const { tokens, clock } = await client();
      const { session } = await signIn({ tokens });
      await session.getToken();
      await backend.freeze();
      try {
        expect((await session.getToken()).value).toBe('at-1');
        expect(await tokens.clientCredentials().getToken()).toMatchObject({ type: 'Bearer' });
        clock.advance(HOUR);
        expect(await failureOf(session.getToken())).toMatchObject({ code: 'store_failed', retryable: true });
      } finally {
        await backend.thaw();
      }
      await eventually(async () => {
        clock.advance(5_000);
        expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
      }, 15_000);
      expect(refreshTokens()).toEqual(['rt-1']);
    });

    test('M6 frozen while the answer is on its way: the new refresh token is kept in memory, served, and written when the store is back', { timeout: 60_000 }, async () => {
      const clock = new ManualClock();
      const { tokens } = await client({ clock });
      const { session } = await signIn({ tokens });
      clock.advance(HOUR);
      const hold = server.hold();
      const refreshed = session.getToken();
      await hold.arrived;
      await backend.freeze();
      hold.release();
      try {
        expect(await refreshed).toMatchObject({ type: 'Bearer' });
      } finally {
        await backend.thaw();
      }
      await tokens.close();
      const reader = await client({ clock });
      expect((await reader.tokens.session(session.id).getToken()).value).toBe((await refreshed).value);
      expect(refreshTokens()).toEqual(['rt-1']);
    });

    test('M6 slow: what takes longer than a store call may is a failure, what takes less is not', async () => {
      const { store, lock } = await connect();
      const slow = (ms: number): { store: KeyvLike; lock: Lock } => ({ store: delayed(store, ms), lock });
      const { tokens, clock } = await client(slow(100));
      const { session } = await signIn({ tokens });
      clock.advance(HOUR);
      expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
      clock.advance(HOUR);
      const slower = await client({ ...slow(1_000), clock });
      expect(await failureOf(slower.tokens.session(session.id).getToken())).toMatchObject({ code: 'store_failed' });
    });
  });
}

function delayed(store: KeyvLike, ms: number): KeyvLike {
  const later = async <T>(call: () => Promise<T>): Promise<T> => new Promise((resolve, reject) => {
    setTimeout(() => { call().then(resolve, reject); }, ms);
  });
  return {
    get: async (key) => later(async () => store.get(key)),
    set: async (key, value, ttl) => later(async () => store.set(key, value, ttl)),
    delete: async (key) => later(async () => store.delete(key)),
  };
}
