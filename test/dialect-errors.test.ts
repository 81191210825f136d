import { clientSecretBasic, clientSecretPost, type Dialect, type OAuthError } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Answer } from './support/answers.js';
import { textsOf } from './support/canary.js';
import { failureOf } from './support/failure.js';
import { begin, peculiarManager, startEndpoint, type PeculiarOptions, type ScriptedEndpoint } from './support/peculiar-session.js';
import { REDIRECT_URI } from './support/web-client.js';

const HOUR = 3_600_000;
const CANARY = 'canary-7c2e9b41';

let server: ScriptedEndpoint;

beforeEach(async () => {
  server = await startEndpoint();
});

afterEach(async () => {
  await server.close();
});

async function failureOn(answer: Answer, dialect: Dialect = {}, options: PeculiarOptions = {}): Promise<OAuthError> {
  server.answers = () => answer;
  return failureOf(peculiarManager(server, dialect, options).tokens.clientCredentials().getToken());
}

const own: Dialect = { tokenResponse: { names: { error: 'code', error_description: 'message' }, errors: { 40105: 'invalid_grant', bad_secret: 'invalid_client', busy: 'temporarily_unavailable', 418: 'invalid_grant', 401: 'invalid_client', 503: 'invalid_grant', 0: 'invalid_grant' } } };

describe('P6 errors in the server\'s words', () => {
  test.each<[string, Answer, object]>([
    ['by code, as a number', { status: 400, json: { code: 40105, message: 'expired' } }, { error: 'invalid_grant', errorDescription: 'expired', retryable: false, status: 400 }],
    ['by code, as text', { status: 400, json: { code: '40105' } }, { error: 'invalid_grant' }],
    ['by code, with 200', { json: { code: 40105, message: 'expired' } }, { error: 'invalid_grant', status: 200 }],
    ['by code, with 200, though something is called a token', { json: { code: 40105, access_token: 'none' } }, { error: 'invalid_grant', status: 200 }],
    ['by code, with 500', { status: 500, json: { code: 40105 } }, { error: 'invalid_grant', retryable: false, status: 500 }],
    ['invalid_client', { status: 400, json: { code: 'bad_secret' } }, { error: 'invalid_client' }],
    ['temporarily_unavailable, with 200', { json: { code: 'busy' } }, { error: 'temporarily_unavailable', retryable: true }],
    ['by status, with another code', { status: 418, json: { code: 'teapot' } }, { error: 'invalid_grant', status: 418 }],
    ['by status, without a body', { status: 418 }, { error: 'invalid_grant', status: 418 }],
    ['by status, with a page', { status: 418, body: '<html>' }, { error: 'invalid_grant', status: 418 }],
    ['by status, with `invalid_request`', { status: 418, json: { code: 'invalid_request' } }, { error: 'invalid_grant' }],
    ['by status, but the RFC\'s code says more', { status: 418, json: { code: 'invalid_client' } }, { error: 'invalid_client' }],
    ['by code before status', { status: 418, json: { code: 'bad_secret' } }, { error: 'invalid_client' }],
    ['by status, 5xx', { status: 503, json: {} }, { error: 'invalid_grant', retryable: false }],
    ['a code that is declared is an error even where it looks like success', { json: { code: 0, access_token: 'at-1', token_type: 'Bearer' } }, { error: 'invalid_grant' }],
    ['the RFC\'s word in the RFC\'s member after all', { status: 400, json: { error: 'invalid_grant' } }, { error: 'invalid_grant', status: 400 }],
    ['an unknown code', { status: 400, json: { code: 51305, message: 'no' } }, { error: '51305', errorDescription: 'no', retryable: false }],
    ['an unknown code with 200', { json: { code: 51305 } }, { error: '51305', status: 200 }],
    ['an unknown code with 500', { status: 500, json: { code: 51305 } }, { error: '51305', retryable: true }],
    ['a member of every object', { status: 400, json: { code: 'constructor' } }, { error: 'constructor' }],
  ])('P6 %s', async (_case, answer, expected) => {
    expect(await failureOn(answer, own)).toMatchObject({ code: 'token_request_failed', ...expected });
  });

  test('P6 a short value that was kept takes nothing from the server\'s word', async () => {
    const { tokens, clock } = peculiarManager(server, { authorizationResponse: { keep: ['region'] }, tokenRequest: { parameters: { requested_token_type: 'user' } } });
    server.answers = () => ({ json: { access_token: 'at-1', token_type: 'Bearer', expires_in: 60, refresh_token: 'rt-1' } });
    const session = await begin(tokens, { region: 'us' });
    clock.advance(60_000);
    server.answers = () => ({ status: 400, json: { error: 'user_busy', error_description: 'use us' } });
    expect(await failureOf(session.getToken())).toMatchObject({ error: 'user_busy', errorDescription: 'use us' });
  });

  test('P6 a number that nobody declared is the server\'s word all the same', async () => {
    const { tokens } = peculiarManager(server, {});
    server.answers = () => ({ json: { error: 1017 } });
    expect(await failureOf(tokens.clientCredentials().getToken())).toMatchObject({ error: '1017', status: 200 });
  });

  test('P6 nested ones', async () => {
    const dialect: Dialect = { tokenResponse: { names: { error: 'error.code', error_description: 'error.message' }, errors: { 190: 'invalid_grant' } } };
    expect(await failureOn({ status: 400, json: { error: { code: 190, message: 'expired', type: 'OAuthException' } } }, dialect)).toMatchObject({ error: 'invalid_grant', errorDescription: 'expired' });
  });

  test('T1 a declared `invalid_client` asks for the secret again', async () => {
    server.answers = ({ basic }) => (basic?.password === 'new' ? { json: { access_token: 'at-1', token_type: 'Bearer' } } : { json: { error: 'bad_secret' } });
    const secrets = ['old', 'new'];
    const { tokens } = peculiarManager(server, { tokenResponse: { errors: { bad_secret: 'invalid_client' } } }, { clientAuthentication: clientSecretBasic(() => secrets.shift() ?? 'none') });
    expect((await tokens.clientCredentials().getToken()).value).toBe('at-1');
    expect(server.asked.map(({ basic }) => basic?.password)).toEqual(['old', 'new']);
  });
});

