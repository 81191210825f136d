import fc from 'fast-check';
import { challenges, type Challenge } from 'grantkeeper';
import { describe, expect, test } from 'vitest';

function parsed(...headers: string[]): Challenge[] {
  return challenges(new Response(null, { status: 401, headers: headers.map((header) => ['www-authenticate', header]) }));
}

/** Header values that `Headers` would refuse, too: a stub may hand out anything. */
function parsedRaw(header: string): Challenge[] {
  return challenges({ headers: { get: () => header } as unknown as Headers });
}

describe('well-formed', () => {
  test.each<[string, Challenge[]]>([
    ['Bearer', [{ scheme: 'Bearer' }]],
    ['Bearer realm="api"', [{ scheme: 'Bearer', realm: 'api' }]],
    ['Bearer realm="api", error="invalid_token", error_description="The token, as it is, expired"', [{ scheme: 'Bearer', realm: 'api', error: 'invalid_token', error_description: 'The token, as it is, expired' }]],
    ['Bearer error=insufficient_scope,scope="a b"', [{ scheme: 'Bearer', error: 'insufficient_scope', scope: 'a b' }]],
    ['Bearer error="insufficient_user_authentication", acr_values="myACR other", max_age="5"', [{ scheme: 'Bearer', error: 'insufficient_user_authentication', acr_values: 'myACR other', max_age: '5' }]],
    ['Bearer resource_metadata="https://api.example/.well-known/oauth-protected-resource"', [{ scheme: 'Bearer', resource_metadata: 'https://api.example/.well-known/oauth-protected-resource' }]],
    ['DPoP algs="ES256 PS256", Bearer realm="x"', [{ scheme: 'DPoP', algs: 'ES256 PS256' }, { scheme: 'Bearer', realm: 'x' }]],
    ['Negotiate, Basic realm="a \\"quoted\\" \\\\ one", Bearer', [{ scheme: 'Negotiate' }, { scheme: 'Basic', realm: 'a "quoted" \\ one' }, { scheme: 'Bearer' }]],
    ['Negotiate YII0/+a==, Bearer', [{ scheme: 'Negotiate', token68: 'YII0/+a==' }, { scheme: 'Bearer' }]],
    ['Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"', [{ scheme: 'Newauth', realm: 'apps', type: '1', title: 'Login to "apps"' }, { scheme: 'Basic', realm: 'simple' }]],
    ['bEARER REALM="x" , Error = "invalid_token"', [{ scheme: 'bEARER', realm: 'x', error: 'invalid_token' }]],
    ['Bearer realm=""', [{ scheme: 'Bearer', realm: '' }]],
  ])('T8 %s', (header, expected) => {
    expect(parsed(header)).toEqual(expected);
  });

  test('T8 two headers, in their order', () => {
    expect(parsed('Basic realm="a"', 'Bearer error="invalid_token"')).toEqual([{ scheme: 'Basic', realm: 'a' }, { scheme: 'Bearer', error: 'invalid_token' }]);
  });

  test('T8 no header', () => {
    expect(challenges(new Response(null, { status: 401 }))).toEqual([]);
  });

  test('F10 the body stays unread', async () => {
    const response = new Response('the body', { status: 403, headers: { 'www-authenticate': 'Bearer error="insufficient_scope", scope="write"' } });
    expect(challenges(response)[0]?.scope).toBe('write');
    expect(response.bodyUsed).toBe(false);
    expect(await response.text()).toBe('the body');
  });
});

