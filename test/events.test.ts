import { setImmediate as nextTurn } from 'node:timers/promises';
import type { TokenEvents } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { eventually } from './support/eventually.js';
import { failureOf, thrownBy } from './support/failure.js';
import { machineClient, type MachineClient } from './support/machine-client.js';

const HOUR = 3_600_000;

let server: AuthorizationServer;
let warnings: Error[];
const onWarning = (warning: Error): void => { if (warning.name === 'GrantkeeperWarning') warnings.push(warning); };

beforeEach(async () => {
  server = await startAuthorizationServer();
  warnings = [];
  process.on('warning', onWarning);
});

afterEach(async () => {
  process.off('warning', onWarning);
  await server.close();
});

describe('what listeners are told', () => {
  test('acquired: the grant, when the token expires, and how long it took', async () => {
    const { tokens, clock, events } = machineClient(server);
    const hold = server.hold();
    const sentAt = clock.now();
    const token = tokens.clientCredentials().getToken();
    await hold.arrived;
    clock.advance(1_500);
    hold.release();
    await token;
    expect(events.acquired).toEqual([{ grant: 'client_credentials', expiresAt: sentAt + HOUR, durationMs: 1_500 }]);
    expect(events.refreshed).toEqual([]);
  });

  test('acquired: no expiry where the server names none', async () => {
    const { tokens, events } = machineClient(server);
    server.answersNext({ json: { access_token: 'at', token_type: 'Bearer' } });
    await tokens.clientCredentials().getToken();
    expect(events.acquired).toEqual([{ grant: 'client_credentials', durationMs: 0 }]);
  });

  test('nothing is told of a token that was there already', async () => {
    const { tokens, events } = machineClient(server);
    await tokens.clientCredentials().getToken();
    await tokens.clientCredentials().getToken();
    expect(events.acquired).toHaveLength(1);
  });

  test('refreshed: the token took the place of another', async () => {
    const { tokens, clock, events } = machineClient(server);
    const source = tokens.clientCredentials();
    await source.getToken();
    clock.advance(HOUR);
    await source.getToken();
    expect(events.refreshed).toEqual([{}]);
    expect(events.acquired).toHaveLength(2);
  });

  test('refresh-failed: the error, and whether somebody waited', async () => {
    const { tokens, clock, events } = machineClient(server);
    const source = tokens.clientCredentials();
    await source.getToken();
    server.rejectsNextWith('invalid_scope');
    clock.advance(HOUR - 60_000);
    await source.getToken();
    await eventually(() => events['refresh-failed'].length === 1);
    server.rejectsNextWith('unauthorized_client');
    clock.advance(HOUR);
    const failure = await failureOf(source.getToken());
    expect(events['refresh-failed']).toMatchObject([{ background: true, error: { error: 'invalid_scope' } }, { background: false }]);
    expect(events['refresh-failed'][1]?.error).toBe(failure);
  });

  test('a first token that can\'t be had is the caller\'s to know, not an event', async () => {
    const { tokens, events } = machineClient(server);
    server.rejectsNextWith('invalid_scope');
    await failureOf(tokens.clientCredentials().getToken());
    expect(Object.values(events).flat()).toEqual([]);
  });
});

