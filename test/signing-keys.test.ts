import { createPublicKey, createSecretKey, generateKeyPairSync, webcrypto, type JsonWebKey, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint, decodeProtectedHeader, exportJWK, jwtVerify } from 'jose';
import { describe, expect, test, vi } from 'vitest';
import type { PrivateKey } from 'grantkeeper';
import { signingKey, type SigningKeyOptions } from '../src/server/keys/signing-key.js';
import { textsOf } from './support/canary.js';
import { thrownBy } from './support/failure.js';

type CryptoKeyParameters = Parameters<typeof webcrypto.subtle.importKey>[2];

interface Kind {
  readonly key: KeyObject;
  readonly parameters: CryptoKeyParameters;
  /** The PEM of its own, beside PKCS #8. */
  readonly traditional?: 'sec1' | 'pkcs1';
  readonly publicMembers: readonly string[];
}

const ec = (namedCurve: string): Kind => ({
  key: generateKeyPairSync('ec', { namedCurve }).privateKey,
  parameters: { name: 'ECDSA', namedCurve },
  traditional: 'sec1',
  publicMembers: ['crv', 'kty', 'x', 'y'],
});
const rsa: Kind = {
  key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
  parameters: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  traditional: 'pkcs1',
  publicMembers: ['e', 'kty', 'n'],
};
const kinds = {
  ES256: ec('P-256'),
  ES384: ec('P-384'),
  ES512: ec('P-521'),
  EdDSA: { key: generateKeyPairSync('ed25519').privateKey, parameters: { name: 'Ed25519' }, publicMembers: ['crv', 'kty', 'x'] } as Kind,
  RS256: rsa,
};
const usual = Object.keys(kinds) as (keyof typeof kinds)[];

const jwkOf = (key: KeyObject): JsonWebKey => key.export({ format: 'jwk' });
const pkcs8 = (key: KeyObject): string => key.export({ format: 'pem', type: 'pkcs8' }).toString();
const publicPem = (key: KeyObject): string => createPublicKey(key).export({ format: 'pem', type: 'spki' }).toString();
const cryptoKey = async (key: KeyObject, parameters: CryptoKeyParameters, extractable = false): Promise<webcrypto.CryptoKey> => webcrypto.subtle.importKey('jwk', jwkOf(key), parameters, extractable, ['sign']);

const forms: Record<string, (kind: Kind) => PrivateKey | Promise<PrivateKey>> = {
  'PEM of PKCS #8': ({ key }) => pkcs8(key),
  'PEM of its own kind': ({ key, traditional }) => traditional === undefined ? pkcs8(key) : key.export({ format: 'pem', type: traditional } as { format: 'pem'; type: 'sec1' }).toString(),
  'JWK': ({ key }) => jwkOf(key),
  'JWK of jose\'s': async ({ key }) => exportJWK(key),
  'JWK of WebCrypto\'s': async ({ key, parameters }) => webcrypto.subtle.exportKey('jwk', await cryptoKey(key, parameters, true)),
  'KeyObject': ({ key }) => key,
  'CryptoKey': async ({ key, parameters }) => cryptoKey(key, parameters, true),
  'CryptoKey that can\'t be exported': async ({ key, parameters }) => cryptoKey(key, parameters),
};

interface PssParameters {
  readonly hashAlgorithm?: string;
  readonly mgf1HashAlgorithm?: string;
  readonly saltLength?: number;
}

/** The types call the length of the salt a string; it's a number. */
const rsaPss = (parameters: PssParameters = {}): KeyObject => generateKeyPairSync('rsa-pss', { modulusLength: 2048, ...parameters as object }).privateKey;

/** What is signed verifies with the public half. */
async function expectSigned(key: PrivateKey, alg: string, publicKey: KeyObject, options: SigningKeyOptions = {}): Promise<void> {
  const signer = signingKey('privateKeyJwt', key, options);
  const token = await signer.sign({ sub: 'billing', nested: { list: [1] } }, { alg: signer.algorithm([alg]), typ: 'example', kid: 'k1', jwk: signer.publicJwk });
  const { payload, protectedHeader } = await jwtVerify(token, publicKey, { algorithms: [alg] });
  expect(payload).toEqual({ sub: 'billing', nested: { list: [1] } });
  expect(protectedHeader).toEqual({ alg, typ: 'example', kid: 'k1', jwk: jwkOf(publicKey) });
}

