import { setImmediate as nextTurn } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';
import { setFlagsFromString } from 'node:v8';
import { createFetch, type AccessToken, type TokenSource } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { hang } from './support/answers.js';
import { startApi } from './support/api-server.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { eventually } from './support/eventually.js';
import { machineClient, requestsHaveComeIn } from './support/machine-client.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

let server: AuthorizationServer;

beforeEach(async () => {
  server = await startAuthorizationServer();
});

afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  await server.close();
});

function many<T>(count: number, make: (index: number) => Promise<T>): Promise<T>[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

async function reasonOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(() => { throw new Error('it was expected to fail'); }, (reason: unknown) => reason);
}

describe('C1 one flight', () => {
  test('C1 10,000 cold callers cost one token request', async () => {
    const { tokens } = machineClient(server);
    const callers = await Promise.all(many(10_000, async () => tokens.clientCredentials({ scope: 'read' }).getToken()));
    expect(new Set(callers).size).toBe(1);
    expect(server.tokenRequests).toHaveLength(1);
    expect(server.issuedTokens).toEqual(['at-1']);
  });

  test('C1 10,000 cold callers share one failure', async () => {
    const source = machineClient(server).tokens.clientCredentials();
    server.rejectsNextWith('unsupported_grant_type');
    const reasons = await Promise.all(many(10_000, async () => reasonOf(source.getToken())));
    expect(new Set(reasons).size).toBe(1);
    expect(reasons[0]).toMatchObject({ code: 'token_request_failed', error: 'unsupported_grant_type' });
    expect(server.tokenRequests).toHaveLength(1);
  });

  test.each<[string, Parameters<AuthorizationServer['answersNext']>[0]]>([
    ['unsupported_grant_type', { status: 400, json: { error: 'unsupported_grant_type' } }],
    ['invalid_request', { status: 400, json: { error: 'invalid_request' } }],
    ['an answer that is no token', { json: { access_token: 1 } }],
    ['a redirect', { status: 302, headers: { location: '/' } }],
  ])('C1 after %s the next caller starts afresh', async (_failure, answer) => {
    const source = machineClient(server).tokens.clientCredentials();
    server.answersNext(answer);
    await expect(source.getToken()).rejects.toMatchObject({ retryable: false });
    expect((await source.getToken()).value).toBe('at-1');
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('C1 callers who come while the answer is on its way join the flight', async () => {
    const source = machineClient(server).tokens.clientCredentials();
    const hold = server.hold();
    const first = source.getToken();
    await hold.arrived;
    const second = source.getToken();
    hold.release();
    expect(await second).toBe(await first);
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('C1 a cold start with discovery costs one discovery and one token request', async () => {
    const { tokens } = machineClient(server, { issuer: server.issuer });
    await Promise.all([...many(100, async () => tokens.clientCredentials({ scope: 'a' }).getToken()), ...many(100, async () => tokens.clientCredentials({ scope: 'b' }).getToken())]);
    expect(server.discoveryRequests).toHaveLength(1);
    expect(server.tokenRequests).toHaveLength(2);
  });
});

describe('C2 aborts', () => {
  test("C2 the first caller's abort fails only the first caller", async () => {
    const source = machineClient(server).tokens.clientCredentials();
    const hold = server.hold();
    const controller = new AbortController();
    const first = reasonOf(source.getToken({ signal: controller.signal }));
    const others = many(3, async () => source.getToken());
    await hold.arrived;
    const reason = { why: 'I changed my mind' };
    controller.abort(reason);
    expect(await first).toBe(reason);
    hold.release();
    expect(new Set((await Promise.all(others)).map(({ value }) => value))).toEqual(new Set(['at-1']));
    expect(server.tokenRequests).toHaveLength(1);
  });

  test("C2 a waiter's abort fails only that waiter", async () => {
    const source = machineClient(server).tokens.clientCredentials();
    const hold = server.hold();
    const controller = new AbortController();
    const first = source.getToken();
    const second = reasonOf(source.getToken({ signal: controller.signal }));
    await hold.arrived;
    controller.abort();
    expect(await second).toBe(controller.signal.reason);
    hold.release();
    expect((await first).value).toBe('at-1');
  });

  test('C2 with every caller gone the result is still cached', async () => {
    const { tokens, events } = machineClient(server);
    const source = tokens.clientCredentials();
    const hold = server.hold();
    const controller = new AbortController();
    const callers = many(5, async () => reasonOf(source.getToken({ signal: controller.signal })));
    await hold.arrived;
    controller.abort();
    await Promise.all(callers);
    hold.release();
    await eventually(() => events.acquired.length === 1);
    expect((await source.getToken()).value).toBe('at-1');
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('C2 with every caller gone a failure reaches nobody, and retries go on', async () => {
    const { tokens, events } = machineClient(server);
    const hold = server.hold();
    const controller = new AbortController();
    const caller = reasonOf(tokens.clientCredentials().getToken({ signal: controller.signal }));
    await hold.arrived;
    controller.abort();
    await caller;
    hold.release({ status: 503 });
    await eventually(() => events.acquired.length === 1);
  });

  test('C2 a signal that was aborted before gives its reason, and nothing is sent', async () => {
    const source = machineClient(server).tokens.clientCredentials();
    expect(await reasonOf(source.getToken({ signal: AbortSignal.abort('before') }))).toBe('before');
    await requestsHaveComeIn(server);
    expect(server.tokenRequests).toHaveLength(0);
    await source.getToken();
    expect(await reasonOf(source.getToken({ signal: AbortSignal.abort('before') }))).toBe('before');
  });

  test('C2 a signal that many calls share keeps no listener of theirs', async () => {
    const source = machineClient(server).tokens.clientCredentials();
    const { signal } = new AbortController();
    let listening = 0;
    const add = vi.spyOn(signal, 'addEventListener').mockImplementation(() => { listening += 1; });
    const remove = vi.spyOn(signal, 'removeEventListener').mockImplementation(() => { listening -= 1; });
    for (let calls = 0; calls < 20; calls += 1) await source.getToken({ signal });
    expect(listening).toBe(0);
    expect(add.mock.calls.length).toBe(remove.mock.calls.length);
  });
});

describe('C4 keys side by side', () => {
  test('C4 flights that land in another order than they left never serve another key', async () => {
    server.answersEvery(({ parameters }) => ({ json: { access_token: `for-${parameters.get('scope') ?? ''}`, token_type: 'Bearer', expires_in: 60 } }));
    const holds = [server.hold(), server.hold(), server.hold()];
    const { tokens } = machineClient(server);
    const scopes = ['a', 'b', 'c'];
    const waiting = scopes.map((scope) => many(10, async () => tokens.clientCredentials({ scope }).getToken()));
    await server.tokenRequestArrives(3);
    for (const hold of holds.reverse()) {
      hold.release();
      await nextTurn();
    }
    for (const [index, scope] of scopes.entries()) {
      expect(new Set((await Promise.all(waiting[index] ?? [])).map((token) => token.value))).toEqual(new Set([`for-${scope}`]));
    }
    expect(server.tokenRequests).toHaveLength(3);
  });

  test('C4 a key that fails does not fail another', async () => {
    const { tokens } = machineClient(server, { retry: { limit: 0 } });
    server.answersEvery(({ parameters, }) => parameters.get('scope') === 'bad' ? { status: 503 } : { json: { access_token: 'good', token_type: 'Bearer', expires_in: 60 } });
    await Promise.all([
      expect(tokens.clientCredentials({ scope: 'bad' }).getToken()).rejects.toMatchObject({ status: 503 }),
      expect(tokens.clientCredentials({ scope: 'good' }).getToken()).resolves.toMatchObject({ value: 'good' }),
    ]);
    expect((await tokens.clientCredentials({ scope: 'other' }).getToken()).value).toBe('good');
  });

  test('C4 two managers share nothing', async () => {
    const [one, other] = [machineClient(server), machineClient(server)];
    const tokens = await Promise.all([one.tokens.clientCredentials().getToken(), other.tokens.clientCredentials().getToken()]);
    expect(new Set(tokens.map(({ value }) => value))).toEqual(new Set(['at-1', 'at-2']));
  });
});

describe('C5 in the refresh-ahead window', () => {
  test('C5 everyone gets the current token at once, and one request goes out in the background', async () => {
    const { tokens, clock, events } = machineClient(server);
    const source = tokens.clientCredentials();
    const current = await source.getToken();
    clock.advance(HOUR - MINUTE);
    const hold = server.hold();
    // While the request is held, whoever would wait for it would never end.
    for (const token of await Promise.all(many(1_000, async () => source.getToken()))) expect(token).toBe(current);
    await hold.arrived;
    expect(await source.getToken()).toBe(current);
    hold.release();
    await eventually(() => events.refreshed.length === 1);
    expect((await source.getToken()).value).toBe('at-2');
    expect(server.tokenRequests).toHaveLength(2);
    expect(events['refresh-failed']).toEqual([]);
  });

  test('C5 who must have another token joins the request in the background', async () => {
    const { tokens, clock } = machineClient(server);
    const source = tokens.clientCredentials();
    await source.getToken();
    clock.advance(HOUR - MINUTE);
    const hold = server.hold();
    await source.getToken();
    await hold.arrived;
    clock.advance(MINUTE);
    const waiting = many(10, async () => source.getToken());
    hold.release();
    for (const token of await Promise.all(waiting)) expect(token.value).toBe('at-2');
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('C5 the new token is served from its arrival on, the old one to nobody', async () => {
    const { tokens, clock, events } = machineClient(server);
    const source = tokens.clientCredentials();
    await source.getToken();
    clock.advance(HOUR - MINUTE);
    await source.getToken();
    await eventually(() => events.refreshed.length === 1);
    clock.advance(MINUTE);
    expect((await source.getToken()).value).toBe('at-2');
    clock.advance(40 * MINUTE);
    expect((await source.getToken()).value).toBe('at-2');
    expect(server.tokenRequests).toHaveLength(2);
  });
});

describe('a refused token', () => {
  test('F7 100 callers who were refused the same token cost one token request', async () => {
    const source = machineClient(server).tokens.clientCredentials();
    const rejected = await source.getToken();
    const replaced = await Promise.all(many(100, async () => source.getToken({ rejected })));
    expect(new Set(replaced.map(({ value }) => value))).toEqual(new Set(['at-2']));
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('F6 refusals that come one after the other cost one token request', async () => {
    const { tokens, clock } = machineClient(server);
    const source = tokens.clientCredentials();
    const rejected = await source.getToken();
    for (let calls = 0; calls < 10; calls += 1) {
      expect((await source.getToken({ rejected })).value).toBe('at-2');
      clock.advance(100);
    }
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('F5 a refusal of a token that was replaced meanwhile gets the current one, without a request', async () => {
    const { tokens, clock } = machineClient(server);
    const source = tokens.clientCredentials();
    const old = await source.getToken();
    clock.advance(HOUR);
    const current = await source.getToken();
    expect(await source.getToken({ rejected: old })).toBe(current);
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('F7 who comes after a refusal gets the new token too', async () => {
    const source = machineClient(server).tokens.clientCredentials();
    const rejected = await source.getToken();
    const hold = server.hold();
    const [refused, other] = [source.getToken({ rejected }), source.getToken()];
    await hold.arrived;
    hold.release();
    expect(await other).toBe(await refused);
  });

  test('F5 a flight that departed before the refusal and brings the refused token back is not the answer', async () => {
    const { tokens, clock } = machineClient(server);
    const source = tokens.clientCredentials();
    const rejected = await source.getToken();
    clock.advance(HOUR - MINUTE);
    const hold = server.hold();
    await source.getToken();
    await hold.arrived;
    const waiting = many(5, async () => source.getToken({ rejected }));
    await nextTurn();
    hold.release({ json: { access_token: rejected.value, token_type: 'Bearer', expires_in: 3600 } });
    for (const token of await Promise.all(waiting)) expect(token.value).toBe('at-2');
    expect(server.tokenRequests).toHaveLength(3);
  });

  test('F5 a server that issues the refused token again ends it after one request', async () => {
    const source = machineClient(server).tokens.clientCredentials();
    const rejected = await source.getToken();
    server.answersEvery({ json: { access_token: rejected.value, token_type: 'Bearer', expires_in: 3600 } });
    for (let calls = 0; calls < 20; calls += 1) expect((await source.getToken({ rejected })).value).toBe(rejected.value);
    expect(server.tokenRequests.length).toBeLessThanOrEqual(3);
  });

  test('F5 a token that this process never had is taken at its word', async () => {
    const source = machineClient(server).tokens.clientCredentials();
    const foreign: AccessToken = { value: 'of another process', type: 'Bearer', parameters: {} };
    expect((await source.getToken({ rejected: foreign })).value).toBe('at-1');
    expect((await source.getToken({ rejected: foreign })).value).toBe('at-1');
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('R8 with `rejected` and a failing request that call rejects; callers without it still get the valid token', async () => {
    const { tokens, events } = machineClient(server, { retry: { limit: 0 } });
    const source = tokens.clientCredentials();
    const rejected = await source.getToken();
    server.answersEvery({ status: 503 });
    await expect(source.getToken({ rejected })).rejects.toMatchObject({ status: 503 });
    expect(await source.getToken()).toBe(rejected);
    await expect(source.getToken({ rejected })).rejects.toMatchObject({ status: 503 });
    expect(await source.getToken()).toBe(rejected);
    expect(server.tokenRequests).toHaveLength(2);
    expect(events['refresh-failed']).toMatchObject([{ background: false, error: { status: 503 } }]);
  });

  test('R8 callers without it need not even wait while the replacement is under way and fails', async () => {
    const { tokens } = machineClient(server, { retry: { limit: 0 } });
    const source = tokens.clientCredentials();
    const rejected = await source.getToken();
    const hold = server.hold();
    const [refused, other] = [reasonOf(source.getToken({ rejected })), source.getToken()];
    await hold.arrived;
    hold.release({ status: 503 });
    expect(await refused).toMatchObject({ status: 503 });
    expect(await other).toBe(rejected);
  });
});

describe('F15 persistent refusals', () => {
  test('F15 a replacement that is refused too is kept 1 s, then 2 s, doubled up to a minute', async () => {
    const { tokens, clock } = machineClient(server);
    const source = tokens.clientCredentials();
    server.expiresIn = 24 * 3600;
    let refused = await source.getToken();
    refused = await source.getToken({ rejected: refused });
    expect(refused.value).toBe('at-2');
    for (const pause of [1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * SECOND)) {
      const before = server.tokenRequests.length;
      expect(await source.getToken({ rejected: refused })).toBe(refused);
      clock.advance(pause - 1);
      expect(await source.getToken({ rejected: refused })).toBe(refused);
      expect(server.tokenRequests).toHaveLength(before);
      clock.advance(1);
      const next = await source.getToken({ rejected: refused });
      expect(next.value).not.toBe(refused.value);
      expect(server.tokenRequests).toHaveLength(before + 1);
      refused = next;
    }
  });

  test('F15 token requests thin out, however many calls an API refuses', async () => {
    await using api = await startApi();
    api.acceptsOnly(() => false);
    const { tokens, clock } = machineClient(server);
    server.expiresIn = 24 * 3600;
    const call = createFetch(tokens.clientCredentials(), { baseUrl: api.origin, allowInsecureRequests: true });
    for (let second = 0; second < 300; second += 1) {
      const response = await call('/');
      expect(response.status).toBe(401);
      await response.body?.cancel();
      clock.advance(SECOND);
    }
    // At 0 (twice), 1, 3, 7, 15, 31, 63, and from there on every minute.
    expect(server.tokenRequests.length).toBeLessThanOrEqual(13);
    expect(server.tokenRequests.length).toBeGreaterThanOrEqual(9);
  });

  test('F15 a replacement that an API accepted is replaced at once when it is refused', async () => {
    await using api = await startApi();
    const { tokens } = machineClient(server);
    const call = createFetch(tokens.clientCredentials(), { baseUrl: api.origin, allowInsecureRequests: true });
    let accepted = 'at-1';
    api.acceptsOnly((token) => token === accepted);
    expect((await call('/')).status).toBe(200);
    for (let round = 2; round <= 6; round += 1) {
      accepted = `at-${round}`;
      expect((await call('/')).status).toBe(200);
    }
    expect(server.tokenRequests).toHaveLength(6);
  });

  test('F15 a token that came at its time is replaced at once, whatever was refused before', async () => {
    const { tokens, clock } = machineClient(server);
    const source = tokens.clientCredentials();
    const first = await source.getToken();
    await source.getToken({ rejected: first });
    clock.advance(HOUR);
    const third = await source.getToken();
    expect(third.value).toBe('at-3');
    expect((await source.getToken({ rejected: third })).value).toBe('at-4');
  });
});

describe('C8 memory is bounded', () => {
  test('C8 100,000 distinct keys do not grow past maxEntries', () => {
    const { tokens } = machineClient(server, { maxEntries: 500 });
    const sources = Array.from({ length: 100_000 }, (_, index) => new WeakRef(tokens.clientCredentials({ scope: `s${index}` })));
    return eventually(() => {
      collectGarbage();
      const alive = sources.filter((source) => source.deref() !== undefined).length;
      expect(alive).toBeGreaterThan(0);
      expect(alive).toBeLessThanOrEqual(510);
    });
  });

  test('C8 neither do their tokens', async () => {
    let issued = 0;
    vi.stubGlobal('fetch', () => Promise.resolve(Response.json({ access_token: `at-${++issued}`, token_type: 'Bearer', expires_in: 3600 })));
    const { tokens } = machineClient(server, { maxEntries: 100 });
    const kept: WeakRef<AccessToken>[] = [];
    for (let batch = 0; batch < 20; batch += 1) {
      const got = await Promise.all(many(100, async (index) => tokens.clientCredentials({ scope: `s${batch}-${index}` }).getToken()));
      kept.push(...got.map((token) => new WeakRef(token)));
    }
    expect(issued).toBe(2_000);
    await eventually(() => {
      collectGarbage();
      expect(kept.filter((token) => token.deref() !== undefined).length).toBeLessThanOrEqual(110);
    });
  });

  test('C8 the least recently used goes first', async () => {
    const { tokens } = machineClient(server, { maxEntries: 2 });
    const [a, b] = [tokens.clientCredentials({ scope: 'a' }), tokens.clientCredentials({ scope: 'b' })];
    await a.getToken();
    await b.getToken();
    await a.getToken();
    await tokens.clientCredentials({ scope: 'c' }).getToken();
    expect(server.tokenRequests).toHaveLength(3);
    await a.getToken();
    expect(server.tokenRequests).toHaveLength(3);
    await b.getToken();
    expect(server.tokenRequests).toHaveLength(4);
  });

  test('C8 a source whose entry went goes on working, and never beside another of its key', async () => {
    const { tokens } = machineClient(server, { maxEntries: 1 });
    const old = tokens.clientCredentials({ scope: 'a' });
    await old.getToken();
    await tokens.clientCredentials({ scope: 'b' }).getToken();
    const again = tokens.clientCredentials({ scope: 'a' });
    const both = await Promise.all([old, again].map(async (source: TokenSource) => source.getToken()));
    expect(both[0]).toBe(both[1]);
    expect(server.tokenRequests).toHaveLength(3);
  });

  test('C8 a flight whose entry went is still joined, and its token kept', async () => {
    const { tokens } = machineClient(server, { maxEntries: 1 });
    const hold = server.hold();
    const first = tokens.clientCredentials({ scope: 'a' }).getToken();
    await hold.arrived;
    await tokens.clientCredentials({ scope: 'b' }).getToken();
    const second = tokens.clientCredentials({ scope: 'a' }).getToken();
    hold.release();
    expect(await second).toBe(await first);
    expect(await tokens.clientCredentials({ scope: 'a' }).getToken()).toBe(await first);
    expect(server.tokenRequests).toHaveLength(2);
  });
});

describe('closing', () => {
  test('close waits for the request that was sent, and its caller gets the token', async () => {
    const { tokens } = machineClient(server);
    const hold = server.hold();
    const waiting = tokens.clientCredentials().getToken();
    await hold.arrived;
    let closed = false;
    const closing = tokens.close().then(() => { closed = true; });
    await nextTurn();
    expect(closed).toBe(false);
    hold.release();
    await closing;
    expect((await waiting).value).toBe('at-1');
  });

  test('close sends no further token request: no new one, none ahead of time, no retry', async () => {
    const { tokens, clock } = machineClient(server);
    const source = tokens.clientCredentials({ scope: 'a' });
    const current = await source.getToken();
    const hold = server.hold();
    const retried = reasonOf(tokens.clientCredentials({ scope: 'b' }).getToken());
    await hold.arrived;
    const closing = tokens.close();
    hold.release({ status: 503 });
    expect(await retried).toMatchObject({ status: 503 });
    await closing;
    expect(server.tokenRequests).toHaveLength(2);

    expect(await reasonOf(tokens.clientCredentials({ scope: 'c' }).getToken())).toMatchObject({ code: 'invalid_configuration' });
    clock.advance(HOUR - MINUTE);
    expect(await source.getToken()).toBe(current);
    await requestsHaveComeIn(server);
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('close takes no longer than the timeout', async () => {
    const { tokens } = machineClient(server, { timeout: 300 });
    server.answersEvery(hang());
    const waiting = reasonOf(tokens.clientCredentials().getToken());
    await server.tokenRequestArrives();
    await tokens.close();
    expect(await waiting).toMatchObject({ code: 'timeout' });
  });
});

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
