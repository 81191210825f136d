import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { KeyvLike, Lock } from 'grantkeeper';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { inProcessLock } from '../src/cache/in-process-lock.js';
import { hang, lose, reset, type Answer } from './support/answers.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { ManualClock } from './support/clock.js';
import { deferred } from './support/deferred.js';
import { eventually } from './support/eventually.js';
import { failureOf } from './support/failure.js';
import { loginUnderWay, type LoginUnderWay } from './support/login-under-way.js';
import type { MachineClient, MachineClientOptions } from './support/machine-client.js';
import { MapStore } from './support/map-store.js';
import { webClient } from './support/web-client.js';

const HOUR = 3_600_000;

const newKey = (): string => randomBytes(32).toString('hex');

let server: AuthorizationServer;
let client: MachineClient;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(async () => {
  await server.close();
});

beforeEach(() => {
  client = webClient(server);
  server.tokenRequests.length = 0;
  server.revocations.length = 0;
});

afterEach(() => {
  server.answersAsUsual();
});

async function outcomes(work: Promise<unknown>[]): Promise<string[]> {
  return Promise.all(work.map(async (each) => each.then(() => 'completed', (thrown: unknown) => (thrown as { code: string }).code)));
}

async function expectUsed({ callback, transaction }: LoginUnderWay, { tokens } = client): Promise<void> {
  const requests = server.tokenRequests.length;
  const failure = await failureOf(tokens.completeLogin(callback, transaction));
  expect(failure).toMatchObject({ code: 'callback_already_used', retryable: false });
  expect(server.tokenRequests).toHaveLength(requests);
}

/** Two processes that share all that they have to. */
function processes(options: MachineClientOptions = {}): [MachineClient, MachineClient] {
  const clock = new ManualClock();
  const shared: MachineClientOptions = { clock, store: new MapStore(), encryptionKeys: [newKey()], lock: inProcessLock(clock), ...options };
  return [webClient(server, shared), webClient(server, shared)];
}