describe('on', () => {
  test('its answer stops that listener, and only that one', async () => {
    const { tokens } = machineClient(server);
    const [first, second] = [vi.fn(), vi.fn()];
    const off = tokens.on('acquired', first);
    tokens.on('acquired', second);
    off();
    off();
    await tokens.clientCredentials().getToken();
    expect(first).not.toHaveBeenCalled();
    expect(second).toHaveBeenCalledTimes(1);
  });

  test('a listener that was added twice hears twice, and is taken away once at a time', async () => {
    const { tokens } = machineClient(server);
    const listener = vi.fn();
    const off = tokens.on('acquired', listener);
    tokens.on('acquired', listener);
    await tokens.clientCredentials({ scope: 'a' }).getToken();
    expect(listener).toHaveBeenCalledTimes(2);
    off();
    await tokens.clientCredentials({ scope: 'b' }).getToken();
    expect(listener).toHaveBeenCalledTimes(3);
  });

  test('a listener may stop itself', async () => {
    const { tokens } = machineClient(server);
    const [once, other] = [vi.fn(() => { off(); }), vi.fn()];
    const off = tokens.on('acquired', once);
    tokens.on('acquired', other);
    await tokens.clientCredentials({ scope: 'a' }).getToken();
    await tokens.clientCredentials({ scope: 'b' }).getToken();
    expect(once).toHaveBeenCalledTimes(1);
    expect(other).toHaveBeenCalledTimes(2);
  });

  test('a listener that is added by a listener hears the next event, not this one', async () => {
    const { tokens } = machineClient(server);
    const late = vi.fn();
    tokens.on('acquired', () => {
      // Without a bound, a listener that hears of the event it was added in would never end.
      if (late.mock.calls.length < 10) tokens.on('acquired', late);
    });
    await tokens.clientCredentials({ scope: 'a' }).getToken();
    expect(late).not.toHaveBeenCalled();
    await tokens.clientCredentials({ scope: 'b' }).getToken();
    expect(late).toHaveBeenCalledTimes(1);
  });

  test.each(['aquired', 'error', '__proto__', 'constructor', '', undefined])('an unknown event is refused, and the known ones are named: %s', (event) => {
    const { tokens } = machineClient(server);
    const failure = thrownBy(() => tokens.on(event as keyof TokenEvents, () => undefined));
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: false });
    expect(failure.message).toContain(`"${String(event)}"`);
    expect(failure.message).toContain('acquired, refreshed, refresh-failed, token-rejected, session-ended, store-failed');
  });

  test.each([undefined, null, 'listener', {}])('a listener that is no function is refused: %j', (listener) => {
    const { tokens } = machineClient(server);
    const failure = thrownBy(() => tokens.on('acquired', listener as () => void));
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: false });
    expect(failure.message).toContain('"acquired" must be a function');
  });
});

describe('a listener that fails', () => {
  class ListenerBroke extends Error {}

  test.each<[string, () => unknown]>([
    ['throws', () => { throw new ListenerBroke('with a s3cr3t'); }],
    ['rejects', async () => Promise.reject(new ListenerBroke('with a s3cr3t'))],
    ['throws no error', () => { throw 's3cr3t' as unknown as Error; }],
    ['throws nothing', () => { throw undefined as unknown as Error; }],
  ])('that %s is a warning: the caller has its token, the other listeners hear', async (_case, listener) => {
    const { tokens } = machineClient(server);
    const other = vi.fn();
    tokens.on('acquired', listener);
    tokens.on('acquired', other);
    expect(await tokens.clientCredentials().getToken()).toMatchObject({ value: 'at-1' });
    expect(other).toHaveBeenCalledTimes(1);
    await eventually(() => warnings.length === 1);
    await nextTurn();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.message).toContain('"acquired"');
    expect(`${String(warnings[0]?.stack)}${String(warnings[0]?.message)}`).not.toContain('s3cr3t');
  });

  test('names its class', async () => {
    const { tokens } = machineClient(server);
    tokens.on('acquired', () => { throw new ListenerBroke(); });
    await tokens.clientCredentials().getToken();
    await eventually(() => warnings.length === 1);
    expect(warnings[0]?.message).toContain('ListenerBroke');
  });

  test('does not change a failure either', async () => {
    const { tokens, clock } = machineClient(server);
    tokens.on('refresh-failed', () => { throw new ListenerBroke(); });
    const source = tokens.clientCredentials();
    await source.getToken();
    clock.advance(HOUR);
    server.rejectsNextWith('invalid_scope');
    expect(await failureOf(source.getToken())).toMatchObject({ error: 'invalid_scope' });
    await eventually(() => warnings.length === 1);
  });
});

test('a listener may ask for a token', async () => {
  const client: MachineClient = machineClient(server);
  const source = client.tokens.clientCredentials({ scope: 'a' });
  const heard: Promise<unknown>[] = [];
  client.tokens.on('acquired', () => heard.push(source.getToken()));
  const token = await source.getToken();
  expect(await Promise.all(heard)).toEqual([token]);
  expect(server.tokenRequests).toHaveLength(1);
});