describe('P6 the end of a session', () => {
  const ends: Dialect = { tokenResponse: { errors: { gone: 'invalid_grant', 418: 'invalid_grant', 500: 'invalid_grant', 429: 'invalid_grant' } } };

  test.each<[string, Answer, Dialect, string]>([
    ['a declared code', { status: 400, json: { error: 'gone' } }, ends, 'reauthorization_required'],
    ['a declared code with 200', { json: { error: 'gone' } }, ends, 'reauthorization_required'],
    ['a declared code with 503', { status: 503, json: { error: 'gone' } }, ends, 'reauthorization_required'],
    ['a declared status', { status: 418 }, ends, 'reauthorization_required'],
    ['a declared 500', { status: 500, body: '<html>' }, ends, 'reauthorization_required'],
    ['a declared 429', { status: 429 }, ends, 'reauthorization_required'],
    ['a 500 that is not declared', { status: 500, json: { error: 'invalid_grant' } }, {}, 'token_request_failed'],
    ['a 503 that is not declared', { status: 503, json: { error: 'invalid_grant' } }, ends, 'token_request_failed'],
    ['a 429 that is not declared', { status: 429, json: { error: 'invalid_grant' } }, {}, 'token_request_failed'],
    ['an unknown code', { status: 400, json: { error: 'other' } }, ends, 'token_request_failed'],
    ['an empty 401', { status: 401 }, ends, 'token_request_failed'],
    ['a declared `temporarily_unavailable`', { status: 400, json: { error: 'gone' } }, { tokenResponse: { errors: { gone: 'temporarily_unavailable' } } }, 'token_request_failed'],
    ['a declared `invalid_client`', { status: 400, json: { error: 'gone' } }, { tokenResponse: { errors: { gone: 'invalid_client' } } }, 'token_request_failed'],
  ])('P6 R4 %s', async (_case, answer, dialect, code) => {
    const { tokens, clock } = peculiarManager(server, dialect);
    const session = await begin(tokens);
    const usual = server.answers;
    server.answers = () => answer;
    clock.advance(HOUR);
    expect(await failureOf(session.getToken())).toMatchObject({ code });
    server.answers = usual;
    clock.advance(HOUR);
    const asked = server.asked.length;
    if (code === 'reauthorization_required') {
      expect(await failureOf(session.getToken())).toMatchObject({ code });
      expect(server.asked).toHaveLength(asked);
    } else {
      expect(await session.getToken()).toHaveProperty('value', `at-${asked + 1}`);
      expect(server.asked.at(-1)?.parameters.get('refresh_token')).toBe('rt-1');
    }
  });
});

