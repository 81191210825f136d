import fc from 'fast-check';
import { createTokenManager, type Dialect } from 'grantkeeper';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { understoodTokenResponse } from '../src/server/dialect/token-response.js';
import type { Answer } from './support/answers.js';
import { ManualClock } from './support/clock.js';
import { failureOf } from './support/failure.js';
import { describeDialects } from './support/peculiar-checks.js';
import { asking, authorization, runOf, SECRET, type Peculiar } from './support/peculiar-run.js';
import { startPeculiarServer } from './support/peculiar-server.js';

const HOUR = 3_600_000;
const NOW = new ManualClock().now();
const token = { access_token: 'at-1', token_type: 'bearer', expires_in: 3600, refresh_token: 'rt-1', scope: 'a' };

/** A server whose first answer, and whose next, are these. */
function answering(tokenResponse: Dialect['tokenResponse'], first: object, second: object, others: Partial<Dialect> = {}): Peculiar {
  return {
    dialect: () => ({ ...others, tokenResponse }),
    login: {},
    token: { takes: asking('code', {}), gives: { json: first } },
    refresh: { takes: asking('refresh'), gives: { json: second } },
    expected: { first: { value: 'at-1', type: 'Bearer', lifetime: HOUR, scope: 'a' }, second: { value: 'at-2', lifetime: HOUR } },
  };
}

const inMilliseconds = { ...token, expires_in: HOUR };
const again = { access_token: 'at-2', token_type: 'bearer', expires_in: 3600 };
const dated = (member: unknown): object => ({ ...token, expires_in: 12, until: member });

describeDialects({
  'the tokens in an object': answering({ at: 'data' }, { data: token }, { data: again }),
  'the tokens in an object of an object, in a list': answering({ at: 'result.tokens.0' }, { result: { tokens: [token] } }, { result: { tokens: [again] } }),
  'every name': answering(
    { names: { access_token: 'token', token_type: 'kind', expires_in: 'ttl', refresh_token: 'renewal', scope: 'perms' } },
    { token: 'at-1', kind: 'bearer', ttl: 3600, renewal: 'rt-1', perms: 'a', access_token: 'other', token_type: 'mac', expires_in: 1, refresh_token: 'other', scope: 'other' },
    { token: 'at-2', kind: 'bearer', ttl: 3600 },
  ),
  'names as paths': answering(
    { names: { access_token: 'tokens.access.value', refresh_token: 'tokens.refresh', expires_in: 'tokens.access.ttl', scope: 'granted.0' } },
    { token_type: 'bearer', tokens: { access: { value: 'at-1', ttl: 3600 }, refresh: 'rt-1' }, granted: ['a'] },
    { token_type: 'bearer', tokens: { access: { value: 'at-2', ttl: 3600 } } },
  ),
  'names as paths below `at`': answering({ at: 'data', names: { access_token: 'access.value' } }, { data: { ...token, access_token: undefined, access: { value: 'at-1' } } }, { data: { ...again, access_token: undefined, access: { value: 'at-2' } } }),
  'no token_type': answering({ tokenType: 'Bearer' }, { ...token, token_type: undefined }, again),
  'something else for a token_type': answering({ tokenType: 'Bearer' }, { ...token, token_type: 'user' }, { ...again, token_type: 17 }),
  'milliseconds': answering({ lifetimeUnit: 'milliseconds' }, inMilliseconds, { ...again, expires_in: String(HOUR) }),
  'an expires_in that lies, and a moment': answering({ names: { expires_in: null, expires_at: 'until' } }, dated((NOW + HOUR) / 1_000), { ...again, expires_in: 12, until: NOW + 3 * HOUR }),
  'scopes with commas': {
    dialect: () => ({ scopeSeparator: ',' }),
    login: { takes: authorization({ scope: 'a,b' }) },
    token: { takes: asking('code'), gives: { json: { ...token, scope: 'a, c' } } },
    expected: { first: { value: 'at-1', scope: 'a c' } },
  },
});

