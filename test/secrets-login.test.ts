import { setImmediate as nextTurn } from 'node:timers/promises';
import type { KeyvLike, LoginOptions, Session, TokenManagerOptions } from 'grantkeeper';
import { generateKeyPair } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hang, lose, reset, type Answer } from './support/answers.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { everySpelling, textsOf } from './support/canary.js';
import { ManualClock } from './support/clock.js';
import { eventually } from './support/eventually.js';
import { loginUnderWay, type LoginUnderWay } from './support/login-under-way.js';
import type { MachineClient } from './support/machine-client.js';
import { MapStore } from './support/map-store.js';
import type { ReceivedTokenRequest } from './support/token-request.js';
import { webClient } from './support/web-client.js';

const HOUR = 3_600_000;

const canary = {
  clientSecret: `cl1entSecretCanary+w/x=&<"é ü">'\\%`,
  code: 'c0deCanary-+/=&"<é',
  accessToken: 'acc3ssTokenCanary-_.~+/==',
  refreshToken: 'r3freshTokenCanary+/é',
};

let server: AuthorizationServer;
let client: MachineClient;
let observed: [what: string, value: unknown][];
/** Whatever must not be seen: the canaries, and what each login makes up for itself. */
let secrets: Map<string, string>;

const onWarning = (warning: Error): void => void observed.push(['a process warning', warning]);
const onUnhandled = (reason: unknown): void => void observed.push(['an unhandled rejection', reason]);

beforeEach(async () => {
  server = await startAuthorizationServer();
  observed = [];
  secrets = new Map(Object.entries(canary));
  client = observedClient();
  process.on('warning', onWarning);
  process.on('unhandledRejection', onUnhandled);
});

afterEach(async () => {
  process.off('warning', onWarning);
  process.off('unhandledRejection', onUnhandled);
  await server.close();
});

function observedClient(options: Partial<Omit<TokenManagerOptions, 'clock'>> = {}): MachineClient {
  const made = webClient(server, { clientSecret: canary.clientSecret, clock: new ManualClock(), ...options });
  observed.push(['the manager', made.tokens], ['the events', made.events]);
  return made;
}

async function outcomeOf<T>(work: Promise<T>): Promise<T | Error> {
  const outcome = await work.catch((thrown: unknown) => thrown as Error);
  observed.push(['the outcome', outcome]);
  return outcome;
}

/** A login whose code is the canary; its state and nonce are secrets from here on. */
async function started(options: Partial<LoginOptions> = {}): Promise<LoginUnderWay> {
  const login = await loginUnderWay(client, options);
  for (const name of ['state', 'nonce']) secrets.set(name, login.url.searchParams.get(name) ?? '');
  return login;
}

interface Bent {
  /** Members of the token answer. */
  readonly members?: Record<string, unknown>;
  /** Takes the place of the answer. */
  readonly answer?: (request: ReceivedTokenRequest, issued: Record<string, unknown>) => Answer;
}

/** The next token request succeeds with the canaries as its tokens, whatever code or refresh token it has; verifier and ID token are secrets from here on. */
function answersWithCanaries({ members = {}, answer }: Bent = {}): void {
  server.answersNext((request) => {
    const { parameters } = request;
    secrets.set('verifier', parameters.get('code_verifier') ?? secrets.get('verifier') ?? '');
    if (parameters.has('code')) parameters.set('code', `code-${server.grants.length}`);
    else parameters.set('refresh_token', server.issued.at(-1)?.refreshToken ?? '');
    server.nextTokenAnswerWith({ access_token: canary.accessToken, refresh_token: canary.refreshToken, ...members });
    return { perform: async ({ response, otherwise }) => {
      const { json } = await otherwise() as { json: Record<string, unknown> };
      if (typeof json['id_token'] === 'string') secrets.set('ID token', json['id_token']);
      const given = answer?.(request, json) ?? { json };
      if ('perform' in given) await given.perform({ response, otherwise });
      else response.writeHead(given.status ?? 200, { 'content-type': 'application/json' }).end(given.body ?? JSON.stringify(given.json));
    } };
  });
}

async function completed(login: LoginUnderWay): Promise<Session | Error> {
  const outcome = await outcomeOf(client.tokens.completeLogin(login.callbackWith({ code: canary.code }), login.transaction));
  if (outcome instanceof Error) return outcome;
  observed.push(['the session', outcome.session]);
  return outcome.session;
}

async function signedIn(options?: Partial<LoginOptions>): Promise<Session> {
  answersWithCanaries();
  return await completed(await started(options)) as Session;
}

function needlesOf(secret: string): string[] {
  const parts = secret.split('.').filter(({ length }) => length > 20);
  return [secret, ...parts, ...everySpelling(secret).map(([, spelling]) => spelling)];
}

