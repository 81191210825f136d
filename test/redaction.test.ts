import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { className, OAuthError, safeCause } from '../src/errors.js';
import { createRedactor } from '../src/server/redaction.js';
import { everySpelling, textsOf } from './support/canary.js';

const redact = (text: string, secrets: string[]): string => createRedactor(secrets)(text);

const SECRET = `Pa5s/w+rd=&<"é ü">'\\%`;

describe('S1 a text that echoes a secret', () => {
  test.each(everySpelling(SECRET))('S1 %s: not there any more', (_encoding, echoed) => {
    const redacted = redact(`before ${echoed} after`, [SECRET]);
    expect(redacted).toContain('[redacted]');
    expect(redacted).not.toContain(echoed);
  });

  test.each(everySpelling(SECRET).filter(([encoding]) => ['as it is', 'percent-encoded', 'form-encoded', 'in JSON', 'in base64'].includes(encoding)))('S1 %s: the text around it stays', (_encoding, echoed) => {
    expect(redact(`before ${echoed} after`, [SECRET])).toBe('before [redacted] after');
  });

  test.each(everySpelling('an-ordinary.secret_1'))('S1 an ordinary secret, %s', (_encoding, echoed) => {
    expect(redact(`before ${echoed} after`, ['an-ordinary.secret_1'])).not.toContain(echoed);
  });

  test.each<[string, (secret: string) => string]>([
    ['in capitals', (secret) => secret.toUpperCase()],
    ['percent-encoded in lower case', (secret) => encodeURIComponent(secret).replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())],
    ['percent-encoded twice', (secret) => encodeURIComponent(encodeURIComponent(secret))],
    ['form-encoded twice', (secret) => new URLSearchParams({ '': new URLSearchParams({ '': secret }).toString().slice(1) }).toString().slice(1)],
    ['percent-encoded to the last letter', (secret) => [...Buffer.from(secret)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')],
    ['percent-encoded as a segment of a path is', (secret) => secret.replace(/[^\w+=&'-]/g, encodeURIComponent)],
    ['in base64 that was percent-encoded', (secret) => encodeURIComponent(Buffer.from(secret).toString('base64'))],
  ])('S1 %s: not there any more', (_encoding, encode) => {
    const echoed = encode(SECRET);
    const redacted = redact(`before ${echoed} after`, [SECRET, Buffer.from(SECRET).toString('base64')]);
    expect(redacted).not.toContain(echoed);
    expect(redacted).toContain('[redacted]');
  });

  test('every occurrence is replaced, of every secret', () => {
    expect(redact('a=first b=second c=first', ['first', 'second'])).toBe('a=[redacted] b=[redacted] c=[redacted]');
  });

  test('a secret that is part of another leaves nothing of it', () => {
    expect(redact('the key is abc-def-ghi', ['abc', 'abc-def-ghi'])).toBe('the key is [redacted]');
  });

  test('signs that mean something in a pattern are signs', () => {
    expect(redact('x .*+?^${}()|[]\\ y .x z', ['.*+?^${}()|[]\\'])).toBe('x [redacted] y .x z');
  });

  test('signs that mean something in a replacement do not bring it back', () => {
    expect(redact('was $& here', ['$&'])).toBe('was [redacted] here');
  });

  test('an empty secret hides nothing', () => {
    expect(redact('The client is unknown', ['', 'abc'])).toBe('The client is unknown');
  });

  test('a text without a secret stays as it is, percent signs and all', () => {
    const text = '100% of %zz and %E0%A4%A were a+b "quoted" \\ <ok>';
    expect(redact(text, ['secret'])).toBe(text);
  });

  test('S1 whatever the secret and wherever it stands, it is not in what is left', () => {
    fc.assert(fc.property(fc.string({ minLength: 4, maxLength: 40, unit: 'binary' }), fc.string(), fc.string(), fc.nat(), (secret, before, after, choice) => {
      // The placeholder itself is no leak.
      fc.pre(!'[redacted]'.includes(secret));
      const spellings: string[] = [secret, encodeURIComponent(secret), new URLSearchParams({ '': secret }).toString().slice(1), JSON.stringify(secret).slice(1, -1), Buffer.from(secret).toString('base64')];
      const echoed = spellings[choice % spellings.length] ?? secret;
      expect(redact(`${before}${echoed}${after}`, [secret])).not.toContain(secret);
    }), { numRuns: 200 });
  });

  test('a megabyte of text is searched to its end', () => {
    const text = '%41+<a>'.repeat(150_000);
    expect(redact(text, [SECRET, 'another-secret'])).toBe(text);
    expect(redact(`${text}another-secret`, [SECRET, 'another-secret'])).toBe(`${text}[redacted]`);
  });
});

describe('S1 the copy of a cause', () => {
  test('keeps what helps: class, code, call and address', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:443 s3cr3t'), { code: 'ECONNREFUSED', syscall: 'connect', address: '10.0.0.1', port: 443 });
    const copy = safeCause(new TypeError('fetch failed for s3cr3t', { cause: refused }));
    expect(String(copy)).toBe('TypeError');
    expect(String(copy.cause)).toBe('Error: connect ECONNREFUSED 10.0.0.1:443');
    expect(copy.cause).toMatchObject({ code: 'ECONNREFUSED' });
  });

  test.each<[string, unknown]>([
    ['a text', 's3cr3t'],
    ['an object', { message: 's3cr3t', headers: { authorization: 's3cr3t' } }],
    ['an error with members', Object.assign(new Error('s3cr3t'), { request: { body: 's3cr3t' }, s3cr3t: true, code: 'code s3cr3t', hostname: 's3cr3t and more', address: 's3cr3t' })],
    ['an error whose name is one', Object.assign(new Error(), { name: 's3cr3t' })],
    ['an aggregate', new AggregateError([new Error('s3cr3t')], 's3cr3t', { cause: new Error('s3cr3t') })],
    ['an error deep down', nested(30, new Error('s3cr3t'))],
    ['a DOMException', new DOMException('s3cr3t', 'AbortError')],
    ['an error whose getters throw', Object.defineProperties(new Error('s3cr3t'), { code: { get() { throw new Error('s3cr3t'); } }, cause: { get() { throw new Error('s3cr3t'); } } })],
    ['a function', function s3cr3t() { return 's3cr3t'; }],
    ['a symbol', Symbol('s3cr3t')],
    ['null', null],
    ['a frozen error', Object.freeze(new Error('s3cr3t'))],
  ])('is safe to print, whatever was thrown: %s', (_case, thrown) => {
    const failure = new OAuthError('server_unreachable', 'The token endpoint could not be reached', { cause: thrown });
    expect(failure.cause).toBeInstanceOf(Error);
    for (const text of textsOf(failure)) expect(text).not.toContain('s3cr3t');
  });

  test('a circle of causes ends', () => {
    const [first, second] = [new Error('a'), new Error('b')];
    first.cause = second;
    second.cause = first;
    expect(textsOf(new OAuthError('store_failed', 'The store failed', { cause: first }))).not.toEqual([]);
  });

  test('an error of ours is kept as it is', () => {
    const timeout = new OAuthError('timeout', 'The store\'s get took longer than 5 ms', { retryable: true });
    expect(new OAuthError('store_failed', 'The store failed', { cause: timeout }).cause).toBe(timeout);
  });

  function nested(depth: number, innermost: Error): Error {
    return depth === 0 ? innermost : new Error('s3cr3t', { cause: nested(depth - 1, innermost) });
  }
});

test.each<[unknown, string]>([
  [new TypeError('x'), 'TypeError'],
  [new DOMException('x', 'TimeoutError'), 'TimeoutError'],
  [Object.assign(new RangeError('x'), { name: 'liar' }), 'RangeError'],
  ['text', 'a string'],
  [undefined, 'undefined'],
  [null, 'null'],
  [5, 'a number'],
])('what was thrown is named by its class: %j', (thrown, name) => {
  expect(className(thrown)).toBe(name);
});

describe('OAuthError', () => {
  test('is an error with a code, and has no member that says nothing', () => {
    const failure = new OAuthError('timeout', 'It took too long', { retryable: true, status: undefined, retryAfter: undefined });
    expect(failure).toBeInstanceOf(Error);
    expect(String(failure)).toBe('OAuthError: It took too long');
    expect(Object.keys(failure).sort()).toEqual(['code', 'retryable']);
    expect('cause' in failure).toBe(false);
  });

  test('is not retryable unless it says so', () => {
    expect(new OAuthError('invalid_response', 'x').retryable).toBe(false);
  });

  test('shows all of it in JSON', () => {
    const failure = new OAuthError('token_request_failed', 'Refused', { status: 400, error: 'invalid_scope', errorDescription: 'no', retryAfter: 5 });
    expect(JSON.parse(JSON.stringify(failure))).toEqual({ code: 'token_request_failed', retryable: false, status: 400, error: 'invalid_scope', errorDescription: 'no', retryAfter: 5 });
  });
});