describe('P4 credentials in a query, in JSON and in headers', () => {
  const forms: [string, Dialect['tokenRequest']][] = [
    ['a form', {}],
    ['JSON', { format: 'json' }],
    ['a query', { format: 'query' }],
    ['GET', { method: 'GET' }],
    ['other names', { names: { client_secret: 'app_key', refresh_token: 'renewal', code: 'ticket' }, format: 'json' }],
  ];
  const headers = { 'x-signature-key': `${CANARY}-header` };
  const parameters = { api_key: `${CANARY}-parameter` };

  test.each(forms)('P4 %s: they are in no error, whatever the server echoes', async (_form, tokenRequest) => {
    const dialect: Dialect = { tokenRequest: { headers, parameters, ...tokenRequest } };
    const { tokens, clock } = peculiarManager(server, dialect, { clientAuthentication: clientSecretPost(`${CANARY}-secret`) });
    server.answers = () => ({ json: { access_token: `${CANARY}-at`, token_type: 'Bearer', expires_in: 3600, refresh_token: `${CANARY}-rt` } });
    const session = await begin(tokens, { code: `${CANARY}-code` });
    server.answers = ({ url, body, headers: sent }) => ({ status: 400, json: { error: 'invalid_request', error_description: `${url} ${body} ${JSON.stringify(sent)} ${Buffer.from(body).toString('base64')}` } });
    clock.advance(HOUR);
    const failures = [await failureOf(session.getToken()), await failureOf(tokens.clientCredentials().getToken()), await failureOf(begin(tokens, { code: `${CANARY}-code` }))];
    server.answers = ({ url, body }) => ({ body: `<p>${url} ${body}</p>` });
    failures.push(await failureOf(session.getToken()));
    server.answers = ({ url }) => ({ status: 302, headers: { location: url } });
    failures.push(await failureOf(session.getToken()));
    await server.stop();
    failures.push(await failureOf(session.getToken()), await failureOf(peculiarManager(server, dialect, { clientAuthentication: clientSecretPost(`${CANARY}-secret`) }).tokens.clientCredentials().getToken()));
    expect(failures.map(({ code }) => code)).toEqual(['token_request_failed', 'token_request_failed', 'token_request_failed', 'invalid_response', 'token_request_failed', 'server_unreachable', 'server_unreachable']);
    for (const failure of failures) for (const text of textsOf(failure)) expect(text).not.toMatch(new RegExp(CANARY, 'i'));
  });

  test('P4 what a hook puts into the address is not in an error either', async () => {
    const dialect: Dialect = {
      prepareTokenRequest: (request) => {
        request.url.pathname = '/signed/token';
        request.url.searchParams.set('token', `${CANARY}-query`);
        request.url.searchParams.set('sig', `${CANARY}-sig`);
        request.headers.set('x-signature', `${CANARY}-signature`);
      },
    };
    server.answers = ({ url, headers: sent }) => ({ status: 400, json: { error: 'invalid_request', error_description: `${url} ${JSON.stringify(sent)}` } });
    const { tokens } = peculiarManager(server, dialect);
    const failures = [await failureOf(tokens.clientCredentials().getToken())];
    expect(server.asked[0]?.url).toContain(`${CANARY}-query`);
    await server.stop();
    failures.push(await failureOf(tokens.clientCredentials({ scope: 'b' }).getToken()));
    for (const failure of failures) for (const text of textsOf(failure)) expect(text).not.toContain(CANARY);
  });
});

