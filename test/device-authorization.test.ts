import { createLocalJWKSet, decodeJwt, jwtVerify, type JSONWebKeySet } from 'jose';
import { clientSecretBasic, createTokenManager, deviceAuthorization, none, type DecoupledFlow, type DecoupledLogin, type KeyvLike, type PendingLogin, type Session, type TokenManager, type TokenManagerOptions, type TokenRequest } from 'grantkeeper';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { hang, lose, type Reply } from './support/answers.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { everySpelling, textsOf } from './support/canary.js';
import { runProgram } from './support/child-process.js';
import { ManualClock } from './support/clock.js';
import { CookieUserAgent } from './support/cookie-user-agent.js';
import { deferred } from './support/deferred.js';
import { eventually } from './support/eventually.js';
import { failureOf, thrownBy } from './support/failure.js';
import { record, type RecordedEvents } from './support/machine-client.js';
import { startOidcProvider, type OidcProvider } from './support/oidc-provider.js';
import { rejection } from './support/token-server.js';

const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:device_code';
const SECRET = 'an-ordinary.secret_1';
const INTERVAL = 5_000;

/** Real servers answer in real time, whatever the timers do. */
const timersStandStill = (): void => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe('at a real authorization server', () => {
  let provider: OidcProvider;
  let clock: ManualClock;

  beforeAll(async () => {
    const device = { grant_types: [GRANT_TYPE, 'refresh_token'], response_types: [], redirect_uris: [] };
    provider = await startOidcProvider({
      accessTokenTtl: 60,
      clients: [
        { ...device, client_id: 'tv', token_endpoint_auth_method: 'none' },
        { ...device, client_id: 'kiosk', client_secret: SECRET },
        { ...device, client_id: 'bound', token_endpoint_auth_method: 'none', dpop_bound_access_tokens: true },
      ],
      configuration: {
        features: {
          deviceFlow: { enabled: true, userCodeInputSource: (ctx, form) => { ctx.body = form; }, successSource: (ctx) => { ctx.body = 'signed in'; } },
          dPoP: { enabled: true },
        },
      },
    });
  });
  afterAll(async () => { await provider.close(); });
  beforeEach(() => {
    clock = new ManualClock(Date.now());
    provider.interactions.subject = 'user-1';
  });

  const client = (options: Partial<TokenManagerOptions> = {}): TokenManager =>
    createTokenManager({ issuer: provider.issuer, clientId: 'tv', ...options.clientSecret === undefined && { clientAuthentication: none() }, clock, allowInsecureRequests: true, ...options });

  const startLogin = async (tokens: TokenManager, request: TokenRequest = {}): Promise<DecoupledLogin> =>
    tokens.startDecoupledLogin(deviceAuthorization({ scope: 'openid offline_access read', parameters: { prompt: 'consent' }, ...request }));

  /** The user's part, on a device of their own: goes to the address, enters the code, signs in, and says yes or no. */
  const decide = async ({ verificationUri = '', userCode = '' }: DecoupledLogin): Promise<string> =>
    new CookieUserAgent(provider.issuer).submits(verificationUri, { user_code: userCode, confirm: 'yes' });

  const signIn = async (tokens: TokenManager, request: TokenRequest = {}): Promise<Session> => {
    const login = await startLogin(tokens, request);
    await decide(login);
    timersStandStill();
    const completed = login.completed();
    await vi.advanceTimersByTimeAsync(login.interval);
    const { session } = await completed;
    vi.useRealTimers();
    return session;
  };

  test('the user is shown a code and an address, and the session is there once they have approved', async () => {
    const tokens = client();
    const events = record(tokens);
    const login = await startLogin(tokens);
    expect(login).toEqual({
      userCode: expect.stringMatching(/^[A-Z]{4}-[A-Z]{4}$/) as string,
      verificationUri: `${provider.issuer}/device`,
      verificationUriComplete: `${provider.issuer}/device?user_code=${login.userCode ?? ''}`,
      expiresAt: clock.now() + 600_000,
      interval: INTERVAL,
      completed: expect.any(Function) as () => void,
    });
    expect(Object.isFrozen(login)).toBe(true);

    timersStandStill();
    const pending = deferred<PendingLogin>();
    const completed = login.completed({ onPending: pending.resolve });
    await vi.advanceTimersByTimeAsync(INTERVAL);
    expect(await pending.promise).toEqual({ expiresAt: login.expiresAt, interval: INTERVAL });
    await decide(login);
    await vi.advanceTimersByTimeAsync(INTERVAL);
    const { session } = await completed;

    expect(await session.info()).toMatchObject({ id: session.id, claims: { iss: provider.issuer, sub: 'user-1', aud: 'tv' } });
    const keys = createLocalJWKSet(await (await fetch(`${provider.issuer}/jwks`)).json() as JSONWebKeySet);
    const { payload } = await jwtVerify((await session.getToken()).value, keys, { issuer: provider.issuer, audience: 'https://api.example.com', typ: 'at+jwt' });
    expect(payload).toMatchObject({ sub: 'user-1', client_id: 'tv', scope: 'read' });
    expect(events.acquired).toMatchObject([{ grant: GRANT_TYPE }]);
  });

  test('R1 the session is refreshed as any other', async () => {
    const session = await signIn(client());
    const first = await session.getToken();
    clock.advance(60_000);
    const second = await session.getToken();
    expect(second.value).not.toBe(first.value);
    expect(decodeJwt(second.value).sub).toBe('user-1');
  });

  test('a client with a secret proves itself at both endpoints', async () => {
    const session = await signIn(client({ clientId: 'kiosk', clientSecret: SECRET }));
    expect(decodeJwt((await session.getToken()).value)).toMatchObject({ client_id: 'kiosk' });
    const wrong = client({ clientId: 'kiosk', clientAuthentication: clientSecretBasic('wrong-s3cret') });
    const failure = await failureOf(startLogin(wrong));
    expect(failure).toMatchObject({ code: 'token_request_failed', error: 'invalid_client', status: 401 });
    expect(failure.message).toMatch(/^The device authorization endpoint refused the request with HTTP 401/);
  });

  test('without `openid` there are no claims, and without `offline_access` no refresh', async () => {
    const session = await signIn(client(), { scope: 'read' });
    expect(await session.info()).not.toHaveProperty('claims');
    clock.advance(60_000);
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required' });
  });

  test('the tokens are for the resource that was asked for (RFC 8707)', async () => {
    const session = await signIn(client(), { resource: 'https://invoices.example.com/' });
    expect(decodeJwt((await session.getToken()).value).aud).toBe('https://invoices.example.com/');
  });

  test('the tokens of a login are bound to one key, those of its refreshes too (RFC 9449)', async () => {
    const session = await signIn(client({ clientId: 'bound', dpop: true }));
    const first = await session.getToken();
    clock.advance(60_000);
    const second = await session.getToken();
    const [jkt, other] = [first, second].map(({ value }) => (decodeJwt(value)['cnf'] as { jkt: string }).jkt);
    expect([first.type, second.type, other]).toEqual(['DPoP', 'DPoP', jkt]);
  });

  test('A5 a user who says no: `authorization_failed` with what the server said', async () => {
    const login = await startLogin(client());
    provider.interactions.deniesNextConsent();
    await decide(login);
    timersStandStill();
    const failure = failureOf(login.completed());
    await vi.advanceTimersByTimeAsync(INTERVAL);
    expect(await failure).toMatchObject({ code: 'authorization_failed', error: 'access_denied', errorDescription: 'The user said no', retryable: false });
  });

  test('A4 a user who comes too late: `login_expired`', async () => {
    const login = await startLogin(client());
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], now: Date.now() + 3_600_000 });
    const failure = failureOf(login.completed());
    await vi.advanceTimersByTimeAsync(INTERVAL);
    expect(await failure).toMatchObject({ code: 'login_expired', error: 'expired_token', retryable: false });
  });
});