describe.each(usual)('a key for %s', (alg) => {
  const kind = kinds[alg];

  test.each(Object.keys(forms))('signs, given as %s', async (form) => {
    const key = await forms[form]?.(kind) ?? '';
    await expectSigned(key, alg, createPublicKey(kind.key));
  });

  test('has a public half and a thumbprint (RFC 7638), the same in each form', async () => {
    const thumbprint = await calculateJwkThumbprint(jwkOf(createPublicKey(kind.key)));
    for (const form of Object.values(forms)) {
      const signer = signingKey('dpop', await form(kind));
      expect(signer.thumbprint).toBe(thumbprint);
      expect(signer.publicJwk).toEqual(jwkOf(createPublicKey(kind.key)));
      expect(Object.keys(signer.publicJwk).sort()).toEqual(kind.publicMembers);
    }
  });

  test('S1 stays where it is, given as a CryptoKey that can\'t be exported: Node would export it as a KeyObject all the same', async () => {
    const key = await cryptoKey(kind.key, kind.parameters);
    const exporting = vi.spyOn(Object.getPrototypeOf(kind.key) as KeyObject, 'export');
    try {
      await signingKey('privateKeyJwt', key).sign({}, { alg });
      expect(exporting).not.toHaveBeenCalled();
    } finally {
      exporting.mockRestore();
    }
  });

  test('S1 shows nothing of itself, in whatever form it came', async () => {
    const { d = '', p, dp } = jwkOf(kind.key);
    const needles = [d, p, dp].filter((member) => member !== undefined).flatMap((member) => [member, Buffer.from(member, 'base64url').toString('hex'), Buffer.from(member, 'base64url').toString('latin1')]);
    for (const form of Object.values(forms)) {
      const signer = signingKey('privateKeyJwt', await form(kind), { kid: 'k1' });
      for (const text of textsOf({ deep: { down: [signer] } })) expect(needles.some((needle) => text.includes(needle))).toBe(false);
    }
  });
});

