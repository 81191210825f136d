import { createTokenManager, type OAuthError } from 'grantkeeper';
import * as node from 'grantkeeper/node';
import * as web from 'grantkeeper/web';
import { describe, expect, test } from 'vitest';
import { thrownBy } from './support/failure.js';
import { ScriptedLogins } from './support/scripted-logins.js';

const REDIRECT_URI = 'https://app.example.com/callback';

const handlersWith = (options: unknown, tokens: unknown = new ScriptedLogins()): unknown => web.createLoginHandlers(tokens as web.LoginManager, options as web.LoginHandlersOptions);
const refusal = (options: unknown, tokens?: unknown): OAuthError => thrownBy(() => handlersWith(options, tokens));

describe('createLoginHandlers: bad input is refused at once, naming the option, the rule and what was received', () => {
  test.each<[option: string, value: unknown, rule: string, received: string]>([
    ['redirectUri', '', 'an absolute URL without a fragment (RFC 6749 section 3.1.2)', '""'],
    ['redirectUri', '/callback', 'an absolute URL', '"/callback"'],
    ['redirectUri', 7, 'an absolute URL', '7'],
    ['redirectUri', null, 'an absolute URL', 'null'],
    ['redirectUri', 'http://app.example.com/callback', 'https, or http to loopback', '"http://app.example.com/callback"'],
    ['redirectUri', new URL('http://app.example.com/callback'), 'https, or http to loopback', '"http://app.example.com/callback"'],
    ['redirectUri', 'com.example.app:/callback', 'https, or http to loopback', '"com.example.app:/callback"'],
    ['redirectUri', 'localhost:3000/callback', 'https, or http to loopback', '"localhost:3000/callback"'],
    ['redirectUri', `${REDIRECT_URI}#here`, 'an absolute URL without a fragment', `"${REDIRECT_URI}#here"`],
    ['redirectUri', `${REDIRECT_URI}#`, 'an absolute URL without a fragment', `"${REDIRECT_URI}#"`],
    ['scope', 7, 'a string or a list of non-empty strings', '7'],
    ['scope', [''], 'a string or a list of non-empty strings', 'a list of 1'],
    ['resource', {}, 'a string or a list of non-empty strings', 'an object with no members'],
    ['audience', '', 'a non-empty string', '""'],
    ['parameters', 'prompt=consent', 'an object whose values are strings', 'a string of 14 characters'],
    ['parameters', { display: 7 }, 'an object whose values are strings', 'an object with display'],
    ['parameters', new URLSearchParams(), 'an object whose values are strings', 'an object'],
    ['prompt', '', 'a non-empty string', '""'],
    ['maxAge', '60', 'a whole number of seconds, 0 or more', '"60"'],
    ['maxAge', -1, 'a whole number of seconds, 0 or more', '-1'],
    ['maxAge', 0.5, 'a whole number of seconds, 0 or more', '0.5'],
    ['loginHint', 7, 'a non-empty string', '7'],
    ['acrValues', ['gold'], 'a non-empty string', 'a list of 1'],
    ['loginPath', '', 'a path of this site without query and fragment, such as "/login"', '""'],
    ['loginPath', 'login', 'a path of this site', '"login"'],
    ['loginPath', '//login', 'a path of this site', '"//login"'],
    ['loginPath', '/login?x', 'without query and fragment', '"/login?x"'],
    ['loginPath', '/login#x', 'without query and fragment', '"/login#x"'],
    ['loginPath', '/x/../login', 'a path of this site', '"/x/../login"'],
    ['loginPath', 'https://app.example.com/login', 'a path of this site', '"https://app.example.com/login"'],
    ['loginPath', '/\u00FC', 'a path of this site', '"/\u00FC"'],
    ['logoutPath', '/\\evil.com', 'a path of this site', String.raw`"/\\evil.com"`],
    ['logoutPath', 7, 'a path of this site', '7'],
    ['afterLogin', '//evil.com', 'a path of this site as browsers spell it, such as "/account"', '"//evil.com"'],
    ['afterLogin', 'https://app.example.com/', 'a path of this site', '"https://app.example.com/"'],
    ['afterLogout', '/\t/evil.com', 'a path of this site', String.raw`"/\t/evil.com"`],
    ['afterLogout', null, 'a path of this site', 'null'],
    ['onError', 'log', 'a function', '"log"'],
  ])('`%s`: %j', (option, value, rule, received) => {
    const failure = refusal({ redirectUri: REDIRECT_URI, [option]: value });
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: false });
    expect(failure.message).toMatch(/^createLoginHandlers: /);
    expect(failure.message).toContain(`\`${option}\``);
    expect(failure.message).toContain(rule);
    expect(failure.message).toContain(`received ${received}`);
  });

  test.each<[string, unknown, string]>([
    ['nothing', undefined, 'the options must be an object; received nothing'],
    ['no redirect URI', {}, '`redirectUri` is required'],
    ['a redirect URI that is undefined', { redirectUri: undefined }, '`redirectUri` is required'],
    ['user and password', { redirectUri: 'https://user:canary@app.example.com/callback' }, '`redirectUri` must not hold user and password'],
    ['a typo', { redirectUri: REDIRECT_URI, loginpath: '/in' }, 'unknown option `loginpath`; did you mean `loginPath`?'],
    ['returnTo, which belongs to a single login', { redirectUri: REDIRECT_URI, returnTo: '/' }, 'unknown option `returnTo`'],
    ['a parameter that is the library\'s', { redirectUri: REDIRECT_URI, parameters: { state: 'mine' } }, '`parameters.state` is reserved: the library sends it'],
    ['a form post, which comes without cookies', { redirectUri: REDIRECT_URI, parameters: { response_mode: 'form_post' } }, '`parameters.response_mode` must be query here'],
    ['login at the callback\'s path', { redirectUri: REDIRECT_URI, loginPath: '/callback' }, '`loginPath` must have another path than `redirectUri`; received "/callback" for both'],
    ['logout at the callback\'s path', { redirectUri: 'https://app.example.com/logout' }, '`logoutPath` must have another path than `redirectUri`; received "/logout" for both'],
    ['login and logout at one path', { redirectUri: REDIRECT_URI, loginPath: '/x', logoutPath: '/x' }, '`logoutPath` must have another path than `loginPath`; received "/x" for both'],
    ['logins without end', { redirectUri: REDIRECT_URI, afterLogin: '/login?again' }, '`afterLogin` must not lead to `loginPath`; received "/login?again"'],
    ['a login that leads to the logout', { redirectUri: REDIRECT_URI, afterLogin: '/logout' }, '`afterLogin` must not lead to `logoutPath`'],
    ['a login that leads to the callback', { redirectUri: 'https://app.example.com/' }, '`afterLogin` must not lead to `redirectUri`; received "/"'],
    ['a logout that leads to the logout', { redirectUri: REDIRECT_URI, afterLogout: '/logout' }, '`afterLogout` must not lead to `logoutPath`'],
    ['a logout that leads to the callback', { redirectUri: REDIRECT_URI, afterLogout: '/callback#x' }, '`afterLogout` must not lead to `redirectUri`'],
  ])('%s', (_case, options, message) => {
    const failure = refusal(options);
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: false });
    expect(failure.message).toContain(`createLoginHandlers: ${message}`);
    expect(failure.message).not.toContain('canary');
  });

  test.each<[unknown, string]>([[undefined, 'nothing'], [{}, 'an object with no members'], [{ startLogin: () => undefined }, 'an object with startLogin']])('%j is no token manager', (tokens, received) => {
    const message = `createLoginHandlers: the first argument must be a token manager; received ${received}`;
    expect(thrownBy(() => web.createLoginHandlers(tokens as web.LoginManager, { redirectUri: REDIRECT_URI })).message).toBe(message);
    expect(thrownBy(() => node.createLoginHandlers(tokens as web.LoginManager, { redirectUri: REDIRECT_URI })).message).toBe(message);
  });

  test('the handlers for Node refuse the same', () => {
    expect(thrownBy(() => node.createLoginHandlers(new ScriptedLogins(), { redirectUri: '/callback' })).message).toContain('createLoginHandlers: `redirectUri` must be an absolute URL');
  });

  test.each<[string, unknown]>([
    ['redirectUri', 'http://localhost:3000/callback'],
    ['redirectUri', 'http://127.0.0.1/callback'],
    ['redirectUri', 'http://[::1]:3000/callback'],
    ['redirectUri', new URL(REDIRECT_URI)],
    ['redirectUri', 'https://app.example.com/callback?tenant=1'],
    ['scope', ''],
    ['resource', ['https://a.example.com', 'https://b.example.com']],
    ['parameters', { response_mode: 'query' }],
    ['maxAge', 0],
    ['loginPath', '/a/b'],
    ['loginPath', '/%C3%BC'],
    ['afterLogin', '/a?b#c'],
    ['afterLogout', '/login'],
    ['onError', () => undefined],
  ])('`%s` may be %j', (option, value) => {
    expect(() => handlersWith({ redirectUri: REDIRECT_URI, [option]: value })).not.toThrow();
  });

  test('an option that is undefined counts as absent', async () => {
    const names = ['scope', 'resource', 'audience', 'parameters', 'prompt', 'maxAge', 'loginHint', 'acrValues', 'loginPath', 'logoutPath', 'afterLogin', 'afterLogout', 'onError'];
    const auth = web.createLoginHandlers(new ScriptedLogins(), { redirectUri: REDIRECT_URI, ...Object.fromEntries(names.map((name) => [name, undefined])) });
    expect((await auth.handle(new Request('https://app.example.com/login')))?.status).toBe(303);
  });

  test('the caller\'s options may be frozen, and stay as they are', () => {
    const options = Object.freeze({ redirectUri: REDIRECT_URI, parameters: Object.freeze({ display: 'page' }) });
    const before = structuredClone(options);
    handlersWith(options);
    expect(options).toEqual(before);
  });

  test('a token manager as it is made is one', () => {
    const tokens = createTokenManager({ issuer: 'https://login.example.com', clientId: 'app' });
    expect(() => web.createLoginHandlers(tokens, { redirectUri: REDIRECT_URI })).not.toThrow();
    expect(() => node.createLoginHandlers(tokens, { redirectUri: REDIRECT_URI })).not.toThrow();
  });
});

test('the public names of the subpaths', () => {
  expect(Object.keys(web)).toEqual(['createLoginHandlers']);
  expect(Object.keys(node)).toEqual(['createLoginHandlers']);
});