/** A server of stubs, where every timer and clock is faked: what is asked when can be told to the millisecond. */
describe('the pace', () => {
  const START = Date.UTC(2026, 0, 1);
  const tokens = { access_token: 'at-1', token_type: 'Bearer', refresh_token: 'rt-1' };
  type Answer = () => Response | Promise<Response>;
  const pending: Answer = () => Response.json({ error: 'authorization_pending' }, { status: 400 });
  const slowDown: Answer = () => Response.json({ error: 'slow_down' }, { status: 400 });
  const busy = (status: number, retryAfter?: string): Answer => () => new Response(null, { status, headers: retryAfter === undefined ? {} : { 'retry-after': retryAfter } });
  const broken: Answer = () => { throw new TypeError('fetch failed'); };
  const approved: Answer = () => Response.json(tokens);

  /** Seconds after the start at which the token endpoint was asked. */
  let asked: number[];
  const seconds = (): number => (Date.now() - START) / 1_000;

  beforeEach(() => {
    asked = [];
    vi.useFakeTimers({ now: START, toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'] });
  });

  const startLogin = async (answers: Answer[], { members = {}, ...options }: Partial<TokenManagerOptions> & { members?: Record<string, unknown> } = {}): Promise<DecoupledLogin> => {
    vi.stubGlobal('fetch', async (address: string, { signal }: { signal?: AbortSignal } = {}) => {
      if (address.endsWith('/device')) return Response.json({ device_code: 'dc-1', user_code: 'WDJB-MJHT', verification_uri: 'https://login.example.com/activate', expires_in: 600, ...members });
      if (address.endsWith('/revoke')) return new Response();
      asked.push(seconds());
      return (answers.shift() ?? pending).call(signal);
    });
    const server = { token_endpoint: 'https://login.example.com/token', device_authorization_endpoint: 'https://login.example.com/device', revocation_endpoint: 'https://login.example.com/revoke' };
    return createTokenManager({ server, clientId: 'tv', clientAuthentication: none(), ...options }).startDecoupledLogin(deviceAuthorization());
  };

  /** Time passes until the login is over; what came of it, and when. */
  const outcomeOf = async (login: DecoupledLogin): Promise<{ at: number; outcome: unknown }> => {
    let over: { at: number; outcome: unknown } | undefined;
    const settled = (outcome: unknown): void => { over = { at: seconds(), outcome }; };
    login.completed().then(settled, settled);
    while (over === undefined) await vi.advanceTimersToNextTimerAsync();
    return over;
  };

  test.each<[unknown, number]>([
    [undefined, 5],
    [null, 5],
    [1, 1],
    [2.5, 2.5],
    ['7', 7],
    [' 7 ', 7],
    [0, 1],
    [-1, 5],
    ['', 5],
    ['soon', 5],
    [true, 5],
    [{}, 5],
  ])('an `interval` of %j: %d s before each request, the first one too', async (interval, expected) => {
    const login = await startLogin([pending, pending, approved], { members: { interval } });
    expect(login.interval).toBe(expected * 1_000);
    const { outcome } = await outcomeOf(login);
    expect(outcome).toHaveProperty('session');
    expect(asked).toEqual([expected, 2 * expected, 3 * expected]);
  });

  test('not a millisecond sooner', async () => {
    const login = await startLogin([pending]);
    const completed = login.completed();
    completed.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(4_999);
    expect(asked).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(asked).toEqual([5]);
  });

  test('each `slow_down` adds 5 s, for good', async () => {
    const login = await startLogin([pending, slowDown, pending, slowDown, pending, approved]);
    const told: number[] = [];
    const completed = login.completed({ onPending: ({ interval }) => told.push(interval) });
    await vi.advanceTimersByTimeAsync(100_000);
    await completed;
    expect(asked).toEqual([5, 10, 20, 30, 45, 60]);
    expect(told).toEqual([5_000, 10_000, 10_000, 15_000, 15_000]);
  });

  test.each<[string, Answer]>([
    ['a network that fails', broken],
    ['503', busy(503)],
    ['500', busy(500)],
    ['429', busy(429)],
    ['408', busy(408)],
    ['a page that stands in for the server', () => new Response('<html>maintenance')],
  ])('%s: asked again after pauses that double, to a minute at most, and at the usual pace once there was an answer', async (_case, failing) => {
    const login = await startLogin([pending, failing, failing, failing, failing, failing, pending, approved]);
    const { outcome } = await outcomeOf(login);
    expect(outcome).toHaveProperty('session');
    expect(asked).toEqual([5, 10, 20, 40, 80, 140, 200, 205]);
  });

  test('a server that never answers: each request has the time of the option `timeout`, and then it counts as a failure', async () => {
    const silent: Answer = async function silent(this: AbortSignal) {
      return new Promise((_, reject) => { this.addEventListener('abort', () => { reject(this.reason as Error); }); });
    };
    const login = await startLogin([silent, approved], { timeout: 3_000 });
    const { outcome } = await outcomeOf(login);
    expect(outcome).toHaveProperty('session');
    expect(asked.map(Math.round)).toEqual([5, 5 + 3 + 10]);
  });

  test('T4 Retry-After is waited for where it is longer, of whatever answer it is', async () => {
    const hurried: Answer = () => Response.json({ error: 'slow_down' }, { status: 429, headers: { 'retry-after': '30' } });
    const login = await startLogin([busy(503, '60'), busy(503, '1'), hurried, pending, approved]);
    await outcomeOf(login);
    expect(asked).toEqual([5, 65, 85, 115, 125]);
  });

  test('T4 and never longer than the option `retry.maxRetryAfter`', async () => {
    const { outcome } = await outcomeOf(await startLogin([busy(503, '86400'), approved], { retry: { maxRetryAfter: 20_000 } }));
    expect(outcome).toHaveProperty('session');
    expect(asked).toEqual([5, 25]);
  });

  test('callers that wait for less than the interval, one after the other, are no reason not to ask', async () => {
    const login = await startLogin([approved]);
    for (const at of [2, 4]) {
      const controller = new AbortController();
      const gone = login.completed({ signal: controller.signal }).catch((thrown: unknown) => thrown);
      await vi.advanceTimersByTimeAsync(2_000);
      controller.abort('gone');
      expect(await gone).toBe('gone');
      expect(seconds()).toBe(at);
    }
    expect((await outcomeOf(login)).outcome).toHaveProperty('session');
    expect(asked).toEqual([5]);
  });

  test.each<[string, Answer]>([
    ['a 200 with the error in it', () => Response.json({ error: 'authorization_pending' })],
    ['a 428', () => Response.json({ error: 'authorization_pending' }, { status: 428 })],
    ['a form', () => new Response('error=authorization_pending', { headers: { 'content-type': 'application/x-www-form-urlencoded' } })],
    ['a 500 with the error in it', () => Response.json({ error: 'authorization_pending' }, { status: 500 })],
  ])('`authorization_pending` is that in %s too', async (_case, answer) => {
    const { outcome } = await outcomeOf(await startLogin([answer, approved]));
    expect(outcome).toHaveProperty('session');
    expect(asked).toEqual([5, 10]);
  });

  test('A4 when the time is up nothing more is asked: `login_expired`', async () => {
    const login = await startLogin([], { members: { expires_in: 12 } });
    expect(login.expiresAt).toBe(START + 12_000);
    const { at, outcome } = await outcomeOf(login);
    expect(outcome).toMatchObject({ code: 'login_expired', retryable: false });
    expect([at, asked]).toEqual([12, [5, 10]]);
  });

  test('A4 a request that would be due at the last moment is not sent', async () => {
    const { at } = await outcomeOf(await startLogin([], { members: { expires_in: '10' } }));
    expect([at, asked]).toEqual([10, [5]]);
  });

  test('A4 a clock that is behind the timers: a request that would be due too late is not sent', async () => {
    const login = await startLogin([], { clock: new ManualClock(START), members: { expires_in: 3 } });
    const { at, outcome } = await outcomeOf(login);
    expect(outcome).toMatchObject({ code: 'login_expired' });
    expect([at, asked]).toEqual([3, []]);
  });

  test('A4 a login that nobody waited for until it was over: not a single request', async () => {
    const login = await startLogin([], { members: { expires_in: 12 } });
    await vi.advanceTimersByTimeAsync(13_000);
    expect((await outcomeOf(login)).outcome).toMatchObject({ code: 'login_expired' });
    expect(asked).toEqual([]);
  });

  test('A4 a machine that slept: the time is up by the wall clock', async () => {
    const clock = new ManualClock(START);
    const login = await startLogin([], { clock, members: { expires_in: 600 } });
    const failure = failureOf(login.completed());
    clock.suspend(600_000);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await failure).toMatchObject({ code: 'login_expired' });
    expect(asked).toEqual([]);
  });

  test('what kept the server from being asked until the time was up is the cause', async () => {
    const { outcome } = await outcomeOf(await startLogin([pending, broken], { members: { expires_in: 12 } }));
    expect(outcome).toMatchObject({ code: 'login_expired', cause: { code: 'server_unreachable' } });
    const { outcome: quiet } = await outcomeOf(await startLogin([broken, pending], { members: { expires_in: 17 } }));
    expect(quiet).not.toHaveProperty('cause');
  });

  test.each<[unknown, number]>([[undefined, 600], ['900', 900], [null, 600], [0, 0], [-5, 0]])('an `expires_in` of %j: %d s', async (expiresIn, expected) => {
    expect((await startLogin([], { members: { expires_in: expiresIn } })).expiresAt).toBe(START + expected * 1_000);
  });

  test.each<[string, Answer, object]>([
    ['`expired_token`', () => Response.json({ error: 'expired_token' }, { status: 400 }), { code: 'login_expired', error: 'expired_token' }],
    ['`access_denied`', () => Response.json({ error: 'access_denied', error_description: 'No.' }, { status: 403 }), { code: 'authorization_failed', error: 'access_denied', errorDescription: 'No.', status: 403 }],
    ['`invalid_grant`', () => Response.json({ error: 'invalid_grant' }, { status: 400 }), { code: 'token_request_failed', error: 'invalid_grant' }],
    ['an error of its own', () => Response.json({ error: 'odd' }, { status: 400 }), { code: 'token_request_failed', error: 'odd' }],
    ['tokens without a type', () => Response.json({ access_token: 'at-1' }), { code: 'invalid_response' }],
  ])('%s ends it, and is what everybody is told from then on', async (_case, answer, expected) => {
    const login = await startLogin([answer, approved]);
    const { outcome } = await outcomeOf(login);
    expect(outcome).toMatchObject({ ...expected, retryable: false });
    expect(await login.completed().catch((thrown: unknown) => thrown)).toBe(outcome);
    expect(asked).toEqual([5]);
  });

  test('a secret that can\'t be had ends the waiting, not the login', async () => {
    let calls = 0;
    const clientSecret = (): string => {
      calls += 1;
      if (calls === 2) throw new RangeError();
      return `secret-${calls}`;
    };
    const wrong: Answer = () => Response.json({ error: 'invalid_client' }, { status: 401 });
    const login = await startLogin([wrong, approved], { clientAuthentication: undefined, clientSecret });
    expect((await outcomeOf(login)).outcome).toMatchObject({ code: 'invalid_configuration', retryable: true });
    expect((await outcomeOf(login)).outcome).toHaveProperty('session');
    expect(asked).toEqual([5, 10]);
  });

  test('nothing is left behind: neither a timer nor a listener', async () => {
    const login = await startLogin([pending, approved]);
    const listening = new Set<unknown>();
    const [add, remove] = (['addEventListener', 'removeEventListener'] as const).map((name) => vi.spyOn(AbortSignal.prototype, name));
    add?.mockImplementation(function add(this: AbortSignal, _type: string, listener: unknown) { listening.add(listener); });
    remove?.mockImplementation((_type: string, listener: unknown) => { listening.delete(listener); });
    const completed = login.completed({ signal: new AbortController().signal });
    await vi.advanceTimersByTimeAsync(10_000);
    await completed;
    vi.restoreAllMocks();
    expect(add).toHaveBeenCalled();
    expect(listening.size).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('at a server that does as it is told', () => {
  let server: AuthorizationServer;
  let clock: ManualClock;
  let tokens: TokenManager;
  let events: RecordedEvents;

  const answer = { device_code: 'dc-1', user_code: 'WDJB-MJHT', verification_uri: 'https://login.example.com/activate', expires_in: 600 };
  const issued = { access_token: 'at-1', token_type: 'Bearer', expires_in: 60, refresh_token: 'rt-1' };
  const pending = rejection('authorization_pending');

  beforeAll(async () => { server = await startAuthorizationServer(); });
  afterAll(async () => { await server.close(); });

  beforeEach(() => {
    server.answersAsUsual();
    server.answersEvery({ json: issued });
    server.at('/device').answersEvery({ json: answer });
    for (const journal of [server.requests, server.tokenRequests, server.revocations]) journal.length = 0;
    clock = new ManualClock();
    tokens = client();
  });

  const client = ({ server: metadata, ...options }: Partial<TokenManagerOptions> = {}): TokenManager => {
    const made = createTokenManager({
      server: { ...JSON.parse(JSON.stringify(server.metadata)) as typeof server.metadata, device_authorization_endpoint: `${server.origin}/device`, ...metadata },
      clientId: 'tv', clientAuthentication: none(), clock, allowInsecureRequests: true, ...options,
    });
    events = record(made);
    return made;
  };

  const startLogin = async (request: TokenRequest = {}, manager = tokens): Promise<DecoupledLogin> => manager.startDecoupledLogin(deviceAuthorization(request));

  /** The pause before the next request goes by, and that request comes in. */
  const nextRequest = async (): Promise<void> => {
    const before = server.tokenRequests.length;
    await vi.advanceTimersByTimeAsync(INTERVAL);
    await server.tokenRequestArrives(before + 1);
  };
  /** Long enough for many requests, if there were any. */
  const nothingMoreIsAsked = async (): Promise<void> => {
    const before = server.tokenRequests.length;
    await vi.advanceTimersByTimeAsync(10 * 60_000);
    for (let trips = 0; trips < 2; trips += 1) await (await fetch(`${server.origin}/round-trip`)).arrayBuffer();
    expect(server.tokenRequests.length - before).toBe(0);
  };
  const revoked = (): string[] => server.revocations.map(({ token }) => token ?? '').sort();

  describe('what is sent', () => {
    test('to begin with: what is asked for, by whom', async () => {
      const authorizationDetails = [{ type: 'payment', amount: 3 }];
      await startLogin({ scope: 'openid read', resource: ['https://a.example.com', 'https://b.example.com'], audience: 'api', authorizationDetails, parameters: { device_id: 'tv-1' } });
      const { method, headers, body } = server.requests.at(-1) ?? {};
      expect([method, headers?.['content-type']]).toEqual(['POST', expect.stringContaining('application/x-www-form-urlencoded')]);
      expect([...new URLSearchParams(body?.toString())].sort()).toEqual([
        ['audience', 'api'],
        ['authorization_details', JSON.stringify(authorizationDetails)],
        ['client_id', 'tv'],
        ['device_id', 'tv-1'],
        ['resource', 'https://a.example.com'],
        ['resource', 'https://b.example.com'],
        ['scope', 'openid read'],
      ]);
    });

    test('to ask whether the user has approved: the code, and the resource if it is one', async () => {
      timersStandStill();
      const completed = (await startLogin({ scope: 'read', resource: 'https://a.example.com' })).completed();
      await nextRequest();
      await completed;
      expect(Object.fromEntries(server.lastTokenRequest.parameters)).toEqual({ grant_type: GRANT_TYPE, device_code: 'dc-1', client_id: 'tv', resource: 'https://a.example.com' });
    });

    test('an answer that was lost: the same request again', async () => {
      server.answersNext(lose());
      timersStandStill();
      const completed = (await startLogin()).completed();
      await nextRequest();
      const [first] = server.tokenRequests;
      await eventually(async () => {
        await vi.advanceTimersByTimeAsync(1_000);
        return server.tokenRequests.length === 2;
      });
      await completed;
      expect(server.lastTokenRequest.body).toBe(first?.body);
    });

    test('an endpoint as it is spelled', async () => {
      server.at('//device/').answersEvery({ json: answer });
      await startLogin({}, client({ server: { token_endpoint: server.tokenEndpoint, device_authorization_endpoint: `${server.origin}//device/` } }));
      expect(server.requests.at(-1)?.url).toBe('//device/');
    });
  });

  describe('the answer', () => {
    test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
      ['the older name of the address', { verification_uri: undefined, verification_url: 'https://www.example.com/device' }, { verificationUri: 'https://www.example.com/device' }],
      ['an address in the clear', { verification_uri: 'http://tv.example.com' }, { verificationUri: 'http://tv.example.com' }],
      ['a complete address', { verification_uri_complete: 'https://login.example.com/activate?c=1' }, { verificationUriComplete: 'https://login.example.com/activate?c=1' }],
      ['an empty one', { verification_uri_complete: '' }, { verificationUriComplete: undefined }],
      ['a complete address that is a program', { verification_uri_complete: 'javascript:alert(1)' }, { verificationUriComplete: undefined }],
      ['a code that would write on other lines', { user_code: 'AB\u001b[2J\nCD\u202eEF' }, { userCode: 'AB [2J CD EF' }],
    ])('shows %s', async (_case, members, expected) => {
      server.at('/device').answersNext({ json: { ...answer, ...members } });
      const login = await startLogin();
      expect({ verificationUriComplete: login.verificationUriComplete, ...login }).toMatchObject(expected);
    });

    test.each<[string, Reply, string]>([
      ['no code', { json: { ...answer, device_code: undefined } }, '`device_code` is missing or not a text'],
      ['an empty code', { json: { ...answer, device_code: '' } }, '`device_code` is missing or not a text'],
      ['a code that is no text', { json: { ...answer, device_code: 7 } }, '`device_code` is missing or not a text'],
      ['nothing to enter', { json: { ...answer, user_code: undefined } }, '`user_code` is missing or not a text'],
      ['nothing but controls to enter', { json: { ...answer, user_code: '\n\n' } }, '`user_code` is missing or not a text'],
      ['no address', { json: { ...answer, verification_uri: undefined } }, '`verification_uri` is missing or not an https or http URL'],
      ['a path', { json: { ...answer, verification_uri: '/activate' } }, '`verification_uri` is missing or not an https or http URL'],
      ['a program', { json: { ...answer, verification_uri: 'javascript:alert(1)' } }, '`verification_uri` is missing or not an https or http URL'],
      ['a file', { json: { ...answer, verification_uri: 'file:///etc/passwd' } }, '`verification_uri` is missing or not an https or http URL'],
      ['a page', { body: '<html>' }, '`device_code` is missing or not a text'],
      ['a list', { json: [] }, '`device_code` is missing or not a text'],
    ])('with %s is refused', async (_case, reply, expected) => {
      server.at('/device').answersNext(reply);
      const failure = await failureOf(startLogin());
      expect(failure).toMatchObject({ code: 'invalid_response', status: 200, message: `The device authorization endpoint answered with HTTP 200, but its ${expected}` });
    });

    test.each<[string, Reply, object]>([
      ['an error', rejection('invalid_scope', 400, 'No such scope'), { code: 'token_request_failed', error: 'invalid_scope', errorDescription: 'No such scope', retryable: false }],
      ['a server in trouble', { status: 503, headers: { 'retry-after': '7' } }, { code: 'token_request_failed', status: 503, retryable: true, retryAfter: 7_000 }],
      ['a redirect', { status: 302, headers: { location: '/elsewhere' } }, { code: 'token_request_failed', status: 302 }],
    ])('is %s: rejected, and not asked again', async (_case, reply, expected) => {
      server.at('/device').answersNext(reply);
      expect(await failureOf(startLogin())).toMatchObject(expected);
      expect(server.requests).toHaveLength(1);
    });

    test('never comes: `timeout`', async () => {
      server.at('/device').answersNext(hang());
      const failure = await failureOf(startLogin({}, client({ timeout: 50 })));
      expect(failure).toMatchObject({ code: 'timeout', retryable: true });
      expect(failure.message).toMatch(/50 ms \(option `timeout`\)/);
    });
  });

  describe('the session', () => {
    const completed = async (request: TokenRequest, manager = tokens): Promise<Session> => {
      timersStandStill();
      const login = (await startLogin(request, manager)).completed();
      login.catch(() => undefined);
      await nextRequest();
      return (await login).session;
    };

    test('is shared by all callers, those that come later too: one request', async () => {
      timersStandStill();
      const login = await startLogin();
      const calls = [login.completed(), login.completed(), login.completed()];
      await nextRequest();
      const sessions = await Promise.all(calls);
      const { session } = await login.completed();
      expect(new Set([...sessions.map(({ session: { id } }) => id), session.id]).size).toBe(1);
      expect(server.tokenRequests).toHaveLength(1);
      expect(events.acquired).toMatchObject([{ grant: GRANT_TYPE }]);
    });

    test('A7 needs an ID token where `openid` was asked for; without one its tokens are revoked', async () => {
      expect(await failureOf(completed({ scope: 'openid' }))).toMatchObject({ code: 'invalid_response', message: expect.stringContaining('without one, though `openid` was asked for') as string });
      expect(revoked()).toEqual(['at-1', 'rt-1']);
      expect(events.acquired).toEqual([]);
    });

    test('A7 needs an ID token that the server has signed; with another its tokens are revoked', async () => {
      server.answersEvery({ json: { ...issued, id_token: 'e30.e30.e30' } });
      expect(await failureOf(completed({ scope: 'openid' }))).toMatchObject({ code: 'invalid_response' });
      expect(revoked()).toEqual(['at-1', 'rt-1']);
    });

    test('that can\'t be stored: its tokens are revoked, and the login has to be started again', async () => {
      const store: KeyvLike = { get: async () => Promise.resolve(undefined), set: async () => Promise.reject(new Error('full')), delete: async () => Promise.resolve(true) };
      const failure = await failureOf(completed({}, client({ store, encryptionKeys: false })));
      expect(failure).toMatchObject({ code: 'store_failed', retryable: false, message: expect.stringContaining('has to be started again') as string });
      expect(revoked()).toEqual(['at-1', 'rt-1']);
    });
  });

  describe('an abort', () => {
    beforeEach(() => { timersStandStill(); });

    test('F12 rejects with the caller\'s own reason, and nothing more is asked', async () => {
      server.answersEvery(pending);
      const controller = new AbortController();
      const completed = (await startLogin()).completed({ signal: controller.signal });
      controller.abort('enough');
      await expect(completed).rejects.toBe('enough');
      await nothingMoreIsAsked();
    });

    test('before the call: nothing is begun', async () => {
      await expect((await startLogin()).completed({ signal: AbortSignal.abort('already') })).rejects.toBe('already');
      await nothingMoreIsAsked();
    });

    test('C2 of one caller ends the waiting of that caller only', async () => {
      const controller = new AbortController();
      const login = await startLogin();
      const [first, second] = [login.completed({ signal: controller.signal }), login.completed()];
      controller.abort('enough');
      await expect(first).rejects.toBe('enough');
      await nextRequest();
      expect(await second).toHaveProperty('session');
    });

    test('while a request is on its way: it is heard out, and its tokens are revoked', async () => {
      const hold = server.hold();
      const controller = new AbortController();
      const login = await startLogin();
      const completed = login.completed({ signal: controller.signal });
      await nextRequest();
      controller.abort('enough');
      await expect(completed).rejects.toBe('enough');
      hold.release();
      await eventually(() => revoked().length === 2);
      expect(revoked()).toEqual(['at-1', 'rt-1']);
      expect(events.acquired).toEqual([]);
      expect(await failureOf(login.completed())).toMatchObject({ code: 'login_expired', retryable: false });
      await nothingMoreIsAsked();
    });

    test('while a request is on its way that brings nothing: the last one', async () => {
      const hold = server.hold();
      const controller = new AbortController();
      const completed = (await startLogin()).completed({ signal: controller.signal });
      await nextRequest();
      controller.abort();
      await expect(completed).rejects.toThrow();
      hold.release(pending);
      await nothingMoreIsAsked();
    });

    test('R6 while a request is on its way, and somebody asks before it is answered: the session is theirs', async () => {
      const hold = server.hold();
      const controller = new AbortController();
      const login = await startLogin();
      const first = login.completed({ signal: controller.signal });
      await nextRequest();
      controller.abort();
      await expect(first).rejects.toThrow();
      const second = login.completed();
      hold.release();
      expect(await second).toHaveProperty('session');
      expect(revoked()).toEqual([]);
      expect(server.tokenRequests).toHaveLength(1);
    });

    test('while the session is being stored: it is ended, and its tokens are revoked', async () => {
      const [storing, stored] = [deferred(), deferred()];
      const entries = new Map<string, unknown>();
      const store: KeyvLike = {
        get: async (key) => Promise.resolve(entries.get(key)),
        set: async (key, value) => {
          storing.resolve();
          await stored.promise;
          return entries.set(key, value);
        },
        delete: async (key) => Promise.resolve(entries.delete(key)),
      };
      const controller = new AbortController();
      const login = await startLogin({}, client({ store, encryptionKeys: false }));
      const completed = login.completed({ signal: controller.signal });
      await nextRequest();
      await storing.promise;
      controller.abort('enough');
      await expect(completed).rejects.toBe('enough');
      stored.resolve();
      await eventually(() => revoked().length === 2);
      expect(revoked()).toEqual(['at-1', 'rt-1']);
      expect(await failureOf(login.completed())).toMatchObject({ code: 'login_expired' });
    });

    test('and another call, at once: the polling goes on', async () => {
      const controller = new AbortController();
      const login = await startLogin();
      const first = login.completed({ signal: controller.signal });
      controller.abort('enough');
      await expect(first).rejects.toBe('enough');
      const second = login.completed();
      await nextRequest();
      expect(await second).toHaveProperty('session');
      expect(server.tokenRequests).toHaveLength(1);
    });
  });

  describe('close()', () => {
    beforeEach(() => { timersStandStill(); });

    test('ends the waiting at once, and nothing more is asked', async () => {
      const login = await startLogin();
      const failure = failureOf(login.completed());
      await tokens.close();
      expect(await failure).toMatchObject({ code: 'invalid_configuration', message: expect.stringContaining('closed') as string });
      expect(await failureOf(login.completed())).toMatchObject({ code: 'invalid_configuration' });
      await nothingMoreIsAsked();
    });

    test('waits for a request that was sent, and its tokens become a session', async () => {
      const hold = server.hold();
      const completed = (await startLogin()).completed();
      await nextRequest();
      let isClosed = false;
      const closed = tokens.close().then(() => { isClosed = true; });
      await (await fetch(`${server.origin}/round-trip`)).arrayBuffer();
      expect(isClosed).toBe(false);
      hold.release();
      expect(await completed).toHaveProperty('session');
      await closed;
    });

    test('while a request is on its way that brings nothing: the last one', async () => {
      const hold = server.hold();
      const failure = (await startLogin()).completed().catch((thrown: unknown) => thrown);
      await nextRequest();
      const closed = tokens.close();
      hold.release(pending);
      expect(await failure).toMatchObject({ code: 'invalid_configuration' });
      await closed;
      await nothingMoreIsAsked();
    });

    test('no login can be begun after it', async () => {
      await tokens.close();
      expect(await failureOf(startLogin())).toMatchObject({ code: 'invalid_configuration' });
      expect(server.requests).toEqual([]);
    });
  });

  test.each<[string, () => unknown]>([
    ['throws', () => { throw new RangeError('of the caller'); }],
    ['rejects', async () => Promise.reject(new RangeError('of the caller'))],
  ])('an onPending that %s is reported as a warning, and the login goes on', async (_case, onPending) => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    server.answersNext(pending);
    timersStandStill();
    const told = deferred();
    const login = await startLogin();
    const completed = login.completed({ onPending });
    const other = login.completed({ onPending: () => { told.resolve(); } });
    await nextRequest();
    await told.promise;
    await nextRequest();
    expect(await completed).toEqual(await other);
    expect(warned).toHaveBeenCalledExactlyOnceWith('onPending failed with RangeError', 'GrantkeeperWarning');
    warned.mockRestore();
  });

  describe('bad input', () => {
    test.each<[string, unknown, string]>([
      ['another option', { scopes: 'read' }, 'deviceAuthorization: unknown option `scopes`; did you mean `scope`?'],
      ['a scope that is none', { scope: 7 }, 'deviceAuthorization: `scope` must be a string or a list of non-empty strings; received 7'],
      ['what the library sends', { parameters: { device_code: 'x' } }, 'deviceAuthorization: `parameters.device_code` is reserved: the library sends it'],
    ])('%s', (_case, request, message) => {
      expect(thrownBy(() => deviceAuthorization(request as TokenRequest))).toMatchObject({ code: 'invalid_configuration', message });
    });

    const flow: DecoupledFlow = { grantType: 'urn:example:grant', endpoint: 'device_authorization_endpoint', code: 'device_code' };
    test.each<[string, unknown, string]>([
      ['no flow', undefined, 'the options must be an object; received nothing'],
      ['no grant type', { ...flow, grantType: undefined }, '`grantType` is required'],
      ['a code that is none', { ...flow, code: 7 }, '`code` must be a non-empty string; received 7'],
      ['parameters that are no function', { ...flow, parameters: { plain: {} } }, '`parameters` must be a function'],
      ['a request that is none', { ...flow, request: { scope: 7 } }, '`scope` must be'],
      ['parameters that are none', { ...flow, parameters: async () => Promise.resolve({ plain: { a: 1 } }) }, 'parameters() must give an object with `plain` and `secret`, whose values are strings'],
      ['parameters that can\'t be had', { ...flow, parameters: () => { throw new RangeError('secret'); } }, 'parameters() threw RangeError'],
    ])('%s', async (_case, bad, message) => {
      const failure = await failureOf(tokens.startDecoupledLogin(bad as DecoupledFlow));
      expect(failure.code).toBe('invalid_configuration');
      expect(failure.message).toContain(`startDecoupledLogin: ${message}`);
      expect(server.requests).toEqual([]);
    });

    test.each<[string, Partial<TokenManagerOptions['server']>, string]>([
      ['no endpoint', { device_authorization_endpoint: undefined }, 'have no `device_authorization_endpoint`, which startDecoupledLogin() needs'],
      ['no keys', { jwks_uri: undefined }, 'have no `jwks_uri`, which the scope `openid` needs'],
      ['no issuer', { issuer: undefined }, 'startDecoupledLogin: the scope `openid` needs the `issuer`'],
    ])('metadata with %s, said before anything is sent', async (_case, metadata, message) => {
      const failure = await failureOf(startLogin({ scope: 'openid' }, client({ server: { token_endpoint: server.tokenEndpoint, ...metadata } })));
      expect(failure.code).toBe('invalid_configuration');
      expect(failure.message).toContain(message);
      expect(server.requests).toEqual([]);
    });

    test.each<[string, unknown, string]>([
      ['a signal that is none', { signal: true }, 'completed: `signal` must be'],
      ['a listener that is none', { onPending: 'log' }, 'completed: `onPending` must be a function'],
      ['another option', { onpending: () => undefined }, 'completed: unknown option `onpending`; did you mean `onPending`?'],
    ])('%s', async (_case, options, message) => {
      const failure = await failureOf((await startLogin()).completed(options as object));
      expect(failure.code).toBe('invalid_configuration');
      expect(failure.message).toContain(message);
    });
  });

  describe('the process', () => {
    const program = (rest: string): string => `
      import { createTokenManager, deviceAuthorization, none } from 'grantkeeper';
      const server = { token_endpoint: '${server.tokenEndpoint}', device_authorization_endpoint: '${server.origin}/device' };
      const tokens = createTokenManager({ server, clientId: 'tv', clientAuthentication: none(), allowInsecureRequests: true });
      const login = await tokens.startDecoupledLogin(deviceAuthorization());
      ${rest}
    `;

    test('stays alive while somebody waits', async () => {
      server.at('/device').answersEvery({ json: { ...answer, interval: 1 } });
      const { code, stdout } = await runProgram(program(`
        const { session } = await login.completed();
        console.log((await session.getToken()).value);
      `));
      expect([code, stdout]).toEqual([0, 'at-1\n']);
    });

    test('C12 is not kept alive by a login that nobody waits for', async () => {
      const { code, stdout, timedOut } = await runProgram(program(`
        const reason = await login.completed({ signal: AbortSignal.timeout(10) }).catch((thrown) => thrown.name);
        console.log(reason);
      `), { limitMs: 15_000 });
      expect([code, stdout, timedOut]).toEqual([0, 'TimeoutError\n', false]);
      expect(server.tokenRequests).toHaveLength(0);
    });
  });

  test('a flow of one\'s own is an object: another endpoint, another grant', async () => {
    server.at('/pair').answersEvery({ json: { pairing_id: 'p-1', expires_in: 60, interval: 2 } });
    const manager = client({ server: { token_endpoint: server.tokenEndpoint, pairing_endpoint: `${server.origin}/pair` } });
    timersStandStill();
    const login = await manager.startDecoupledLogin({
      grantType: 'urn:example:pairing', endpoint: 'pairing_endpoint', code: 'pairing_id',
      request: { scope: 'read' },
      parameters: async () => Promise.resolve({ plain: { room: '7' }, secret: { pin: '1234' } }),
    });
    expect(Object.keys(login).sort()).toEqual(['completed', 'expiresAt', 'interval']);
    expect(Object.fromEntries(new URLSearchParams(server.requests.at(-1)?.body.toString()))).toEqual({ client_id: 'tv', scope: 'read', room: '7', pin: '1234' });
    const completed = login.completed();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await completed).toHaveProperty('session');
    expect(Object.fromEntries(server.lastTokenRequest.parameters)).toMatchObject({ grant_type: 'urn:example:pairing', pairing_id: 'p-1' });
  });

  describe('S1 no secret', () => {
    const canary = { deviceCode: 'd3viceCodeCanary+/=é', clientSecret: 'cl1entSecretCanary+w/x=&<"é', accessToken: 'acc3ssTokenCanary-_.~+/==', refreshToken: 'r3freshTokenCanary+/é' };
    const spellings = Object.values(canary).flatMap((secret) => everySpelling(secret).map(([, spelling]) => spelling));
    /** One at a time: a text that holds a long one is dropped whole, and would hide the others. */
    const echoes = Object.entries({ deviceCode: canary.deviceCode, clientSecret: canary.clientSecret }).flatMap(([name, secret]) =>
      everySpelling(secret).map(([spelled, spelling]): [string, string] => [`${name} ${spelled}`, spelling]));

    const confidential = (): TokenManager => client({ clientAuthentication: undefined, clientSecret: canary.clientSecret });

    const shown = async (reply: Reply): Promise<unknown[]> => {
      const manager = confidential();
      server.at('/device').answersEvery({ json: { ...answer, device_code: canary.deviceCode } });
      server.answersNext(reply);
      timersStandStill();
      const login = await startLogin({}, manager);
      const completed = login.completed().catch((thrown: unknown) => thrown);
      await nextRequest();
      const outcome = await completed;
      vi.useRealTimers();
      return [outcome, login, manager, events];
    };

    const unseen = (values: unknown[]): string[] => {
      const texts = values.flatMap(textsOf).join('\n');
      return spellings.filter((spelling) => texts.includes(spelling));
    };

    test.each(echoes)('is seen in a refusal that echoes the %s', async (_case, echo) => {
      for (const error of ['invalid_grant', 'access_denied', 'expired_token', `it was ${echo}`]) {
        expect(unseen(await shown({ status: 400, json: { error, error_description: `it was ${echo}` } }))).toEqual([]);
      }
    });

    test.each<[string, Record<string, unknown>]>([
      ['tokens', { ...issued, access_token: canary.accessToken, refresh_token: canary.refreshToken }],
      ['tokens that can\'t be used', { access_token: canary.accessToken, refresh_token: canary.refreshToken, token_type: canary.deviceCode }],
    ])('is seen in %s', async (_case, json) => {
      expect(unseen(await shown({ json }))).toEqual([]);
    });

    test.each(everySpelling(canary.refreshToken))('is seen in a refusal at the start that echoes a parameter %s', async (_case, echo) => {
      server.at('/device').answersNext({ status: 400, json: { error: `it was ${echo}`, error_description: `it was ${echo}` } });
      expect(unseen([await failureOf(startLogin({ parameters: { my_secret: canary.refreshToken } }, confidential()))])).toEqual([]);
    });
  });
});
