import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { safeReturnTo } from '../src/login/return-to.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { signIn, webClient } from './support/web-client.js';

let server: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(async () => {
  await server.close();
});

describe('A8 a path of this site comes back as it was', () => {
  test.each([
    '/',
    '/inbox',
    '/inbox?folder=a%20b&page=2#top',
    '/a//b',
    '/search?next=https://evil.com',
    '/search?next=//evil.com',
    '/#//evil.com',
    '/@evil.com',
    '/:80',
    '/evil.com',
    '/a:b@evil.com',
    '/javascript:alert(1)',
    '/%2Fevil.com',
    '/%5Cevil.com',
  ])('A8 %s', async (returnTo) => {
    expect((await signIn(webClient(server), { returnTo })).returnTo).toBe(returnTo);
  });

  test.each([
    ['/?', '/'],
    ['/a/../b', '/b'],
    ['/./a', '/a'],
    ['/ä ö', '/%C3%A4%20%C3%B6'],
    ['/a\\b', '/a/b'],
    ['/a\tb\nc\rd', '/abcd'],
    ['/a ', '/a'],
  ])('A8 %j is what a browser makes of it: %s', async (returnTo, path) => {
    expect((await signIn(webClient(server), { returnTo })).returnTo).toBe(path);
  });
});

describe('A8 all else falls back to /', () => {
  test.each([
    '//evil.com',
    '///evil.com',
    '////evil.com',
    '/\\evil.com',
    '\\\\evil.com',
    '\\/evil.com',
    '/\t/evil.com',
    '/\n/evil.com',
    '/\r/evil.com',
    '/\t\\evil.com',
    '\t//evil.com',
    ' //evil.com',
    '/..//evil.com',
    '/a/..//evil.com',
    '/.//evil.com',
    '/./\\evil.com',
    '/%2e%2e//evil.com',
    '/%2E//evil.com',
    '/.\t.//evil.com',
    '//',
    '///',
    '/\\',
    '/a/..//',
    'https://evil.com',
    'https:evil.com',
    'https:/evil.com',
    'HTTPS://evil.com',
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    'data:text/html,x',
    'evil.com',
    'inbox',
    '?a=b',
    '#a',
    'http://[',
    '//[',
    '/\\[',
    '',
    ' ',
    '.',
    '..',
    '@evil.com',
    ':80',
    '\u0000/a',
    '\ufeff/a',
    '\uff0f\uff0fevil.com',
  ])('A8 %j falls back to /', async (returnTo) => {
    expect((await signIn(webClient(server), { returnTo })).returnTo).toBe('/');
  });

  test.each([undefined, null, 5, {}, ['/a'], Symbol('/a'), new URL('https://evil.com/a')])('A8 a value that is no text: %s', (value) => {
    expect(safeReturnTo(value)).toBe('/');
  });

  test('A8 where the login was started without one, there is none', async () => {
    const { returnTo } = await signIn(webClient(server));
    expect(returnTo).toBeUndefined();
  });
});

describe('A8 whatever comes', () => {
  /** The pieces of which such tricks are made. */
  const piece = fc.constantFrom('/', '\\', '.', '..', '%2e', '%2f', '%5c', '\t', '\n', '\r', ' ', '?', '#', ':', '@', '[', ']', 'a', 'evil.com', 'https:', 'javascript:', '\u0000', '\u00a0', '\u3002', '\uff0f', '\ud800');
  const text = fc.oneof(fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`), fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')), fc.string({ unit: 'binary' }), fc.webPath(), fc.webUrl());

  test('A8 the browser stays on the site, at a path that is fit for a header, and once more is enough', () => {
    fc.assert(fc.property(text, (returnTo) => {
      const path = safeReturnTo(returnTo);
      expect(path).toMatch(/^\/(?![/\\])[\x21-\x7e]*$/);
      for (const site of ['https://app.example.com', 'http://localhost:3000', 'https://app.example.com/deep/page?x#y']) expect(new URL(path, site).origin).toBe(new URL(site).origin);
      expect(safeReturnTo(path)).toBe(path);
    }), { numRuns: 5_000 });
  });

  test('A8 it never throws', () => {
    fc.assert(fc.property(fc.anything(), (value) => {
      expect(safeReturnTo(value)).toMatch(/^\//);
    }), { numRuns: 1_000 });
  });
});