async function expectNoSecret(): Promise<void> {
  await nextTurn();
  await nextTurn();
  const needles = [...secrets].flatMap(([name, secret]) => needlesOf(secret).map((needle) => [name, needle] as const));
  for (const [what, value] of observed) {
    const texts = textsOf(value);
    const found = needles.find(([, needle]) => texts.some((text) => text.includes(needle)));
    expect(found?.[0], `${what} shows it`).toBeUndefined();
  }
  expect(observed.filter(([what]) => what === 'an unhandled rejection')).toEqual([]);
}

/** All that the server knows of a request, said back. */
const echo = ({ headers, body, parameters }: ReceivedTokenRequest): string => `${JSON.stringify(headers)} ${body} ${[...parameters.values()].join(' ')}`;

describe('S1 when all goes well', () => {
  test('S1 neither login, session, tokens nor events show anything', async () => {
    const session = await signedIn({ resource: 'https://a.example', maxAge: 60 });
    const token = await session.getToken();
    expect(token.value).toBe(canary.accessToken);
    observed.push(['a token', token], ['a copy', { ...token, ...session }], ['a source', session.forResource({ resource: 'https://b.example' })]);
    client.clock.advance(HOUR);
    answersWithCanaries();
    await session.getToken();
    expect(client.events.refreshed).toHaveLength(1);
    const info = await session.info();
    const { nonce, ...claims } = info?.claims ?? {};
    expect(nonce).toBe(secrets.get('nonce'));
    observed.push(['what is known of the session', { ...info, claims }]);
    expect([...secrets.keys()]).toEqual(['clientSecret', 'code', 'accessToken', 'refreshToken', 'state', 'nonce', 'verifier', 'ID token']);
    await expectNoSecret();
  });

  test('S1 an answer that repeats what it was asked, and its tokens', async () => {
    answersWithCanaries({ answer: (request, issued) => ({ json: { ...issued, said: echo(request), code: canary.code, list: [issued['id_token'], { again: issued }] } }) });
    const session = await completed(await started()) as Session;
    observed.push(['a token', await session.getToken()]);
    await expectNoSecret();
  });

  test('S1 the search finds what there is to find', async () => {
    await signedIn();
    for (const secret of secrets.values()) {
      observed = [['a leak', new Error('a', { cause: { detail: encodeURIComponent(secret) } })]];
      await expect(expectNoSecret()).rejects.toThrow('a leak shows it');
    }
    observed = [];
  });
});

describe('S1 a callback that is refused', () => {
  test.each<[string, Record<string, string | string[] | undefined>]>([
    ['another state', { state: 'A'.repeat(43) }],
    ['two codes', { code: [canary.code, canary.code] }],
    ['another issuer', { iss: canary.code }],
    ['no code', { code: undefined, other: canary.code }],
  ])('S1 for %s', async (_case, change) => {
    const login = await started();
    await outcomeOf(client.tokens.completeLogin(login.callbackWith(change), login.transaction));
    await outcomeOf(client.tokens.completeLogin(login.callback, `${login.transaction}x`));
    await expectNoSecret();
  });

  test('S1 as an error that says what was sent, in any spelling', async () => {
    const login = await started();
    for (const secret of [login.state, secrets.get('nonce') ?? '']) {
      for (const [, spelling] of everySpelling(secret)) {
        const { searchParams } = new URL(login.callbackWith({ code: undefined, error: 'invalid_request', error_description: `bad request: ${spelling}` }));
        const outcome = await outcomeOf(client.tokens.completeLogin(`/callback?${searchParams.toString()}`, login.transaction));
        expect(outcome).toMatchObject({ code: 'authorization_failed', error: 'invalid_request' });
      }
    }
    await expectNoSecret();
  });
});