describe('a login is completed once', () => {
  test.each([2, 20])('A3 of %i callbacks at a time one makes the exchange, the others are told; its session lives on', async (count) => {
    const { callback, transaction } = await loginUnderWay(client);
    const all = Array.from({ length: count }, async () => client.tokens.completeLogin(callback, transaction));
    expect((await outcomes(all)).sort()).toEqual([...Array<string>(count - 1).fill('callback_already_used'), 'completed']);
    expect(server.tokenRequests).toHaveLength(1);
    const { session } = await Promise.any(all);
    client.clock.advance(HOUR);
    expect((await session.getToken()).value).toBe(server.issuedTokens.at(-1));
    expect(server.grants.at(-1)?.alive).toBe(true);
  });

  test.each([2, 20])('A3 the same in two processes: %i callbacks', async (count) => {
    const [one, other] = processes();
    const { callback, transaction } = await loginUnderWay(one);
    const completing = Array.from({ length: count }, async (_, index) => (index % 2 === 0 ? one : other).tokens.completeLogin(callback, transaction));
    expect((await outcomes(completing)).sort()).toEqual([...Array<string>(count - 1).fill('callback_already_used'), 'completed']);
    expect(server.tokenRequests).toHaveLength(1);
    const { session } = await Promise.any(completing);
    for (const { tokens } of [one, other]) expect(await tokens.session(session.id).info()).toMatchObject({ claims: { sub: 'user-1' } });
  });

  /** The first look at the mark of a login takes until it's let go. */
  function slowAtFirstLook(): { store: MapStore; letGo: () => void; looks: () => number } {
    const store = new MapStore();
    const look = deferred();
    const key = (): string | undefined => store.calls.find(({ key: each }) => each.startsWith('grantkeeper:login:'))?.key;
    const get = store.get.bind(store);
    store.get = async (name) => {
      const found = await get(name);
      if (name === key()) await look.promise;
      return found;
    };
    return { store, letGo: () => { look.resolve(); }, looks: () => store.calls.filter((call) => call.operation === 'get' && call.key === key()).length };
  }

  test('A3 no second callback looks while a first one, having looked, has not yet written', async () => {
    const { store, letGo, looks } = slowAtFirstLook();
    client = webClient(server, { store, encryptionKeys: [newKey()] });
    const login = await loginUnderWay(client);
    const all = Array.from({ length: 20 }, async () => client.tokens.completeLogin(login.callback, login.transaction));
    const told = outcomes(all);
    await eventually(() => looks() > 0);
    // By the time that later ones are refused they would have looked.
    for (let times = 0; times < 3; times += 1) await failureOf(client.tokens.completeLogin(login.callbackWith({ state: undefined }), login.transaction));
    expect(looks()).toBe(1);
    letGo();
    expect((await told).filter((outcome) => outcome === 'completed')).toHaveLength(1);
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('A3 nor in another process, which asks the lock', async () => {
    const { store, letGo, looks } = slowAtFirstLook();
    const clock = new ManualClock();
    const lock = inProcessLock(clock);
    const asked = deferred();
    const shared: MachineClientOptions = { clock, store, encryptionKeys: [newKey()] };
    const one = webClient(server, { ...shared, lock });
    const other = webClient(server, { ...shared, lock: { ...lock, acquire: async (...wanted) => lock.acquire(...wanted).finally(() => { asked.resolve(); }) } });
    const { callback, transaction } = await loginUnderWay(one);
    const first = one.tokens.completeLogin(callback, transaction);
    await eventually(() => looks() > 0);
    const second = other.tokens.completeLogin(callback, transaction);
    const told = outcomes([first, second]);
    await asked.promise;
    letGo();
    expect(await told).toEqual(['completed', 'callback_already_used']);
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('A3 a second callback is told while the first exchange is still under way', async () => {
    const login = await loginUnderWay(client);
    const hold = server.hold();
    const first = client.tokens.completeLogin(login.callback, login.transaction);
    await hold.arrived;
    await expectUsed(login);
    hold.release();
    expect(await (await first).session.getToken()).toMatchObject({ type: 'Bearer' });
  });

  test('A3 the back button, later: told, and the session of the first lives on', async () => {
    const login = await loginUnderWay(client);
    const { session } = await client.tokens.completeLogin(login.callback, login.transaction);
    await expectUsed(login);
    expect(await session.info()).toMatchObject({ id: session.id });
    client.clock.advance(HOUR);
    expect(await session.getToken()).toMatchObject({ type: 'Bearer' });
  });

  test('A3 another code with the same state makes no second exchange', async () => {
    const login = await loginUnderWay(client);
    await client.tokens.completeLogin(login.callback, login.transaction);
    const again = login.callbackWith({ code: 'code-of-somebody-else' });
    expect((await failureOf(client.tokens.completeLogin(again, login.transaction))).code).toBe('callback_already_used');
    expect(server.tokenRequests).toHaveLength(1);
  });
});

describe('a login whose exchange failed', () => {
  test.each<[string, Answer, Record<string, unknown>]>([
    ['a code that was refused', { status: 400, json: { error: 'invalid_grant' } }, { code: 'token_request_failed', error: 'invalid_grant', status: 400 }],
    ['503', { status: 503, headers: { 'retry-after': '7' } }, { code: 'token_request_failed', status: 503, retryAfter: 7_000 }],
    ['429', { status: 429 }, { code: 'token_request_failed', status: 429 }],
    ['a reset connection', reset(), { code: 'server_unreachable' }],
    ['an answer that was lost', lose(), { code: 'server_unreachable' }],
    ['a page', { body: '<html>' }, { code: 'invalid_response', status: 200 }],
  ])('A3 %s: sent once only, the same call can\'t succeed, and the callback is used', async (_case, answer, error) => {
    const login = await loginUnderWay(client);
    server.answersNext(answer);
    expect(await failureOf(client.tokens.completeLogin(login.callback, login.transaction))).toMatchObject({ ...error, retryable: false });
    expect(server.tokenRequests).toHaveLength(1);
    await expectUsed(login);
  });

  test('A3 a server that hangs: timeout, and the callback is used', async () => {
    client = webClient(server, { timeout: 1_000 });
    const login = await loginUnderWay(client);
    server.answersNext(hang());
    const failure = await failureOf(client.tokens.completeLogin(login.callback, login.transaction));
    expect(failure).toMatchObject({ code: 'timeout', retryable: false });
    expect(failure.message).toBe(`The login could not be completed by ${server.issuer} within 1000 ms (option \`timeout\`). The login has to be started again`);
    expect(server.tokenRequests).toHaveLength(1);
    await expectUsed(login);
  });

  test('A3 a server that can\'t be reached: the error says why, and that the login has to be started again', async () => {
    const elsewhere = await startAuthorizationServer();
    client = webClient(elsewhere);
    const login = await loginUnderWay(client);
    await elsewhere.close();
    const failure = await failureOf(client.tokens.completeLogin(login.callback, login.transaction));
    expect(failure).toMatchObject({ code: 'server_unreachable', retryable: false, cause: { code: 'ECONNREFUSED' } });
    expect(failure.message).toMatch(/could not be reached: connect ECONNREFUSED.*\. The login has to be started again$/);
    await expectUsed(login);
  });

  test('A3 a secret that can\'t be had: the login has to be started again', async () => {
    client = webClient(server, { clientSecret: () => { throw new Error('vault'); } });
    const login = await loginUnderWay(client);
    expect(await failureOf(client.tokens.completeLogin(login.callback, login.transaction))).toMatchObject({ code: 'invalid_configuration', retryable: false });
    await expectUsed(login);
  });
});

test('a manager that is being closed waits for an exchange that was sent, and for its session', async () => {
  const { callback, transaction } = await loginUnderWay(client);
  const hold = server.hold();
  const order: string[] = [];
  const completing = client.tokens.completeLogin(callback, transaction).then(() => order.push('completed'));
  await hold.arrived;
  const closing = client.tokens.close().then(() => order.push('closed'));
  // Were there nothing to wait for, it would be over by now.
  await failureOf(client.tokens.startLogin({ redirectUri: 'https://app.example.com/' }));
  hold.release();
  await Promise.all([completing, closing]);
  expect(order).toEqual(['completed', 'closed']);
});

describe('before anything is spent', () => {
  test('metadata that can\'t be had: the callback is as good as before', async () => {
    const [starting, completing] = processes({ issuer: server.issuer });
    const begun = await loginUnderWay(starting);
    server.openidConfiguration.answersNext({ status: 503 });
    server.oauthMetadata.answersNext({ status: 503 });
    expect(await failureOf(completing.tokens.completeLogin(begun.callback, begun.transaction))).toMatchObject({ code: 'discovery_failed', retryable: true });
    expect(await completing.tokens.completeLogin(begun.callback, begun.transaction)).toHaveProperty('session');
  });

  test('a manager that is closed', async () => {
    const login = await loginUnderWay(client);
    await client.tokens.close();
    expect(await failureOf(client.tokens.completeLogin(login.callback, login.transaction))).toMatchObject({ code: 'invalid_configuration' });
    expect(await failureOf(client.tokens.startLogin({ redirectUri: 'https://app.example.com/' }))).toMatchObject({ code: 'invalid_configuration' });
    expect(server.tokenRequests).toHaveLength(0);
  });
});

/** A store that does as it's told, call by call; then it works. */
class FailingStore extends MapStore {
  readonly failures: ((operation: string) => Promise<unknown>)[] = [];

  override async get(key: string): Promise<unknown> {
    return this.#turn('get', async () => super.get(key));
  }

  override async set(key: string, value: unknown, ttl?: number): Promise<unknown> {
    return this.#turn('set', async () => super.set(key, value, ttl));
  }

  async #turn(operation: string, work: () => Promise<unknown>): Promise<unknown> {
    const [failure] = this.failures;
    const answer = await failure?.(operation);
    if (answer === undefined) return work();
    this.failures.shift();
    if (answer instanceof Error) throw answer;
    return answer;
  }
}

const failsAt = (operation: string, how: unknown) => async (asked: string): Promise<unknown> => Promise.resolve(asked === operation ? how : undefined);
const down = new Error('the store is down');

describe('a store or lock that fails', () => {
  let store: FailingStore;

  beforeEach(() => {
    store = new FailingStore();
    client = webClient(server, { store, encryptionKeys: [newKey()], timeout: 2_000 });
  });

  test.each<[string, FailingStore['failures'][number], string]>([
    ['can\'t be read', failsAt('get', down), 'get'],
    ['can\'t be written', failsAt('set', down), 'set'],
    ['refuses the mark', failsAt('set', false), 'set'],
    ['hangs', failsAt('get', new Promise(() => undefined)), 'get'],
  ])('A3 one that %s: store_failed, nothing is sent; later the callback is as good as before', async (_case, failure, operation) => {
    const login = await loginUnderWay(client);
    store.failures.push(failure);
    expect(await failureOf(client.tokens.completeLogin(login.callback, login.transaction))).toMatchObject({ code: 'store_failed', retryable: true });
    expect(server.tokenRequests).toHaveLength(0);
    expect(client.events['store-failed']).toMatchObject([{ operation, error: { code: 'store_failed' } }]);
    store.failures.length = 0;
    client.clock.advance(500);
    expect(await client.tokens.completeLogin(login.callback, login.transaction)).toHaveProperty('session');
  });

  test.each<[string, Partial<Lock>]>([
    ['is down', { acquire: async () => Promise.reject(down) }],
    ['throws at once', { acquire: () => { throw down; } }],
  ])('A3 a lock that %s: store_failed, and nothing is sent', async (_case, methods) => {
    const lock: Lock = { ...inProcessLock(client.clock), ...methods };
    client = webClient(server, { store, encryptionKeys: [newKey()], lock });
    const login = await loginUnderWay(client);
    expect(await failureOf(client.tokens.completeLogin(login.callback, login.transaction))).toMatchObject({ code: 'store_failed', retryable: true });
    expect(client.events['store-failed']).toMatchObject([{ operation: 'acquire' }]);
    expect(server.tokenRequests).toHaveLength(0);
  });

  test('A3 a lock whose answer takes longer than a call of it may: store_failed, and nothing is spent', async () => {
    const lock = inProcessLock(client.clock);
    const shared: MachineClientOptions = { store, encryptionKeys: [newKey()], clock: client.clock };
    const hasty = webClient(server, { ...shared, timeout: 100, lock: { ...lock, acquire: async (...wanted) => { await delay(150); return lock.acquire(...wanted); } } });
    const login = await loginUnderWay(hasty);
    expect(await failureOf(hasty.tokens.completeLogin(login.callback, login.transaction))).toMatchObject({ code: 'store_failed', retryable: true });
    expect(server.tokenRequests).toHaveLength(0);
    expect(await webClient(server, { ...shared, lock }).tokens.completeLogin(login.callback, login.transaction)).toHaveProperty('session');
  });

  test('a store that fails once while the session is written is asked again: nothing is lost', async () => {
    const login = await loginUnderWay(client);
    let writes = 0;
    store.failures.push(async (operation) => Promise.resolve(operation === 'set' && (writes += 1) === 2 ? down : undefined));
    const { session } = await client.tokens.completeLogin(login.callback, login.transaction);
    expect([writes, (await session.info())?.id]).toEqual([2, session.id]);
    expect(server.revocations).toHaveLength(0);
  });

  test('a session that can\'t be kept: store_failed, and its tokens are revoked', async () => {
    const set: KeyvLike['set'] = async (key, ...value) => (key.startsWith('grantkeeper:session:') ? Promise.reject(down) : store.set(key, ...value));
    client = webClient(server, { store: { get: async (key) => store.get(key), set, delete: async (key) => store.delete(key) }, encryptionKeys: [newKey()] });
    const login = await loginUnderWay(client);
    expect(await failureOf(client.tokens.completeLogin(login.callback, login.transaction))).toMatchObject({ code: 'store_failed', retryable: false });
    const { accessToken, refreshToken } = server.issued.at(-1) ?? {};
    expect(server.revocations).toHaveLength(2);
    expect(server.revocations).toEqual(expect.arrayContaining([{ token: refreshToken, hint: 'refresh_token' }, { token: accessToken, hint: 'access_token' }]));
    expect(server.grants.at(-1)?.alive).toBe(false);
    expect(client.events['store-failed']).toMatchObject([{ operation: 'set' }]);
    client.clock.advance(1_000);
    await expectUsed(login);
  });
});