describe('as real servers send them', () => {
  test.each<[string, Challenge[]]>([
    ['error="invalid_token",error_description="expired"', [{ scheme: '', error: 'invalid_token', error_description: 'expired' }]],
    ['Bearer realm="a" error="invalid_token" error_description="no commas"', [{ scheme: 'Bearer', realm: 'a', error: 'invalid_token', error_description: 'no commas' }]],
    ['Bearer error="invalid_token", error="insufficient_scope"', [{ scheme: 'Bearer', error: 'invalid_token' }]],
    ['Bearer realm="x", Bearer realm="x"', [{ scheme: 'Bearer', realm: 'x' }, { scheme: 'Bearer', realm: 'x' }]],
    ['Bearer error="unterminated', [{ scheme: 'Bearer', error: 'unterminated' }]],
    ['Bearer error=', [{ scheme: 'Bearer', token68: 'error=' }]],
    ['Bearer error= , realm="x"', [{ scheme: 'Bearer', token68: 'error=', realm: 'x' }]],
    [', ,Bearer error="x",,', [{ scheme: 'Bearer', error: 'x' }]],
    ['', []],
    [' , ', []],
    ['"', []],
    ['Bearer, error="invalid_token"', [{ scheme: 'Bearer', error: 'invalid_token' }]],
    ['Bearer scope=https://api.example/read', [{ scheme: 'Bearer', scope: 'https://api.example/read' }]],
  ])('T8 %j', (header, expected) => {
    expect(parsed(header)).toEqual(expected);
  });

  test('T8 parameters with names of Object.prototype are data, and nothing else', () => {
    const [challenge] = parsed('Bearer __proto__="x", constructor="y", toString="z", scheme="other"');
    expect(challenge?.scheme).toBe('Bearer');
    expect(Object.getPrototypeOf(challenge)).toBe(Object.prototype);
    expect(Object.entries(challenge ?? {})).toEqual(expect.arrayContaining([['__proto__', 'x'], ['constructor', 'y'], ['tostring', 'z']]));
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });
});

describe('whatever comes', () => {
  const fragments = fc.array(fc.constantFrom('Bearer', ' ', ',', '=', '"', '\\', 'error', 'a', '\t', '==', '\r\n', 'é', '/', '\0'), { maxLength: 40 }).map((parts) => parts.join(''));

  test('T8 never throws, and gives challenges only', () => {
    fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fragments), (header) => {
      for (const challenge of parsedRaw(header)) {
        for (const [name, value] of Object.entries(challenge)) {
          if (typeof value !== 'string' || name !== name.toLowerCase()) throw new Error(`${name} is ${typeof value}`);
        }
      }
    }), { numRuns: 500 });
  });

  const word = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/);
  const text = fc.string({ unit: fc.constantFrom('a', 'Z', '0', ' ', ',', '=', '"', ';', '\\', '\t', '/', 'é', 'ÿ') });
  const space = fc.constantFrom('', ' ', '\t', ' \t');
  const parameter = fc.tuple(word.filter((name) => name.toLowerCase() !== 'scheme' && name.toLowerCase() !== 'token68'), fc.oneof(word.map((value) => ({ value, wire: value })), text.map((value) => ({ value, wire: `"${value.replace(/["\\]/g, '\\$&')}"` }))), space, space)
    .map(([name, { value, wire }, before, after]) => ({ name: name.toLowerCase(), value, wire: `${name}${before}=${after}${wire}` }));
  const parameters = fc.uniqueArray(parameter, { selector: ({ name }) => name, maxLength: 4 });
  const token68 = fc.stringMatching(/^[A-Za-z0-9._~+/-]{1,12}={0,2}$/);
  const challenge = fc.oneof(
    fc.tuple(word, parameters).map(([scheme, all]) => ({
      wire: [scheme, all.map(({ wire }) => wire).join(', ')].filter(Boolean).join(' '),
      expected: { ...Object.fromEntries(all.map(({ name, value }) => [name, value])), scheme },
    })),
    fc.tuple(word, token68).map(([scheme, credentials]) => ({ wire: `${scheme} ${credentials}`, expected: { scheme, token68: credentials } })),
  );

  test('T8 what is well-formed is read as it was written', () => {
    fc.assert(fc.property(fc.array(challenge, { maxLength: 4 }), fc.constantFrom(',', ', ', ' , ', ',\t', ', ,'), (all, comma) => {
      expect(parsedRaw(all.map(({ wire }) => wire).join(comma))).toEqual(all.map(({ expected }) => expected));
    }), { numRuns: 500 });
  });

  test.each<[string, string]>([
    ['an open quote', `Bearer error="${'x'.repeat(1_000_000)}`],
    ['backslashes', `Bearer error="${'\\'.repeat(1_000_001)}`],
    ['quotes', '"'.repeat(200_000)],
    ['names that begin values', 'a="'.repeat(200_000)],
    ['spaces', `Bearer${' '.repeat(500_000)}x${' '.repeat(500_000)}!`],
    ['credentials that end badly', `Basic ${'a'.repeat(500_000)}!`],
    ['words', 'a '.repeat(200_000)],
  ])('T8 a megabyte of %s is read in linear time', (_name, header) => {
    expect(() => parsedRaw(header)).not.toThrow();
  });
});