describe('P5 the same lifetime', () => {
  const until = { names: { expires_in: null, expires_at: 'until' } } as const;
  test.each<[string, Dialect['tokenResponse'], object]>([
    ['seconds', {}, { expires_in: 3600 }],
    ['seconds as text', {}, { expires_in: '3600' }],
    ['h:mm:ss', {}, { expires_in: '1:00:00' }],
    ['nested', { names: { expires_in: 'life.time' } }, { life: { time: 3600 } }],
    ['another name', { names: { expires_in: 'ttl' } }, { ttl: '3600' }],
    ['milliseconds', { lifetimeUnit: 'milliseconds' }, { expires_in: 3_600_000 }],
    ['milliseconds as text', { lifetimeUnit: 'milliseconds' }, { expires_in: '3600000' }],
    ['milliseconds with spaces', { lifetimeUnit: 'milliseconds' }, { expires_in: ' 3600000 ' }],
    ['milliseconds with an exponent', { lifetimeUnit: 'milliseconds' }, { expires_in: '3.6e6' }],
    ['milliseconds under another name', { lifetimeUnit: 'milliseconds', names: { expires_in: 'ttl' } }, { ttl: 3_600_000 }],
    ['h:mm:ss where milliseconds are declared', { lifetimeUnit: 'milliseconds' }, { expires_in: '01:00:00' }],
    ['epoch seconds', until, { until: NOW / 1_000 + 3_600 }],
    ['epoch seconds as text', until, { until: String(NOW / 1_000 + 3_600) }],
    ['epoch milliseconds', until, { until: NOW + HOUR }],
    ['epoch milliseconds as text', until, { until: String(NOW + HOUR) }],
    ['an ISO date', until, { until: new Date(NOW + HOUR).toISOString() }],
    ['an ISO date with an offset', until, { until: '2026-01-01T03:00:00+02:00' }],
    ['an ISO date without a zone', until, { until: '2026-01-01T01:00:00' }],
    ['a date as databases write it', until, { until: '2026-01-01 01:00:00' }],
    ['an HTTP date', until, { until: new Date(NOW + HOUR).toUTCString() }],
    ['a moment where there is no expires_in', { names: { expires_at: 'until' } }, { until: NOW + HOUR }],
    ['a moment where expires_in can\'t be read', { names: { expires_at: 'until' } }, { expires_in: 'soon', until: NOW + HOUR }],
    ['a moment where expires_in is empty', { names: { expires_at: 'until' } }, { expires_in: '', until: NOW + HOUR }],
    ['expires_in before a moment', { names: { expires_at: 'until' } }, { expires_in: 3600, until: NOW }],
    ['a moment that is nested', { names: { expires_at: 'life.ends' } }, { life: { ends: NOW + HOUR } }],
  ])('P5 %s', async (_case, tokenResponse, members) => {
    vi.stubEnv('TZ', 'America/New_York');
    onTestFinished(() => { vi.unstubAllEnvs(); });
    expect((await readBy({ tokenResponse }, { json: { access_token: 'at-1', token_type: 'Bearer', ...members } })).expiresAt).toBe(NOW + HOUR);
  });

  test.each<[string, Dialect['tokenResponse'], object]>([
    ['`expires_in: null`: it lies', { names: { expires_in: null } }, { expires_in: 12 }],
    ['a moment that is none', until, { until: 'soon' }],
    ['a moment of 0, which is how some say never', until, { until: 0 }],
    ['a moment without a name of its own', {}, { expires_at: NOW + 1 }],
  ])('P5 none that can be read: %s', async (_case, tokenResponse, members) => {
    expect((await readBy({ tokenResponse }, { json: { access_token: 'at-1', token_type: 'Bearer', ...members } })).expiresAt).toBeUndefined();
  });
});

