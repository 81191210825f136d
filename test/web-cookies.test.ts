import { createLoginHandlers } from 'grantkeeper/web';
import { describe, expect, test } from 'vitest';
import { cookieNamed, readCookies } from '../src/web/cookies.js';
import { surplusTransactionCookies, transactionCookieName } from '../src/web/transaction-cookie.js';
import { ScriptedLogins } from './support/scripted-logins.js';

const NAME = '__Host-grantkeeper-session';
const ID = 'AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE';
const OTHER = 'x'.repeat(43);

const auth = createLoginHandlers(new ScriptedLogins(), { redirectUri: 'https://app.example.com/callback' });
const sessionBy = (cookie: string): string | undefined => auth.session({ headers: new Headers({ cookie }) })?.id;

describe('A9 session(request) finds the session in the Cookie header', () => {
  test.each<[string, string]>([
    ['alone', `${NAME}=${ID}`],
    ['first', `${NAME}=${ID}; theme=dark`],
    ['last', `theme=dark; ${NAME}=${ID}`],
    ['without spaces', `theme=dark;${NAME}=${ID};a=b`],
    ['with blanks around', `a=b; \t ${NAME} = ${ID} \t;c=d`],
    ['quoted', `${NAME}="${ID}"`],
    ['twice, the same', `${NAME}=${ID}; ${NAME}=${ID}`],
    ['after what is no cookie', `;; =; nonsense; a==b; ${NAME}=${ID}`],
    ['after one whose value has the name in it', `a=${NAME}=${OTHER}; ${NAME}=${ID}`],
    ['after one with the name in other capitals', `${NAME.toLowerCase()}=${OTHER}; ${NAME}=${ID}`],
  ])('%s', (_case, cookie) => {
    expect(sessionBy(cookie)).toBe(ID);
  });

  test.each<[string, string]>([
    ['empty', ''],
    ['no such cookie', 'theme=dark'],
    ['no value', `${NAME}=`],
    ['no equals sign', NAME],
    ['too short', `${NAME}=${ID.slice(1)}`],
    ['too long', `${NAME}=${ID}A`],
    ['other characters', `${NAME}=${ID.slice(1)}.`],
    ['percent-encoded', `${NAME}=%41${ID.slice(1)}`],
    ['half a quote', `${NAME}="${ID}`],
    ['twice, and different', `${NAME}=${ID}; ${NAME}=${OTHER}`],
    ['without its prefix', `grantkeeper-session=${ID}`],
    ['only inside another', `a="; b=${NAME}=${ID}`],
    ['behind a blank that is none to a browser', `\u00A0${NAME}=${ID}`],
    ['before one', `${NAME}\u00A0=${ID}`],
  ])('and none: %s', (_case, cookie) => {
    expect(sessionBy(cookie)).toBeUndefined();
  });

  test('no header at all', () => {
    expect(auth.session(new Request('https://app.example.com/'))).toBeUndefined();
  });

  test('a Request, and anything else whose headers can be asked', () => {
    const cookie = `${NAME}=${ID}`;
    expect(auth.session(new Request('https://app.example.com/', { headers: { cookie } }))?.id).toBe(ID);
    expect(auth.session({ headers: { get: (name) => (name === 'cookie' ? cookie : null) } })?.id).toBe(ID);
  });
});

describe('A9 a transaction\'s cookie', () => {
  const nameFor = (url: string): string | undefined => transactionCookieName(new URL(url));

  test('has the same name for the authorization request and for the callback, and another for every other `state`', () => {
    const name = nameFor('https://login.example.com/authorize?client_id=app&state=s-1');
    expect(name).toMatch(/^__Host-grantkeeper-login-[\w-]{12}$/);
    expect(nameFor('https://app.example.com/callback?state=s-1&code=c')).toBe(name);
    expect(nameFor('https://app.example.com/callback?state=s-2&code=c')).not.toBe(name);
  });

  test.each(['https://app.example.com/callback', 'https://app.example.com/callback?State=s-1', 'https://app.example.com/callback?state=s-1&state=s-1', 'https://app.example.com/callback?state=s-1&state=s-2'])('has none for %s', (url) => {
    expect(nameFor(url)).toBeUndefined();
  });

  test('its name holds nothing of the `state`', () => {
    expect(nameFor('https://app.example.com/callback?state=canary')).not.toContain('canary');
  });

  const letters = 'a b c d e f g h i j k l m n o p q r s t'.split(' ');
  const named = (letter: string): string => `__Host-grantkeeper-login-${letter.repeat(12)}`;

  test.each<[number, string[]]>([[0, []], [3, []], [4, ['a']], [5, ['a', 'b']], [20, letters.slice(0, 17)]])('of %i under way, %j go when another begins', (count, gone) => {
    const header = letters.slice(0, count).map((letter) => `${named(letter)}=t; other-${letter}=1`).join('; ');
    expect(surplusTransactionCookies(readCookies(header))).toEqual(gone.map(named));
  });

  test('cookies of others with the same beginning are left alone', () => {
    const header = letters.slice(0, 6).map((letter) => `__Host-grantkeeper-login-${letter}=t; __Host-grantkeeper-login-${letter} ${letter.repeat(10)}=t`).join('; ');
    expect(surplusTransactionCookies(readCookies(header))).toEqual([]);
  });
});

test('a cookie is what it was set to, whatever is in it but a semicolon', () => {
  expect(cookieNamed('a', readCookies('a=b=c==, d'))).toBe('b=c==, d');
  expect(cookieNamed('a', readCookies('a=""'))).toBe('');
  expect(cookieNamed('a', readCookies('a="'))).toBe('"');
});
