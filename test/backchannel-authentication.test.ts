import { createTokenManager, backchannelAuthentication, type BackchannelAuthenticationRequest, type DecoupledLogin, type Session, type TokenManager } from 'grantkeeper';
import { decodeJwt } from 'jose';
import type * as oidc from 'oidc-provider';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { rejection } from './support/token-server.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { everySpelling, textsOf } from './support/canary.js';
import { ManualClock } from './support/clock.js';
import { deferred } from './support/deferred.js';
import { failureOf, thrownBy } from './support/failure.js';
import { record } from './support/machine-client.js';
import { startOidcProvider, type OidcProvider } from './support/oidc-provider.js';

const GRANT_TYPE = 'urn:openid:params:grant-type:ciba';
const SECRET = 'an-ordinary.secret_1';
const INTERVAL = 5_000;

/** Real servers answer in real time, whatever the timers do. */
const timersStandStill = (): void => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });

afterEach(() => { vi.useRealTimers(); });

describe('at a real authorization server', () => {
  let provider: OidcProvider;
  let clock: ManualClock;
  let tokens: TokenManager;
  /** Who was asked on their own device, and what they were shown. */
  let asked: { request: oidc.BackchannelAuthenticationRequest; accountId: string }[];
  let errors: typeof oidc.errors;

  beforeAll(async () => {
    provider = await startOidcProvider({
      accessTokenTtl: 60,
      clients: [{ client_id: 'bank', client_secret: SECRET, grant_types: [GRANT_TYPE, 'refresh_token'], response_types: [], redirect_uris: [], backchannel_token_delivery_mode: 'poll', backchannel_user_code_parameter: true }],
      configuration: {
        acrValues: ['phr'],
        features: {
          ciba: {
            enabled: true,
            deliveryModes: ['poll'],
            processLoginHint: (_ctx, hint) => hint === 'nobody@example.com' ? undefined : `user of ${hint ?? ''}`,
            processLoginHintToken: (_ctx, token) => `user of the token ${token ?? ''}`,
            validateBindingMessage: () => undefined,
            validateRequestContext: () => undefined,
            verifyUserCode: (_ctx, _account, code) => {
              if (code === 'wrong') throw new errors.InvalidUserCode();
            },
            triggerAuthenticationDevice: (_ctx, request, account) => { asked.push({ request, accountId: account.accountId }); },
          },
        },
      },
    });
    // It warns of Node 20 when it's loaded, which was done quietly.
    ({ errors } = await import('oidc-provider'));
  });
  afterAll(async () => { await provider.close(); });
  beforeEach(() => {
    asked = [];
    clock = new ManualClock(Date.now());
    tokens = createTokenManager({ issuer: provider.issuer, clientId: 'bank', clientSecret: SECRET, clock, allowInsecureRequests: true });
  });

  const startLogin = async (request: Partial<BackchannelAuthenticationRequest> = {}): Promise<DecoupledLogin> =>
    tokens.startDecoupledLogin(backchannelAuthentication({ scope: 'openid offline_access read', loginHint: 'user@example.com', parameters: { prompt: 'consent' }, ...request }));

  const lastAsked = (): (typeof asked)[number] => {
    const last = asked.at(-1);
    if (last === undefined) throw new Error('nobody was asked');
    return last;
  };

  const approve = async (): Promise<void> => {
    const { request, accountId } = lastAsked();
    const grant = new provider.provider.Grant({ accountId, clientId: 'bank' });
    grant.addOIDCScope('openid offline_access');
    grant.addResourceScope('https://api.example.com', 'read');
    await grant.save();
    await provider.provider.backchannelResult(request, grant, { authTime: Math.floor(Date.now() / 1_000), acr: 'phr' });
  };

  const signIn = async (request: Partial<BackchannelAuthenticationRequest> = {}): Promise<Session> => {
    const login = await startLogin(request);
    await approve();
    timersStandStill();
    const completed = login.completed();
    await vi.advanceTimersByTimeAsync(INTERVAL);
    const { session } = await completed;
    vi.useRealTimers();
    return session;
  };

  test('the user is asked on their own device, and the session is there once they have approved', async () => {
    const events = record(tokens);
    const login = await startLogin({ bindingMessage: 'W4SCT', acrValues: 'phr', requestedExpiry: 120, userCode: '4711' });
    expect(login).toEqual({ expiresAt: clock.now() + 120_000, interval: INTERVAL, completed: expect.any(Function) as () => void });
    expect(asked).toMatchObject([{ accountId: 'user of user@example.com', request: { params: { binding_message: 'W4SCT', acr_values: 'phr', requested_expiry: '120', user_code: '4711', login_hint: 'user@example.com', scope: 'openid offline_access read' } } }]);

    timersStandStill();
    const pending = deferred<unknown>();
    const completed = login.completed({ onPending: pending.resolve });
    await vi.advanceTimersByTimeAsync(INTERVAL);
    expect(await pending.promise).toEqual({ expiresAt: login.expiresAt, interval: INTERVAL });
    await approve();
    await vi.advanceTimersByTimeAsync(INTERVAL);
    const { session } = await completed;

    expect(await session.info()).toMatchObject({ claims: { iss: provider.issuer, sub: 'user of user@example.com', aud: 'bank' } });
    expect(decodeJwt((await session.getToken()).value)).toMatchObject({ sub: 'user of user@example.com', client_id: 'bank', scope: 'read' });
    expect(events.acquired).toMatchObject([{ grant: GRANT_TYPE }]);
  });

  test('R1 the session is refreshed as any other', async () => {
    const session = await signIn();
    const first = await session.getToken();
    clock.advance(60_000);
    expect((await session.getToken()).value).not.toBe(first.value);
  });

  test('the user may be named by a token, or by an ID token', async () => {
    await signIn({ loginHint: undefined, loginHintToken: 'of-a-partner' });
    expect(lastAsked().accountId).toBe('user of the token of-a-partner');

    let idToken = '';
    provider.provider.once('grant.success', ({ body }) => { idToken = (body as { id_token: string }).id_token; });
    await signIn();
    await signIn({ loginHint: undefined, idTokenHint: idToken });
    expect(lastAsked().accountId).toBe('user of user@example.com');
  });

  test('A5 a user who says no: `authorization_failed` with what the server said', async () => {
    const login = await startLogin();
    await provider.provider.backchannelResult(lastAsked().request, new errors.AccessDenied('The user said no'));
    timersStandStill();
    const failure = failureOf(login.completed());
    await vi.advanceTimersByTimeAsync(INTERVAL);
    expect(await failure).toMatchObject({ code: 'authorization_failed', error: 'access_denied', retryable: false });
  });

  test.each<[string, Partial<BackchannelAuthenticationRequest>, string]>([
    ['a user whom nobody knows', { loginHint: 'nobody@example.com' }, 'unknown_user_id'],
    ['a wrong user code', { userCode: 'wrong' }, 'invalid_user_code'],
  ])('%s: the refusal comes as it is', async (_case, request, error) => {
    const failure = await failureOf(startLogin(request));
    expect(failure).toMatchObject({ code: 'token_request_failed', error, retryable: false });
    expect(failure.message).toContain('The backchannel authentication endpoint refused the request');
  });
});