describe('what an error says to declare', () => {
  const good = { access_token: 'at-1', token_type: 'Bearer', expires_in: 60 };

  test.each<[string, Answer, Dialect, RegExp]>([
    ['no token_type', { json: { ...good, token_type: undefined } }, {}, /has no token_type; if this server means Bearer, declare `dialect\.tokenResponse\.tokenType`$/],
    ['another token_type', { json: { ...good, token_type: 'user' } }, {}, /declare `dialect\.tokenResponse\.tokenType`$/],
    ['tokens in an object', { json: { ok: true, count: 1, none: null, list: [], data: { access_token: 'at', expires_in: 1 } } }, {}, /It has ok \(boolean\), count \(number\), none \(null\), list \(list\), data \(object with access_token, expires_in\): .*`dialect\.tokenResponse\.at` or `dialect\.tokenResponse\.names\.access_token`$/],
    ['a wrong `at`', { json: { body: { access_token: 'at' } } }, { tokenResponse: { at: 'data' } }, /body \(object with access_token\)/],
    ['another name', { json: { token: 'at', ttl: 60 } }, {}, /It has token \(text\), ttl \(number\): /],
    ['nothing at all', { json: {} }, {}, /If it has one elsewhere, declare where in `dialect\.tokenResponse\.at`/],
    ['a code that no RFC has', { status: 400, json: { error: 'bad_refresh_token' } }, {}, /none of RFC 6749.*`dialect\.tokenResponse\.errors`$/],
    ['a code elsewhere', { status: 400, json: { code: 40105, message: 'expired' } }, {}, /It has code \(number\), message \(text\): declare which of them is the code in `dialect\.tokenResponse\.names\.error`/],
    ['a code inside an object', { status: 400, json: { error: { code: 190, message: 'expired' } } }, {}, /It has error \(object with code, message\): declare/],
    ['no code at all', { status: 401 }, {}, /declare 401 in `dialect\.tokenResponse\.errors`$/],
    ['another form', { body: 'TOKEN at-1' }, {}, /neither a JSON object nor a form; .*`dialect\.parseTokenResponse`$/],
    ['a list', { json: [good] }, {}, /`dialect\.parseTokenResponse`$/],
  ])('%s', async (_case, answer, dialect, message) => {
    expect((await failureOn(answer, dialect)).message).toMatch(message);
  });

  test.each<[string, Answer]>([
    ['a code of the RFC', { status: 400, json: { error: 'invalid_grant' } }],
    ['an outage', { status: 503, json: { message: 'busy' } }],
    ['an outage\'s page', { status: 502, body: '<html>' }],
  ])('nothing after %s', async (_case, answer) => {
    expect((await failureOn(answer)).message).not.toContain('dialect');
  });

  const token = 'eyJhbGciOiJIUzI1NiJ9abcDEF12';
  test.each<[string, Answer]>([
    ['values', { json: { message: CANARY, data: { deep: CANARY, list: [CANARY] } } }],
    ['names', { json: { [CANARY]: 1, [token]: 1, 'two words': 1, ['x'.repeat(31)]: 1, data: { [CANARY]: 1, [token]: 1, ok_name: 1 } } }],
    ['values of an error', { status: 400, json: { code: { text: CANARY }, [token]: CANARY } }],
    ['a form', { status: 400, body: `error=&reason=${CANARY}&${CANARY}=1`, headers: { 'content-type': 'application/x-www-form-urlencoded' } }],
    ['another form', { body: CANARY }],
    ['a token_type', { json: { ...good, token_type: CANARY } }],
  ])('S1 no %s', async (_case, answer) => {
    const failure = await failureOn(answer);
    for (const text of textsOf(failure)) {
      expect(text).not.toContain(CANARY);
      expect(text).not.toContain(token);
    }
  });

  test('S1 a token in the place of a name isn\'t told, though it looks like a word', async () => {
    const failure = await failureOn({ json: { correcthorse: 1, refresh_token: 'correcthorse', other: 'x' } }, {}, {});
    expect(failure.message).toContain('other (text)');
    expect(failure.message).not.toContain('correcthorse');
    const echoed = await failureOn({ json: { batterystaple: 1, other: 'x' } }, {}, { clientAuthentication: clientSecretBasic('batterystaple') });
    expect(echoed.message).not.toContain('batterystaple');
  });

  test('at most ten names', async () => {
    const { message } = await failureOn({ json: Object.fromEntries(Array.from('abcdefghijklmno', (letter) => [`m_${letter}`, 1])) });
    expect(message.match(/\(number\)/g)).toHaveLength(10);
  });

  test.each<[string, (state: string) => string, RegExp]>([
    ['no state', () => `?code=${CANARY}&csrf=${CANARY}&${CANARY}=1`, /it has no `state`\. It has csrf: if one of these is the state, declare `dialect\.authorizationResponse\.names\.state`$/],
    ['no code', (state) => `?auth_code=${CANARY}&state=${state}&x=1`, /neither `code` nor `error`\. It has auth_code, x: if one of these is the code, declare `dialect\.authorizationResponse\.names\.code`$/],
    ['neither, and nothing else', (state) => `?state=${state}`, /neither `code` nor `error`$/],
  ])('a callback with %s', async (_case, callback, message) => {
    const { tokens } = peculiarManager(server, {});
    const { state, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI });
    const failure = await failureOf(tokens.completeLogin(callback(state), transaction));
    expect(failure.message).toMatch(message);
    for (const text of textsOf(failure)) expect(text).not.toContain(CANARY);
  });
});
