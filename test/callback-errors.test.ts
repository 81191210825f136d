import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { failureOf } from './support/failure.js';
import { loginUnderWay, type LoginUnderWay } from './support/login-under-way.js';
import type { MachineClient, MachineClientOptions } from './support/machine-client.js';
import { submitLogin } from './support/user-agent.js';
import { REDIRECT_URI, webClient } from './support/web-client.js';

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
});

async function denied(error = 'access_denied', description?: string): Promise<LoginUnderWay> {
  server.deniesNextLoginWith(error, description);
  return loginUnderWay(client);
}

describe('A5 an error of the authorization server', () => {
  test('A5 with the right state is authorization_failed, and carries the error', async () => {
    const { callback, transaction } = await denied('access_denied', 'The user said no');
    const failure = await failureOf(client.tokens.completeLogin(callback, transaction));
    expect(failure).toMatchObject({ code: 'authorization_failed', retryable: false, error: 'access_denied', errorDescription: 'The user said no' });
    expect(failure.message).toBe('The authorization server ended the login with "access_denied"');
    expect(server.tokenRequests).toHaveLength(0);
  });

  test.each(['invalid_request', 'unauthorized_client', 'unsupported_response_type', 'invalid_scope', 'server_error', 'temporarily_unavailable', 'login_required', 'interaction_required', 'consent_required'])('A5 %s', async (error) => {
    const { callback, transaction } = await denied(error);
    const failure = await failureOf(client.tokens.completeLogin(callback, transaction));
    expect(failure).toMatchObject({ code: 'authorization_failed', error });
    expect(failure).not.toHaveProperty('errorDescription');
  });

  test('A5 in a form', async () => {
    server.deniesNextLoginWith('access_denied', 'The user said "no" & left');
    const { url, transaction } = await client.tokens.startLogin({ redirectUri: REDIRECT_URI, parameters: { response_mode: 'form_post' } });
    expect(await failureOf(client.tokens.completeLogin(await submitLogin(url), transaction))).toMatchObject({ error: 'access_denied', errorDescription: 'The user said "no" & left' });
  });

  test.each([
    ['wrong', { state: 'A'.repeat(43) }],
    ['missing', { state: undefined }],
  ])('A5 with a %s state is invalid_callback, and says nothing of the error', async (_case, change) => {
    const login = await denied('access_denied', 'markup of an attacker');
    const failure = await failureOf(client.tokens.completeLogin(login.callbackWith(change), login.transaction));
    expect(failure.code).toBe('invalid_callback');
    expect(failure.message).not.toMatch(/access_denied|markup/);
    expect([failure.error, failure.errorDescription]).toEqual([undefined, undefined]);
  });

  test('A5 wins over a code that stands beside it', async () => {
    const login = await loginUnderWay(client);
    expect(await failureOf(client.tokens.completeLogin(login.callbackWith({ error: 'access_denied' }), login.transaction))).toMatchObject({ code: 'authorization_failed' });
    expect(server.tokenRequests).toHaveLength(0);
  });

  test('A5 spends nothing: the user goes back and says yes', async () => {
    const login = await loginUnderWay(client);
    const no = login.callbackWith({ code: undefined, error: 'access_denied' });
    for (let times = 0; times < 2; times += 1) expect((await failureOf(client.tokens.completeLogin(no, login.transaction))).code).toBe('authorization_failed');
    expect(await client.tokens.completeLogin(login.callback, login.transaction)).toHaveProperty('session');
  });

  test('A5 has no line breaks for a log, and no end', async () => {
    const login = await denied('a\r\nb\u0000\u001b[31m', `x\n${'y'.repeat(5_000)}`);
    const failure = await failureOf(client.tokens.completeLogin(login.callback, login.transaction));
    expect([failure.error, failure.errorDescription?.slice(0, 5), failure.errorDescription?.length]).toEqual(['a b [31m', 'x yyy', 1_000]);
    const long = await denied('e'.repeat(5_000));
    const { error, message } = await failureOf(client.tokens.completeLogin(long.callback, long.transaction));
    expect([error?.length, message.length < 250]).toEqual([100, true]);
  });

  test('A5 does not give away what the request held: the state and the nonce are replaced', async () => {
    const { url, transaction } = await client.tokens.startLogin({ redirectUri: REDIRECT_URI });
    const [state, nonce] = ['state', 'nonce'].map((name) => url.searchParams.get(name) ?? '') as [string, string];
    const callback = `/callback?${new URLSearchParams({ state, iss: server.issuer, error: `bad_${nonce}`, error_description: `request?state=${state}&nonce=${nonce}` }).toString()}`;
    const failure = await failureOf(client.tokens.completeLogin(callback, transaction));
    expect(failure).toMatchObject({ code: 'authorization_failed', error: 'bad_[redacted]', errorDescription: 'request?state=[redacted]&nonce=[redacted]' });
  });
});

