import type { Dialect, TokenManager } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { inProcessLock } from '../src/cache/in-process-lock.js';
import { systemClock } from '../src/clock.js';
import { Hold } from './support/answers.js';
import { ManualClock } from './support/clock.js';
import { failureOf } from './support/failure.js';
import { record } from './support/machine-client.js';
import { MapStore } from './support/map-store.js';
import { begin, peculiarManager, startEndpoint, type ScriptedEndpoint } from './support/peculiar-session.js';
import { REDIRECT_URI } from './support/web-client.js';

const HOUR = 3_600_000;
const encryptionKeys = ['A'.repeat(43)];

let server: ScriptedEndpoint;

beforeEach(async () => {
  server = await startEndpoint();
});

afterEach(async () => {
  await server.close();
});

const members = { token_type: 'Bearer', expires_in: 3600 };
const sent = (name: string): (string | null)[] => server.asked.map(({ parameters }) => parameters.get(name));

const selfRenewing: Dialect = { refreshRequest: { grantType: 'ig_refresh_token', method: 'GET', names: { refresh_token: 'access_token' } }, tokenResponse: { names: { refresh_token: 'access_token' } } };

describe('P7 a token that renews itself', () => {
  beforeEach(() => {
    server.answers = () => ({ json: { ...members, access_token: `at-${server.asked.length}` } });
  });

  test('P7 R1 100 concurrent callers at its end: one refresh, with the newest', async () => {
    const { tokens, clock } = peculiarManager(server, selfRenewing);
    const session = await begin(tokens);
    for (const round of [2, 3]) {
      clock.advance(HOUR);
      const all = await Promise.all(Array.from({ length: 100 }, async () => session.getToken()));
      expect(new Set(all.map(({ value }) => value))).toEqual(new Set([`at-${round}`]));
    }
    expect(sent('access_token')).toEqual([null, 'at-1', 'at-2']);
  });

  test('P7 M1 two processes on one store: one refresh, and the other\'s result is adopted', async () => {
    const shared = { store: new MapStore(), encryptionKeys, clock: new ManualClock() };
    const [one, other] = [peculiarManager(server, selfRenewing, shared).tokens, peculiarManager(server, selfRenewing, shared).tokens];
    const session = await begin(one);
    shared.clock.advance(HOUR);
    const all = await Promise.all([...Array.from({ length: 10 }, async () => session.getToken()), ...Array.from({ length: 10 }, async () => other.session(session.id).getToken())]);
    expect(new Set(all.map(({ value }) => value))).toEqual(new Set(['at-2']));
    shared.clock.advance(HOUR);
    expect(await other.session(session.id).getToken()).toHaveProperty('value', 'at-3');
    expect(sent('access_token')).toEqual([null, 'at-1', 'at-2']);
  });

  test('P7 R3 refused while another process has written: that one\'s is adopted', async () => {
    const shared = { store: new MapStore(), encryptionKeys, clock: new ManualClock() };
    // Locks of their own, as on two machines whose common one was lost.
    const client = (): TokenManager => peculiarManager(server, selfRenewing, { ...shared, lock: inProcessLock(systemClock) }).tokens;
    const loser = client();
    const session = await begin(loser);
    shared.clock.advance(HOUR);
    const hold = new Hold();
    const usual = server.answers;
    server.answers = () => hold;
    const refused = session.getToken();
    await hold.arrived;
    server.answers = usual;
    const won = await client().session(session.id).getToken();
    hold.release({ status: 400, json: { error: 'invalid_grant' } });
    expect((await refused).value).toBe(won.value);
  });

  test('P7 a dead one ends the session, later calls cost nothing', async () => {
    const { tokens, clock } = peculiarManager(server, { ...selfRenewing, tokenResponse: { ...selfRenewing.tokenResponse, errors: { 190: 'invalid_grant' }, names: { refresh_token: 'access_token', error: 'error.code' } } });
    const session = await begin(tokens);
    const events = record(tokens);
    server.answers = () => ({ status: 400, json: { error: { code: 190 } } });
    clock.advance(HOUR);
    for (let call = 0; call < 3; call += 1) expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required' });
    expect(server.asked).toHaveLength(2);
    expect(events['session-ended']).toEqual([{ sessionId: session.id, reason: expect.any(String) as string }]);
  });

  test('P7 the store shows neither of its two roles', async () => {
    const store = new MapStore();
    await begin(peculiarManager(server, selfRenewing, { store, encryptionKeys }).tokens);
    expect(JSON.stringify([...store.entries])).not.toContain('at-1');
  });
});