describe('S1 an exchange that fails', () => {
  test.each<[string, (request: ReceivedTokenRequest) => Answer]>([
    ['400 that echoes all', (request) => ({ status: 400, json: { error: 'invalid_grant', error_description: echo(request) } })],
    ['401 that echoes all', (request) => ({ status: 401, json: { error: echo(request), error_description: encodeURIComponent(echo(request)) } })],
    ['500 with a page that echoes all', (request) => ({ status: 500, body: echo(request) })],
    ['200 with a page that echoes all', (request) => ({ body: echo(request) })],
    ['a reset connection', () => reset()],
    ['a lost answer', () => lose()],
    ['a server that hangs', () => hang()],
  ])('S1 with %s', async (_case, answer) => {
    client = observedClient({ timeout: 1_500 });
    const login = await started();
    server.answersNext((request) => {
      secrets.set('verifier', request.parameters.get('code_verifier') ?? '');
      return answer(request);
    });
    expect(await completed(login)).toBeInstanceOf(Error);
    await completed(login);
    expect(secrets.get('verifier')).toHaveLength(43);
    await expectNoSecret();
  });

  test.each<[string, Bent]>([
    ['an error beside tokens', { members: { error: 'invalid_grant', error_description: `${canary.accessToken} ${canary.refreshToken}` } }],
    ['a type that can\'t be sent', { members: { token_type: canary.accessToken } }],
    ['a token that no header may carry', { members: { access_token: `${canary.accessToken}\r\n` } }],
    ['half an answer', { answer: (_request, issued) => ({ body: JSON.stringify(issued).slice(0, -5) }) }],
    ['all of it with 400', { answer: (_request, issued) => ({ status: 400, json: issued }) }],
    ['all of it in a list', { answer: (_request, issued) => ({ json: [issued] }) }],
    ['an ID token cut off', { answer: (_request, issued) => ({ json: { ...issued, id_token: String(issued['id_token']).slice(0, -10) } }) }],
    ['an ID token that is another text', { members: { id_token: `${canary.accessToken}.${canary.accessToken}.${canary.accessToken}` } }],
  ])('S1 with %s', async (_case, bent) => {
    answersWithCanaries(bent);
    expect(await completed(await started())).toBeInstanceOf(Error);
    await expectNoSecret();
  });

  test.each<[string, Record<string, unknown>]>([
    ['another issuer', { iss: canary.accessToken }],
    ['another audience', { aud: canary.accessToken }],
    ['another nonce', { nonce: canary.accessToken }],
    ['an expiry long ago', { exp: 1 }],
    ['no subject', { sub: undefined }],
  ])('S1 with an ID token that has %s', async (_case, claims) => {
    server.nextIdTokenWith(claims);
    answersWithCanaries();
    expect(await completed(await started())).toBeInstanceOf(Error);
    await expectNoSecret();
  });

  test('S1 with an ID token of somebody else, and keys that echo what they\'re asked', async () => {
    server.signsNextIdTokenWith((await generateKeyPair('RS256')).privateKey);
    answersWithCanaries();
    expect(await completed(await started())).toBeInstanceOf(Error);
    server.at('/jwks').answersEvery(({ headers }) => ({ status: 500, body: JSON.stringify(headers) }));
    client = observedClient();
    answersWithCanaries();
    expect(await completed(await started())).toBeInstanceOf(Error);
    await expectNoSecret();
  });
});

describe('S1 a store that says what it was given', () => {
  const throwing = (): KeyvLike => {
    const store = new MapStore();
    return {
      get: async (key) => store.get(key),
      delete: async (key) => store.delete(key),
      set: async (key, value, ttl) => {
        if (key.startsWith('grantkeeper:session:')) throw Object.assign(new Error(`can't set ${String(value)}`, { cause: new Error(String(value)) }), { command: [key, value] });
        return store.set(key, value, ttl);
      },
    };
  };

  test('S1 at the end of a login, in the clear', async () => {
    client = observedClient({ store: throwing(), encryptionKeys: false });
    answersWithCanaries();
    expect(await completed(await started())).toMatchObject({ code: 'store_failed' });
    expect(client.events['store-failed']).toHaveLength(1);
    await expectNoSecret();
  });
});

describe('S1 later', () => {
  test('S1 a refresh whose answer echoes all, or whose ID token is refused', async () => {
    const session = await signedIn();
    await session.getToken();
    client.clock.advance(HOUR);
    server.answersNext((request) => ({ status: 500, json: { error: 'server_error', error_description: echo(request) } }));
    expect(await outcomeOf(session.getToken())).toMatchObject({ code: 'token_request_failed', status: 500 });
    client.clock.advance(10_000);
    server.nextIdTokenWith({ sub: canary.accessToken });
    answersWithCanaries();
    expect(await outcomeOf(session.getToken())).toMatchObject({ code: 'invalid_response' });
    server.answersNext((request) => ({ status: 400, json: { error: 'invalid_grant', error_description: echo(request) } }));
    expect(await outcomeOf(session.getToken())).toMatchObject({ code: 'reauthorization_required' });
    expect(client.events['refresh-failed']).toHaveLength(3);
    await eventually(() => client.events['session-ended'].length === 1);
    await expectNoSecret();
  });

  test('S1 a logout whose revocation echoes all', async () => {
    const session = await signedIn();
    server.at('/revoke').answersEvery(({ body, headers }) => ({ status: 400, json: { error: 'unsupported_token_type', error_description: `${body.toString()} ${JSON.stringify(headers)}` } }));
    await session.end();
    expect(server.revocations).toHaveLength(1);
    await outcomeOf(session.getToken());
    await expectNoSecret();
  });
});