describe('A6 the issuer of a callback (RFC 9207)', () => {
  const other = 'https://other.example.com';
  const silent = { authorization_response_iss_parameter_supported: undefined };

  /** The client's idea of the server; `iss` is what the callback then says. */
  async function outcome(metadata: Record<string, unknown>, iss: string | undefined, change: Record<string, string | undefined> = {}): Promise<string> {
    const options: MachineClientOptions = { server: { ...server.metadata, ...metadata } };
    client = webClient(server, options);
    const login = await loginUnderWay(client, { scope: 'read' });
    const callback = login.callbackWith({ iss, ...change });
    return client.tokens.completeLogin(callback, login.transaction).then(() => 'completed', (thrown: unknown) => (thrown as { code: string }).code);
  }

  test.each<[string, Record<string, unknown>, () => string | undefined, string]>([
    ['right, and promised', {}, () => server.issuer, 'completed'],
    ['right, though nobody promised it', silent, () => server.issuer, 'completed'],
    ['missing, where nobody promised it', silent, () => undefined, 'completed'],
    ['missing, where it\'s promised not to come', { authorization_response_iss_parameter_supported: false }, () => undefined, 'completed'],
    ['missing, though promised', {}, () => undefined, 'invalid_callback'],
    ['empty, though promised', {}, () => '', 'invalid_callback'],
    ['empty, where nobody promised it', silent, () => '', 'invalid_callback'],
    ['another\'s', {}, () => other, 'invalid_callback'],
    ['another\'s, where nobody promised one', silent, () => other, 'invalid_callback'],
    ['the same but for a slash', {}, () => `${server.issuer}/`, 'invalid_callback'],
    ['the same but for its letters', {}, () => server.issuer.toUpperCase(), 'invalid_callback'],
    ['there, where the issuer is not known', { ...silent, issuer: undefined }, () => server.issuer, 'completed'],
  ])('A6 %s', async (_case, metadata, iss, expected) => {
    expect(await outcome(metadata, iss())).toBe(expected);
    expect(server.tokenRequests).toHaveLength(expected === 'completed' ? 1 : 0);
  });

  test.each<[string, () => string | undefined, string]>([
    ['right', () => server.issuer, 'authorization_failed'],
    ['missing', () => undefined, 'invalid_callback'],
    ['another\'s', () => other, 'invalid_callback'],
  ])('A6 on an error callback too: %s', async (_case, iss, expected) => {
    expect(await outcome({}, iss(), { code: undefined, error: 'access_denied' })).toBe(expected);
  });

  test('A6 says what is wrong, and nothing of what came', async () => {
    const login = await loginUnderWay(client);
    const wrong = await failureOf(client.tokens.completeLogin(login.callbackWith({ iss: other }), login.transaction));
    expect(wrong.message).toBe('The callback can\'t complete this login: it comes from another authorization server (`iss`)');
    const missing = await failureOf(client.tokens.completeLogin(login.callbackWith({ iss: undefined }), login.transaction));
    expect(missing.message).toContain('it does not name its issuer (`iss`), though the authorization server promises to');
  });

  test('A6 by the metadata that are discovered', async () => {
    client = webClient(server, { issuer: server.issuer });
    const login = await loginUnderWay(client);
    expect((await failureOf(client.tokens.completeLogin(login.callbackWith({ iss: other }), login.transaction))).code).toBe('invalid_callback');
    expect(await client.tokens.completeLogin(login.callback, login.transaction)).toHaveProperty('session');
  });
});