describe('P7 an exchange right after the login', () => {
  const exchanging: Dialect = { ...selfRenewing, exchangeRequest: { grantType: 'ig_exchange_token' } };

  test('P7 nobody sees the first token, and what only its answer has is kept', async () => {
    const { tokens, clock } = peculiarManager(server, { exchangeRequest: {} });
    server.answers = ({ parameters }) => ({ json: parameters.get('grant_type') === 'authorization_code' ? { ...members, access_token: 'short', refresh_token: 'rt-1', scope: 'a b', user_id: 17 } : { ...members, access_token: `at-${server.asked.length}`, rank: 1 } });
    const session = await begin(tokens);
    expect(await session.getToken()).toMatchObject({ value: 'at-2', scope: 'a b', parameters: { user_id: 17, rank: 1 } });
    clock.advance(HOUR);
    expect(await session.getToken()).toMatchObject({ value: 'at-3', scope: 'a b', parameters: { user_id: 17, rank: 1 } });
    expect(sent('refresh_token')).toEqual([null, 'rt-1', 'rt-1']);
  });

  test('P7 where it fails, what the code had brought is revoked', async () => {
    server.answers = ({ path, parameters }) => (path === '/revoke' ? { status: 200 } : parameters.get('grant_type') === 'authorization_code' ? { json: { ...members, access_token: 'short' } } : { status: 400, json: { error: 'invalid_request' } });
    const { tokens } = peculiarManager(server, exchanging, { server: { token_endpoint: `${server.origin}/token`, authorization_endpoint: `${server.origin}/authorize`, revocation_endpoint: `${server.origin}/revoke` } });
    expect(await failureOf(begin(tokens))).toMatchObject({ code: 'token_request_failed', error: 'invalid_request' });
    expect(server.asked.map(({ path, parameters }) => [path, parameters.get('token')])).toEqual([['/token', null], ['/token', null], ['/revoke', 'short']]);
  });

  test('P7 it renews what it gave', async () => {
    server.answers = () => ({ json: { ...members, access_token: `at-${server.asked.length}` } });
    const { tokens, clock } = peculiarManager(server, exchanging);
    const session = await begin(tokens);
    clock.advance(HOUR);
    expect(await session.getToken()).toHaveProperty('value', 'at-3');
    expect(sent('grant_type')).toEqual(['authorization_code', 'ig_exchange_token', 'ig_refresh_token']);
    expect(sent('access_token')).toEqual([null, 'at-1', 'at-2']);
  });

  test('P7 one that fails: no session, and the code is never sent again', async () => {
    const { tokens } = peculiarManager(server, exchanging);
    server.answers = ({ parameters }) => parameters.get('grant_type') === 'authorization_code' ? { json: { ...members, access_token: 'short' } } : { status: 503 };
    const { state, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI });
    expect(await failureOf(tokens.completeLogin(`?code=code-1&state=${state}`, transaction))).toMatchObject({ code: 'token_request_failed', status: 503, retryable: false });
    expect(await failureOf(tokens.completeLogin(`?code=code-1&state=${state}`, transaction))).toMatchObject({ code: 'callback_already_used' });
    expect(server.asked).toHaveLength(2);
  });

  test('P7 a first answer with nothing to exchange says what to declare', async () => {
    server.answers = () => ({ json: { ...members, access_token: 'short' } });
    expect(await failureOf(begin(peculiarManager(server, { exchangeRequest: {} }).tokens))).toMatchObject({ code: 'invalid_response', message: expect.stringContaining('dialect.tokenResponse.names.refresh_token') as string });
  });
});