test('RFC 7638 section 3.1: the thumbprint of its example', () => {
  const publicJwk = { kty: 'RSA', e: 'AQAB', n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw' };
  const privateMembers = { d: 'X4cTteJY_gn4FYPsXB8rdXix5vwsg1FLN5E3EaG6RJoVH-HLLKD9M7dx5oo7GURknchnrRweUkC7hT5fJLM0WbFAKNLWY2vv7B6NqXSzUvxT0_YSfqijwp3RTzlBaCxWp4doFk5N2o8Gy_nHNKroADIkJ46pRUohsXywbReAdYaMwFs9tv8d_cPVY3i07a3t8MN6TNwm0dSawm9v47UiCl3Sk5ZiG7xojPLu4sbg1U2jx4IBTNBznbJSzFHK66jT8bgkuqsk0GjskDJk19Z4qwjwbsnn4j2WBii3RL-Us2lGVkY8fkFzme1z0HbIkfz0Y6mqnOYtqc0X4jfcKoAC8Q', p: '83i-7IvMGXoMXCskv73TKr8637FiO7Z27zv8oj6pbWUQyLPQBQxtPVnwD20R-60eTDmD2ujnMt5PoqMrm8RfmNhVWDtjjMmCMjOpSXicFHj7XOuVIYQyqVWlWEh6dN36GVZYk93N8Bc9vY41xy8B9RzzOGVQzXvNEvn7O0nVbfs', q: '3dfOR9cuYq-0S-mkFLzgItgMEfFzB2q3hWehMuG0oCuqnb3vobLyumqjVZQO1dIrdwgTnCdpYzBcOfW5r370AFXjiWft_NGEiovonizhKpo9VVS78TzFgxkIdrecRezsZ-1kYd_s1qDbxtkDEgfAITAG9LUnADun4vIcb6yelxk', dp: 'G4sPXkc6Ya9y8oJW9_ILj4xuppu0lzi_H7VTkS8xj5SdX3coE0oimYwxIi2emTAue0UOa5dpgFGyBJ4c8tQ2VF402XRugKDTP8akYhFo5tAA77Qe_NmtuYZc3C3m3I24G2GvR5sSDxUyAN2zq8Lfn9EUms6rY3Ob8YeiKkTiBj0', dq: 's9lAH9fggBsoFR8Oac2R_E2gw282rT2kGOAhvIllETE1efrA6huUUvMfBcMpn8lqeW6vzznYY5SSQF7pMdC_agI3nG8Ibp1BUb0JUiraRNqUfLhcQb_d9GF4Dh7e74WbRsobRonujTYN1xCaP6TO61jvWrX-L18txXw494Q_cgk', qi: 'GyM_p6JrXySiz1toFgKbWV-JdI3jQ4ypu9rbMWx3rQJBfmt0FoYzgUIZEVFEcOqwemRN81zoDAaa-Bk0KWNGDjJHZDdDmFhW3AN7lI-puxk_mHZGJ11rxyR8O55XLSe3SPmRfKwZI6yU24ZxvQKFYItdldUKGzO6Ia6zTKhAVRU' };
  expect(signingKey('dpop', { ...publicJwk, ...privateMembers }).thumbprint).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs');
});

describe('the algorithm', () => {
  test.each<[string, keyof typeof kinds, SigningKeyOptions, unknown, string]>([
    ['is the usual one where the server says nothing', 'RS256', {}, undefined, 'RS256'],
    ['is the usual one where the server\'s list is none', 'RS256', {}, 'PS256', 'RS256'],
    ['is the usual one where the server lists nothing that fits', 'ES256', {}, ['RS256', 'EdDSA'], 'ES256'],
    ['is RS256 where the server lists all', 'RS256', {}, ['PS512', 'PS256', 'ES256', 'RS256'], 'RS256'],
    ['is PS256 where the server lists no RS256', 'RS256', {}, ['ES256', 'PS512', 'PS256'], 'PS256'],
    ['is PS512 where that is all there is', 'RS256', {}, ['PS512'], 'PS512'],
    ['is EdDSA where the server lists both names of it', 'EdDSA', {}, ['Ed25519', 'EdDSA'], 'EdDSA'],
    ['is Ed25519 where the server lists only that', 'EdDSA', {}, ['ES256', 'Ed25519'], 'Ed25519'],
    ['is the one that was named, whatever the server lists', 'RS256', { alg: 'PS384' }, ['RS256', 'PS256'], 'PS384'],
  ])('%s', (_case, kind, options, supported, expected) => {
    expect(signingKey('privateKeyJwt', kinds[kind].key, options).algorithm(supported)).toBe(expected);
  });

  test.each(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'])('of an RSA key may be %s on request, and its signature is one', async (alg) => {
    await expectSigned(rsa.key, alg, createPublicKey(rsa.key), { alg });
    await expectSigned(jwkOf(rsa.key), alg, createPublicKey(rsa.key), { alg });
  });

  test('of an Ed25519 key may be Ed25519 on request (RFC 9864)', async () => {
    await expectSigned(kinds.EdDSA.key, 'Ed25519', createPublicKey(kinds.EdDSA.key), { alg: 'Ed25519' });
  });

  test.each([['RSASSA-PKCS1-v1_5', 'RS'], ['RSA-PSS', 'PS']])('of a CryptoKey for %s is that of its hash only', async (name, family) => {
    for (const bits of [256, 384, 512]) {
      const key = await cryptoKey(rsa.key, { name, hash: `SHA-${bits}` });
      expect(signingKey('privateKeyJwt', key).algorithm(['RS256', 'PS256', 'PS384'])).toBe(`${family}${bits}`);
      await expectSigned(key, `${family}${bits}`, createPublicKey(rsa.key));
    }
  });

  test('of a JWK with `alg` is that only', async () => {
    const key = { ...jwkOf(rsa.key), alg: 'PS256' };
    expect(signingKey('privateKeyJwt', key).algorithm(['RS256'])).toBe('PS256');
    await expectSigned(key, 'PS256', createPublicKey(rsa.key));
  });

  test.each<[string, unknown, string]>([
    ['is what the JWK says', undefined, 'Ed25519'],
    ['is what the server lists', ['EdDSA'], 'EdDSA'],
  ])('of an Ed25519 JWK whose `alg` is the newer name %s: it is one signature', (_case, supported, expected) => {
    expect(signingKey('privateKeyJwt', { ...jwkOf(kinds.EdDSA.key), alg: 'Ed25519' }).algorithm(supported)).toBe(expected);
  });

  test.each<[string, PssParameters, string, unknown]>([
    ['without parameters', {}, 'PS256', undefined],
    ['without parameters, and the server lists PS512', {}, 'PS512', ['PS512']],
    ['with SHA-384', { hashAlgorithm: 'sha384', mgf1HashAlgorithm: 'sha384', saltLength: 32 }, 'PS384', ['PS256']],
  ])('of an RSA-PSS key %s', async (_case, parameters, alg, supported) => {
    const privateKey = rsaPss(parameters);
    expect(privateKey.asymmetricKeyType).toBe('rsa-pss');
    for (const key of [privateKey, pkcs8(privateKey)]) {
      const signer = signingKey('privateKeyJwt', key);
      expect(signer.algorithm(supported)).toBe(alg);
      expect(Object.keys(signer.publicJwk).sort()).toEqual(['e', 'kty', 'n']);
      const token = await signer.sign({ sub: 'billing' }, { alg });
      const verifier = await webcrypto.subtle.importKey('jwk', signer.publicJwk, { name: 'RSA-PSS', hash: `SHA-${alg.slice(2)}` }, true, ['verify']);
      await jwtVerify(token, verifier);
    }
  });
});

