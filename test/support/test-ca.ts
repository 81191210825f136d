import './tls-reflect-metadata.js';
import { createHash, KeyObject, webcrypto, X509Certificate as NodeCertificate, type JsonWebKey } from 'node:crypto';
import { BasicConstraintsExtension, ExtendedKeyUsage, ExtendedKeyUsageExtension, KeyUsageFlags, KeyUsagesExtension, SubjectAlternativeNameExtension, X509CertificateGenerator, type Extension, type JsonGeneralName } from '@peculiar/x509';

/** A certificate and its private key, in PEM. */
export interface IssuedCertificate {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateRequest {
  /** E.g. `CN=billing,O=Example`. */
  subject: string;
  /** Subject alternative names. */
  names?: JsonGeneralName[];
  /** @default an hour ago */
  notBefore?: Date;
  /** @default in a day */
  notAfter?: Date;
}

/** A certification authority of one test: EC P-256 throughout. */
export class TestCa {
  /** Its own certificate, in PEM. */
  readonly cert: string;
  readonly #subject: string;
  readonly #keys: webcrypto.CryptoKeyPair;

  constructor(subject: string, keys: webcrypto.CryptoKeyPair, cert: string) {
    this.#subject = subject;
    this.#keys = keys;
    this.cert = cert;
  }

  /** For 127.0.0.1 and localhost. */
  async server(): Promise<IssuedCertificate> {
    return this.#issue({ subject: 'CN=localhost', names: [{ type: 'dns', value: 'localhost' }, { type: 'ip', value: '127.0.0.1' }] }, ExtendedKeyUsage.serverAuth);
  }

  async client(request: CertificateRequest): Promise<IssuedCertificate> {
    return this.#issue(request, ExtendedKeyUsage.clientAuth);
  }

  /** One below it. */
  async intermediate(subject: string): Promise<TestCa> {
    const keys = await generateKeys();
    return new TestCa(subject, keys, await this.#sign({ subject }, keys.publicKey, CA_EXTENSIONS));
  }

  async #issue(request: CertificateRequest, usage: ExtendedKeyUsage): Promise<IssuedCertificate> {
    const keys = await generateKeys();
    const names = request.names ? [new SubjectAlternativeNameExtension(request.names)] : [];
    const cert = await this.#sign(request, keys.publicKey, [new BasicConstraintsExtension(false), new KeyUsagesExtension(KeyUsageFlags.digitalSignature), new ExtendedKeyUsageExtension([usage]), ...names]);
    return { cert, key: pemOf(keys.privateKey) };
  }

  async #sign({ subject, notBefore = anHourAgo(), notAfter = inADay() }: CertificateRequest, publicKey: webcrypto.CryptoKey, extensions: Extension[]): Promise<string> {
    const certificate = await X509CertificateGenerator.create({ subject, issuer: this.#subject, notBefore, notAfter, publicKey, signingKey: this.#keys.privateKey, signingAlgorithm: SIGNING, extensions });
    return certificate.toString('pem');
  }
}

export async function createTestCa(subject = 'CN=Test CA'): Promise<TestCa> {
  const keys = await generateKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: subject,
    keys,
    notBefore: anHourAgo(),
    notAfter: inADay(),
    signingAlgorithm: SIGNING,
    extensions: CA_EXTENSIONS,
  });
  return new TestCa(subject, keys, certificate.toString('pem'));
}

/**
 * One that no CA stands behind.
 * @param keys by default a new pair
 */
export async function selfSignedCertificate({ subject, notBefore = anHourAgo(), notAfter = inADay() }: CertificateRequest, keys?: webcrypto.CryptoKeyPair): Promise<IssuedCertificate> {
  keys ??= await generateKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({ name: subject, keys, notBefore, notAfter, signingAlgorithm: { ...keys.privateKey.algorithm, hash: 'SHA-256' } });
  return { cert: certificate.toString('pem'), key: pemOf(keys.privateKey) };
}

/** The confirmation `x5t#S256` of tokens bound to it (RFC 8705 section 3.1). */
export function thumbprintOf(certificate: string | NodeCertificate): string {
  return createHash('sha256').update(new NodeCertificate(typeof certificate === 'string' ? certificate : certificate.raw).raw).digest('base64url');
}

/** As a client registers it for `self_signed_tls_client_auth` (RFC 8705 section 2.2.2). */
export function jwkOf(cert: string): JsonWebKey & { x5c: string[] } {
  const { publicKey, raw } = new NodeCertificate(cert);
  return { ...publicKey.export({ format: 'jwk' }), x5c: [raw.toString('base64')] };
}

const SIGNING = { name: 'ECDSA', hash: 'SHA-256' };
const CA_EXTENSIONS = [new BasicConstraintsExtension(true, undefined, true), new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true)];

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
}

function pemOf(key: webcrypto.CryptoKey): string {
  return KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }) as string;
}

const HOUR = 3_600_000;

function anHourAgo(): Date {
  return new Date(Date.now() - HOUR);
}

function inADay(): Date {
  return new Date(Date.now() + 24 * HOUR);
}