/** A user's token: without a lifetime it has no `expiresAt`. */
async function readBy(dialect: Dialect, answer: Answer): Promise<{ expiresAt?: number; parameters: Readonly<Record<string, unknown>>; scope?: string; value: string }> {
  await using server = await startPeculiarServer({ takes: asking('machine', { scope: undefined }), gives: answer });
  const tokens = createTokenManager({ server: { token_endpoint: `${server.origin}/token` }, clientId: 'app', clientSecret: SECRET, clock: new ManualClock(), assumedLifetime: 5 * HOUR, allowInsecureRequests: true, retry: { limit: 0 }, dialect });
  const { value, expiresAt, parameters, scope } = await tokens.clientCredentials().getToken();
  return { value, parameters, ...(expiresAt !== undefined && { expiresAt }), ...(scope !== undefined && { scope }) };
}

describe('what else is read', () => {
  const members = { access_token: 'at-1', token_type: 'Bearer', expires_in: 60 };

  test.each<[string, Answer]>([
    ['a form', { body: 'access_token=at-1&token_type=bearer&expires_in=60', headers: { 'content-type': 'application/x-www-form-urlencoded' } }],
    ['a form that says it is text', { body: 'access_token=at-1&token_type=bearer', headers: { 'content-type': 'text/plain' } }],
    ['201', { status: 201, json: members }],
    ['206', { status: 206, json: members }],
  ])('tolerated without a dialect: %s', async (_case, answer) => {
    expect(await readBy({}, answer)).toMatchObject({ value: 'at-1' });
  });

  test('P1 a form is one whatever its type and names are', async () => {
    expect(await readBy({ tokenResponse: { names: { access_token: 'oauth_token' }, tokenType: 'Bearer' } }, { body: 'oauth_token=at-1&expires_in=3600', headers: { 'content-type': 'text/plain' } })).toMatchObject({ value: 'at-1', expiresAt: NOW + HOUR });
  });

  test('tolerated without a dialect: scope as a list', async () => {
    expect(await readBy({}, { json: { ...members, scope: ['a', 'b'] } })).toMatchObject({ scope: 'a b' });
  });

  test('P1 members around `at` and inside it are parameters; those that were translated are not', async () => {
    const { parameters } = await readBy({ tokenResponse: { at: 'data', names: { access_token: 'token', error: 'code', error_description: 'message' } } }, { json: { code: 0, message: 'OK', request_id: 'r', data: { token: 'at-1', token_type: 'Bearer', expires_in: 60, shop: { id: 1 } } } });
    expect(parameters).toEqual({ request_id: 'r', shop: { id: 1 } });
  });

  test('P1 `at` that is not there: the tokens are at the top', async () => {
    expect(await readBy({ tokenResponse: { at: 'data' } }, { json: members })).toMatchObject({ value: 'at-1' });
  });

  test('P1 `at` that is there: none of the tokens around it is taken for its own', async () => {
    const bots = { ...members, access_token: 'bot', refresh_token: 'rt-bot', scope: 'of the bot' };
    expect(await failureOf(readBy({ tokenResponse: { at: 'authed_user' } }, { json: { ...bots, authed_user: { id: 'U1' } } }))).toMatchObject({ code: 'invalid_response' });
    const understood = understoodTokenResponse({ status: 200, headers: new Headers(), body: '', members: { ...bots, authed_user: { access_token: 'at-1' } } }, { at: 'authed_user' }, ' ', NOW);
    expect(understood.members).toEqual({ access_token: 'at-1' });
  });

  test.each([0, '0'])('P6 %j means success, and is no error where the token is missing', async (code) => {
    expect(await failureOf(readBy({ tokenResponse: { names: { error: 'code' } } }, { json: { code, token: 'at-1' } }))).toMatchObject({ code: 'invalid_response', message: expect.stringContaining('token (text)') as string });
  });

  test('L9 no token is in parameters, at any depth, whoever\'s it is', async () => {
    const user = { id: 'U1', access_token: 'token-of-the-user', refresh_token: 'refresh-of-the-user', id_token: 'id-of-the-user' };
    const { parameters } = await readBy({}, { json: { ...members, authed_user: user, list: [user], copy: { of: 'at-1' } } });
    expect(parameters).toEqual({ authed_user: { id: 'U1' }, list: [{ id: 'U1' }], copy: {} });
  });

  test.each<[string, object]>([
    ['0', { code: 0 }],
    ['0 as text', { code: '0' }],
    ['a word for success', { code: 'OK' }],
    ['200', { code: 200 }],
    ['an empty one', { code: '' }],
    ['null', { code: null }],
    ['none', {}],
  ])('P6 a code of the server\'s own that means success: %s', async (_case, code) => {
    expect(await readBy({ tokenResponse: { names: { error: 'code' } } }, { json: { ...members, ...code } })).toMatchObject({ value: 'at-1' });
  });

  test('P1 a self-renewing token is sent as the refresh token, and the server\'s own is not', async () => {
    const first = { access_token: 'at-1', token_type: 'bearer', expires_in: 3600, refresh_token: 'not-this-one' };
    const server: Peculiar = { ...answering({ names: { refresh_token: 'access_token' } }, first, again), refresh: { takes: asking('refresh', { refresh_token: 'at-1' }), gives: { json: again } } };
    expect(await runOf(server)).toMatchObject({ first: { value: 'at-1', parameters: {} }, second: { value: 'at-2' } });
  });
});