describe('the key id', () => {
  const jwk = { ...jwkOf(kinds.ES256.key), kid: 'of the JWK' };

  test.each<[string, PrivateKey, SigningKeyOptions, string | undefined]>([
    ['of a JWK', jwk, {}, 'of the JWK'],
    ['that was named, before that of the JWK', jwk, { kid: 'named' }, 'named'],
    ['that was named', kinds.ES256.key, { kid: 'named' }, 'named'],
    ['is unknown otherwise', kinds.ES256.key, {}, undefined],
  ])('%s', (_case, key, options, expected) => {
    expect(signingKey('privateKeyJwt', key, options).kid).toBe(expected);
  });
});

describe('what else may stand around a PEM', () => {
  const key = kinds.ES256.key;

  test.each<[string, string]>([
    ['the parameters that openssl writes before it', `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${key.export({ format: 'pem', type: 'sec1' }).toString()}`],
    ['the public key', `${publicPem(key)}${pkcs8(key)}`],
    ['text', `Bag Attributes\n    friendlyName: billing\n${pkcs8(key)}\n`],
    ['Windows\' line ends', pkcs8(key).replaceAll('\n', '\r\n')],
  ])('%s', async (_case, pem) => {
    await expectSigned(pem, 'ES256', createPublicKey(key));
  });
});

test('a key\'s header is only what it was given', async () => {
  const token = await signingKey('dpop', kinds.ES256.key, { kid: 'k1' }).sign({}, { alg: 'ES256', kid: undefined });
  expect(decodeProtectedHeader(token)).toEqual({ alg: 'ES256' });
});