describe('P8 what the login left', () => {
  const keeping = (origin: string): Dialect => ({ authorizationResponse: { keep: ['realm'] }, refreshRequest: { endpoint: `${origin}/{realm}/refresh`, parameters: { realm: '{realm}' } } });

  test('P8 survives refreshes, other processes and restarts', async () => {
    const shared = { store: new MapStore(), encryptionKeys, clock: new ManualClock() };
    const process = (): TokenManager => peculiarManager(server, keeping(server.origin), shared).tokens;
    server.answers = () => ({ json: { ...members, access_token: `at-${server.asked.length}`, refresh_token: `rt-${server.asked.length}`, ...(server.asked.length === 1 && { api_domain: 'https://api.example.com', tier: 1 }), ...(server.asked.length === 2 && { tier: 2 }) } });
    const first = process();
    const session = await begin(first, { realm: 'eu', other: 'not kept' });
    expect((await session.getToken()).parameters).toEqual({ realm: 'eu', api_domain: 'https://api.example.com', tier: 1 });
    await first.close();
    for (const count of [2, 3, 4]) {
      shared.clock.advance(HOUR);
      const next = process();
      const token = await next.session(session.id).getToken();
      expect(token).toMatchObject({ value: `at-${count}`, parameters: { realm: 'eu', api_domain: 'https://api.example.com', tier: 2 } });
      expect(server.asked.at(-1)).toMatchObject({ path: '/eu/refresh' });
      expect(server.asked.at(-1)?.parameters.get('realm')).toBe('eu');
      await next.close();
    }
  });

  test('P8 a session that began before something was kept waits for a dialect that does without, and loses nothing', async () => {
    const shared = { store: new MapStore(), encryptionKeys, clock: new ManualClock() };
    const session = await begin(peculiarManager(server, {}, shared).tokens);
    shared.clock.advance(HOUR);
    const { tokens } = peculiarManager(server, keeping(server.origin), shared);
    for (let call = 0; call < 3; call += 1) expect(await failureOf(tokens.session(session.id).getToken())).toMatchObject({ code: 'invalid_callback', message: expect.stringContaining('`realm`') as string });
    expect(server.asked).toHaveLength(1);
    expect(await peculiarManager(server, {}, shared).tokens.session(session.id).getToken()).toHaveProperty('value', 'at-2');
  });

  test('P8 what the login\'s answer has goes before it, also after refreshes that leave it out', async () => {
    server.answers = () => ({ json: { ...members, access_token: `at-${server.asked.length}`, refresh_token: 'rt-1', ...(server.asked.length === 1 && { realm: 'of the server' }) } });
    const { tokens, clock } = peculiarManager(server, { authorizationResponse: { keep: ['realm'] } });
    const session = await begin(tokens, { realm: 'of the callback' });
    clock.advance(HOUR);
    expect(await session.getToken()).toMatchObject({ value: 'at-2', parameters: { realm: 'of the server' } });
  });

  test('P8 a token in it is not handed out, nor after it was replaced', async () => {
    server.answers = () => ({ json: { ...members, access_token: `at-${server.asked.length}`.padEnd(12, '-'), refresh_token: 'rt-1' } });
    const { tokens, clock } = peculiarManager(server, { authorizationResponse: { keep: ['realm'] } });
    const session = await begin(tokens, { realm: 'at-1--------' });
    clock.advance(HOUR);
    expect((await session.getToken()).parameters).toEqual({});
  });

  test('P8 a token in it is not handed out', async () => {
    server.answers = () => ({ json: { ...members, access_token: 'at-1', realm: 'at-1' } });
    const session = await begin(peculiarManager(server, { authorizationResponse: { keep: ['realm'] } }).tokens, { realm: 'at-1' });
    expect((await session.getToken()).parameters).toEqual({});
  });
});