describe('the translation', () => {
  const word = fc.constantFrom('access_token', 'token', 'refresh_token', 'data', 'expires_in', 'error', '__proto__', 'constructor', 'a.b', 'x');
  const anything = fc.object({ key: word, maxDepth: 2, withNullPrototype: false });

  test('L9 whatever is answered, it neither throws nor pollutes', () => {
    fc.assert(fc.property(anything, fc.option(word, { nil: undefined }), fc.dictionary(fc.constantFrom('access_token', 'refresh_token', 'expires_in', 'expires_at', 'error'), word), (json, at, names) => {
      const members = JSON.parse(JSON.stringify(json)) as Record<string, unknown>;
      const answer = { status: 200, headers: new Headers(), body: '', members };
      const before = JSON.stringify(members);
      const { members: understood = {} } = understoodTokenResponse(answer, { at, names }, ' ', NOW);
      expect(JSON.stringify(members)).toBe(before);
      expect(Object.getPrototypeOf(understood)).toBe(Object.prototype);
      expect(({} as Record<string, unknown>)['x']).toBeUndefined();
    }), { numRuns: 1_000 });
  });

  test('P1 a conformant answer is as it was', () => {
    const text = fc.string({ minLength: 1, maxLength: 8 });
    fc.assert(fc.property(fc.record({ access_token: text, token_type: fc.constant('Bearer'), expires_in: fc.integer({ min: 1 }), refresh_token: text, instance: text }, { requiredKeys: ['access_token'] }), (members) => {
      const answer = { status: 200, headers: new Headers(), body: '', members };
      expect(understoodTokenResponse(answer, {}, ' ', NOW).members).toEqual(members);
    }));
  });

  test('P1 what was moved and renamed is found again', () => {
    const text = fc.string({ minLength: 1, maxLength: 8 });
    const names = fc.uniqueArray(fc.constantFrom('one', 'two.inner', 'three', 'four.deep.er'), { minLength: 4, maxLength: 4 });
    fc.assert(fc.property(names, text, text, fc.integer({ min: 1, max: 1e6 }), fc.constantFrom(undefined, 'data', 'result.data'), ([a = '', b = '', c = '', d = ''], accessToken, refreshToken, expiresIn, at) => {
      const put = (path: string, value: unknown): object => path.split('.').reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as object;
      const tokens = { ...put(a, accessToken), ...put(b, refreshToken), ...put(c, expiresIn), ...put(d, 'bearer') };
      const answer = { status: 200, headers: new Headers(), body: '', members: (at === undefined ? tokens : put(at, tokens)) as Record<string, unknown> };
      const understood = understoodTokenResponse(answer, { at, names: { access_token: a, refresh_token: b, expires_in: c, token_type: d } }, ' ', NOW).members;
      expect(understood).toMatchObject({ access_token: accessToken, refresh_token: refreshToken, expires_in: expiresIn, token_type: 'bearer' });
    }));
  });
});