describe('what is wrong with a key is said when it is passed', () => {
  const p256 = kinds.ES256.key;
  const jwk = jwkOf(p256);
  const rsaJwk = jwkOf(rsa.key);
  const certificate = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
  const encrypted = (type: 'pkcs8' | 'sec1'): string => p256.export({ format: 'pem', type, cipher: 'aes-256-cbc', passphrase: 'secret' } as { format: 'pem'; type: 'pkcs8' }).toString();
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const other = jwkOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);

  const refusals: [string, () => unknown, SigningKeyOptions, RegExp][] = [
    ['nothing', () => undefined, {}, /must be a CryptoKey, a KeyObject, a JWK or a PEM; received nothing/],
    ['null', () => null, {}, /received null/],
    ['a number', () => 7, {}, /received a number/],
    ['an empty string', () => '', {}, /received an empty string/],
    ['bytes', () => Buffer.from(pkcs8(p256)), {}, /received bytes: call toString\(\)/],
    ['an object that is no key', () => ({ key: 'value' }), {}, /received an object with key/],
    ['a key pair', () => generateKeyPairSync('ec', { namedCurve: 'P-256' }), {}, /a key pair: pass its `privateKey`/],
    ['a path', () => './keys/private.pem', {}, /no PEM.*pass what is in the file, not its path/],
    ['a JWK as text', () => JSON.stringify(jwk), {}, /no PEM.*a JWK as an object/],
    ['a certificate', () => certificate, {}, /is a certificate; pass the private key/],
    ['a public PEM', () => publicPem(p256), {}, /is a public key; pass the private key/],
    ['a public KeyObject', () => publicKey, {}, /this is a public key; pass the private key/],
    ['a public JWK', () => jwkOf(createPublicKey(p256)), {}, /this is a public key/],
    ['a public CryptoKey', async () => webcrypto.subtle.importKey('jwk', jwkOf(publicKey), { name: 'ECDSA', namedCurve: 'P-256' }, true, ['verify']), {}, /this is a public key/],
    ['a secret KeyObject', () => createSecretKey('secret', 'utf8'), {}, /this is a secret.*clientSecretJwt/],
    ['a secret JWK', () => ({ kty: 'oct', k: 'c2VjcmV0' }), {}, /this is a secret/],
    ['a secret CryptoKey', async () => webcrypto.subtle.generateKey({ name: 'HMAC', hash: 'SHA-256' }, true, ['sign']), {}, /this is a secret/],
    ['an encrypted PEM', () => encrypted('pkcs8'), {}, /encrypted; decrypt it, e\.g\. with createPrivateKey\(\{ key, passphrase \}\).*KeyObject/],
    ['an encrypted PEM of the old form', () => encrypted('sec1'), {}, /encrypted; decrypt it/],
    ['a PEM in OpenSSH\'s format', () => '-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn\n-----END OPENSSH PRIVATE KEY-----\n', {}, /ssh-keygen -p -m PKCS8/],
    ['a PEM without its end', () => pkcs8(p256).slice(0, -40), {}, /holds no whole private key/],
    ['a damaged PEM', () => pkcs8(p256).replace(/\n[\w+/]{8}/, '\nAAAAAAAA'), {}, /can't be read: it is damaged/],
    ['a PEM whose line breaks were lost', () => pkcs8(p256).replaceAll('\n', '\\n'), {}, /written as \\n/],
    ['X25519', () => generateKeyPairSync('x25519').privateKey, {}, /no signature can be made with this key \(x25519\)/],
    ['secp256k1', () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey, {}, /no signature can be made with this key \(ec secp256k1\); use an EC key on P-256/],
    ['Ed448', () => jwkOf(generateKeyPairSync('ed448').privateKey), {}, /no signature can be made with this key \(ed448\)/],
    ['RSA-PSS with SHA-1', () => rsaPss({ hashAlgorithm: 'sha1', mgf1HashAlgorithm: 'sha1' }), {}, /no signature can be made with this key \(rsa-pss sha1\)/],
    ['RSA-PSS whose salt is too long', () => rsaPss({ hashAlgorithm: 'sha256', mgf1HashAlgorithm: 'sha256', saltLength: 64 }), {}, /no signature can be made/],
    ['RSA-PSS with two hashes', () => rsaPss({ hashAlgorithm: 'sha256', mgf1HashAlgorithm: 'sha1', saltLength: 20 }), {}, /no signature can be made/],
    ['RSA of 1024 bits', () => generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey, {}, /2048 bits or more.*this one has 1024/],
    ['a CryptoKey with SHA-1', async () => cryptoKey(rsa.key, { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-1' }), {}, /hash must be SHA-256, SHA-384 or SHA-512; it is SHA-1/],
    ['a CryptoKey that may not sign', async () => webcrypto.subtle.importKey('jwk', jwk, { name: 'ECDH', namedCurve: 'P-256' }, false, ['deriveBits']), {}, /must have the usage `sign`; its usages are deriveBits/],
    ['a JWK for encryption', () => ({ ...jwk, use: 'enc' }), {}, /`use` must be "sig"/],
    ['a JWK that may not sign', () => ({ ...jwk, key_ops: ['verify'] }), {}, /`key_ops` must include "sign"/],
    ['a JWK of two keys', () => ({ ...jwk, d: other.d }), {}, /public and private members are not of one key/],
    ['an RSA JWK of two keys', () => ({ ...rsaJwk, n: rsaJwk.n?.replace(/^..../, 'vvvv') }), {}, /not of one key/],
    ['an RSA JWK without its primes', () => ({ kty: 'RSA', n: rsaJwk.n, e: rsaJwk.e, d: rsaJwk.d }), {}, /an RSA one must have n, e, d, p, q, dp, dq and qi/],
    ['a JWK of an unknown curve', () => ({ ...jwk, crv: 'P-999' }), {}, /`crv` isn't known/],
    ['a JWK of an unknown kind', () => ({ ...jwk, kty: 'XY' }), {}, /`kty` or `crv` isn't known/],
    ['a JWK whose `alg` is another key\'s', () => ({ ...jwk, alg: 'RS256' }), {}, /the JWK's `alg` must be one of ES256 for this key \(EC P-256\); received "RS256"/],
    ['a JWK whose `alg` is for encryption', () => ({ ...rsaJwk, alg: 'RSA-OAEP' }), {}, /the JWK's `alg` must be one of RS256, .*received "RSA-OAEP"/],
    ['an algorithm of another kind', () => p256, { alg: 'RS256' }, /`alg` must be one of ES256 for this key \(EC P-256\); received "RS256"/],
    ['an algorithm of another curve', () => p256, { alg: 'ES384' }, /`alg` must be one of ES256 for this key/],
    ['none', () => p256, { alg: 'none' }, /`alg` must be one of ES256.*received "none"/],
    ['HMAC', () => rsa.key, { alg: 'HS256' }, /`alg` must be one of RS256, PS256, .*received "HS256"/],
    ['an algorithm against the JWK\'s', () => ({ ...rsaJwk, alg: 'RS256' }), { alg: 'PS256' }, /must be one of RS256 for this key \(RSA, by the JWK's `alg`\)/],
    ['an algorithm against the CryptoKey\'s', async () => cryptoKey(rsa.key, rsa.parameters), { alg: 'PS256' }, /must be one of RS256 for this key \(a CryptoKey for RSASSA-PKCS1-v1_5 with SHA-256\)/],
    ['an algorithm against the CryptoKey\'s hash', async () => cryptoKey(rsa.key, rsa.parameters), { alg: 'RS512' }, /must be one of RS256 for this key/],
    ['an algorithm against the RSA-PSS key\'s', () => rsaPss(), { alg: 'RS256' }, /must be one of PS256, PS384, PS512 for this key \(RSA-PSS\)/],
  ];

  test.each(refusals)('%s', async (_case, make, options, message) => {
    const key = await make();
    const failure = thrownBy(() => signingKey('privateKeyJwt', key as PrivateKey, options));
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: false });
    expect(failure.message).toMatch(/^privateKeyJwt: /);
    expect(failure.message).toMatch(message);
    expect(failure.cause).toBeUndefined();
    const members = [...Object.values({ ...jwk, ...other, ...rsaJwk }), ...pkcs8(p256).split('\n')].filter((text) => typeof text === 'string' && text.length > 20 && !text.includes('PRIVATE KEY'));
    for (const text of textsOf(failure)) expect(members.some((member) => text.includes(member as string))).toBe(false);
  });
});