describe('at a server that does as it is told', () => {
  let server: AuthorizationServer;
  const answer = { auth_req_id: 'req-1', expires_in: 600 };

  beforeAll(async () => { server = await startAuthorizationServer(); });
  afterAll(async () => { await server.close(); });
  beforeEach(() => { server.at('/ciba').answersEvery({ json: answer }); });

  const client = (): TokenManager => createTokenManager({
    server: { ...JSON.parse(JSON.stringify(server.metadata)) as typeof server.metadata, backchannel_authentication_endpoint: `${server.origin}/ciba` },
    clientId: 'bank', clientSecret: SECRET, clock: new ManualClock(), allowInsecureRequests: true,
  });
  const request = { scope: 'openid', loginHint: 'user@example.com' };

  test('what is sent: the client\'s proof, and what was asked for', async () => {
    await client().startDecoupledLogin(backchannelAuthentication({ ...request, parameters: { request_context: '{}' } }));
    const { headers, body } = server.requests.at(-1) ?? {};
    expect(headers?.authorization).toMatch(/^Basic /);
    expect(Object.fromEntries(new URLSearchParams(body?.toString()))).toEqual({ client_id: 'bank', scope: 'openid', login_hint: 'user@example.com', request_context: '{}' });
  });

  test('what is polled with', async () => {
    timersStandStill();
    const failure = failureOf((await client().startDecoupledLogin(backchannelAuthentication(request))).completed());
    server.answersNext(rejection('expired_token'));
    await vi.advanceTimersByTimeAsync(INTERVAL);
    expect(await failure).toMatchObject({ code: 'login_expired' });
    expect(Object.fromEntries(server.lastTokenRequest.parameters)).toEqual({ grant_type: GRANT_TYPE, auth_req_id: 'req-1' });
  });

  test('there is nothing to show, whatever the answer has', async () => {
    server.at('/ciba').answersNext({ json: { ...answer, user_code: 'ABC', verification_uri: 'https://login.example.com', interval: '7' } });
    const login = await client().startDecoupledLogin(backchannelAuthentication(request));
    expect(Object.keys(login).sort()).toEqual(['completed', 'expiresAt', 'interval']);
    expect(login.interval).toBe(7_000);
  });

  test('an answer without `auth_req_id` is refused', async () => {
    server.at('/ciba').answersNext({ json: { expires_in: 600 } });
    const failure = await failureOf(client().startDecoupledLogin(backchannelAuthentication(request)));
    expect(failure).toMatchObject({ code: 'invalid_response', message: 'The backchannel authentication endpoint answered with HTTP 200, but its `auth_req_id` is missing or not a text' });
  });

  test('metadata without the endpoint, said before anything is sent', async () => {
    const tokens = createTokenManager({ server: server.metadata, clientId: 'bank', clientSecret: SECRET, allowInsecureRequests: true });
    const failure = await failureOf(tokens.startDecoupledLogin(backchannelAuthentication(request)));
    expect(failure.code).toBe('invalid_configuration');
    expect(failure.message).toContain('have no `backchannel_authentication_endpoint`');
  });

  test.each<[string, unknown, string]>([
    ['nothing', undefined, 'the options must be an object; received nothing'],
    ['no `openid`', { loginHint: 'user@example.com', scope: 'read' }, '`scope` must have `openid` in it'],
    ['no scope', { loginHint: 'user@example.com' }, '`scope` must have `openid` in it'],
    ['a scope that only looks like it', { loginHint: 'user@example.com', scope: 'openid2' }, '`scope` must have `openid` in it'],
    ['nobody', { scope: 'openid' }, 'one of `loginHint`, `loginHintToken` and `idTokenHint` is required, and only one'],
    ['two hints', { ...request, idTokenHint: 'e30.e30.e30' }, 'one of `loginHint`, `loginHintToken` and `idTokenHint` is required, and only one'],
    ['an empty hint', { ...request, loginHint: '' }, '`loginHint` must be a non-empty string; received ""'],
    ['no time', { ...request, requestedExpiry: 0 }, '`requestedExpiry` must be a whole number of seconds above 0; received 0'],
    ['half a second', { ...request, requestedExpiry: 0.5 }, '`requestedExpiry` must be a whole number of seconds above 0; received 0.5'],
    ['a parameter with an option', { ...request, parameters: { login_hint: 'other' } }, '`parameters.login_hint` is reserved: use the option of backchannelAuthentication'],
    ['a wish to be notified', { ...request, parameters: { client_notification_token: 'x' } }, '`parameters.client_notification_token` is reserved: the server is polled'],
    ['another option', { ...request, hint: 'x' }, 'unknown option `hint`'],
  ])('bad input: %s', (_case, options, message) => {
    const failure = thrownBy(() => backchannelAuthentication(options as BackchannelAuthenticationRequest));
    expect(failure.code).toBe('invalid_configuration');
    expect(failure.message).toContain(`backchannelAuthentication: ${message}`);
  });

  const canary = { id: 'authReqIdC4nary+/é', hint: 'h1ntTokenCanary-_.~+/==', userCode: 'us3rCodeCanary+/é' };
  const spellings = Object.values(canary).flatMap((secret) => everySpelling(secret).map(([, spelling]) => spelling));
  const unseen = (...values: unknown[]): string[] => {
    const texts = values.flatMap(textsOf).join('\n');
    return spellings.filter((spelling) => texts.includes(spelling));
  };

  /** One at a time: a text that holds a long one is dropped whole, and would hide the others. */
  const refusalsOf = (secret: string): ReturnType<typeof rejection>[] => everySpelling(secret).map(([, spelling]) => rejection(`it was ${spelling}`, 400, `it was ${spelling}`));

  test.each<[string, Partial<BackchannelAuthenticationRequest>, string]>([
    ['loginHintToken', { loginHintToken: canary.hint }, canary.hint],
    ['idTokenHint', { idTokenHint: canary.hint }, canary.hint],
    ['userCode', { loginHint: 'user@example.com', userCode: canary.userCode }, canary.userCode],
  ])('S1 the %s is seen neither in the flow nor in a refusal that echoes it', async (_name, options, secret) => {
    const flow = backchannelAuthentication({ scope: 'openid', ...options });
    expect(unseen(flow)).toEqual([]);
    for (const refusal of refusalsOf(secret)) {
      server.at('/ciba').answersNext(refusal);
      expect(unseen(await failureOf(client().startDecoupledLogin(flow)))).toEqual([]);
    }
  });

  test('S1 what stands for the login is seen neither in it, nor in a refusal that echoes it', async () => {
    const tokens = client();
    for (const refusal of refusalsOf(canary.id)) {
      server.at('/ciba').answersNext({ json: { ...answer, auth_req_id: canary.id } });
      const login = await tokens.startDecoupledLogin(backchannelAuthentication(request));
      server.answersNext(refusal);
      timersStandStill();
      const failure = failureOf(login.completed());
      await vi.advanceTimersByTimeAsync(INTERVAL);
      expect(unseen(login, await failure, tokens)).toEqual([]);
      vi.useRealTimers();
    }
  });

  test.each(['loginHintToken', 'idTokenHint', 'userCode'] as const)('S1 a %s that is none is not shown', (name) => {
    const failure = thrownBy(() => backchannelAuthentication({ ...request, [name]: [canary.hint] as never }));
    expect(unseen(failure)).toEqual([]);
  });
});
