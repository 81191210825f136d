import { createHash, createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Dispatcher } from 'undici';
import { systemReason } from '../errors.js';
import { checkOptions, invalid, text, type Rules } from '../validation.js';
import { lazyAgents } from './agent.js';

/** A client certificate as connections present it (RFC 8705). Its private key stays inside. */
export interface PresentedCertificate {
  /** SHA-256 of the certificate in base64url: the confirmation `x5t#S256` of tokens that are bound to it (RFC 8705 section 3.1). */
  readonly thumbprint: string;
  /**
   * Connections that present it.
   * @param detached they don't keep the process alive
   */
  dispatcher(detached: boolean): Promise<Dispatcher>;
  /**
   * @param now milliseconds since the epoch
   * @throws OAuthError `invalid_configuration` before it is valid, and after it has expired
   */
  assertValid(now: number): void;
}

/** A client certificate and its private key, in PEM (RFC 7468): the text of the files, not their names. */
export interface ClientCertificate {
  /** The certificate; those of its issuers may follow it, in their order. */
  cert: string | Uint8Array;
  /** The private key that belongs to it: PKCS #8, PKCS #1 or SEC 1. */
  key: string | Uint8Array;
  /** The CAs that the authorization server and the APIs are trusted by, instead of Node's own: add `rootCertificates` of node:tls to keep those. @default Node's own */
  ca?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined;
  /** Opens the private key, if it is encrypted. */
  passphrase?: string | undefined;
}

const isPem = (value: unknown): boolean => text.accepts(value) || value instanceof Uint8Array;

const rules: Rules<ClientCertificate> = {
  cert: { expected: 'a certificate in PEM, as a string or Buffer', accepts: isPem, secret: true },
  key: { expected: 'a private key in PEM, as a string or Buffer', accepts: isPem, secret: true },
  ca: { expected: 'certificates in PEM: a string, a Buffer or a list of them', accepts: (value) => isPem(value) || (Array.isArray(value) && value.length > 0 && value.every(isPem)), secret: true },
  passphrase: { ...text, secret: true },
};

/**
 * Reads all of it now, so that what can't be used is refused where it was passed.
 * @param where the function that the messages begin with
 * @throws OAuthError `invalid_configuration`
 */
export function presentedCertificate(where: string, options: ClientCertificate): PresentedCertificate {
  checkOptions<ClientCertificate>(where, options, rules);
  for (const name of ['cert', 'key'] as const) if (!isPem(options[name])) throw invalid(`${where}: \`${name}\` must be ${rules[name].expected}; received nothing`);
  const [certificate] = readCertificates(where, 'cert', options.cert);
  if (!certificate.checkPrivateKey(readKey(where, options))) {
    throw invalid(`${where}: the private key in \`key\` does not belong to the first certificate in \`cert\`: pass the pair that was issued together, and the client's own certificate before those of its issuers`);
  }
  const dispatcher = lazyAgents(secureContextOf(where, options));
  return Object.freeze<PresentedCertificate>({
    thumbprint: createHash('sha256').update(certificate.raw).digest('base64url'),
    dispatcher,
    assertValid(now) {
      const { validFrom, validTo } = certificate;
      if (now > Date.parse(validTo)) throw invalid(`${where}: the certificate in \`cert\` expired on ${validTo}: renew it, and pass the new one`);
      if (now < Date.parse(validFrom)) throw invalid(`${where}: the certificate in \`cert\` is not valid before ${validFrom}: renew it for a time that has begun, or set this machine's clock right`);
    },
  });
}

/** The key is in OpenSSL's memory from here on, not in an object's. */
function secureContextOf(where: string, { cert, key, ca, passphrase }: ClientCertificate): SecureContext {
  const authorities = ca === undefined ? [] : [ca].flat<(typeof ca)[]>();
  for (const authority of authorities) readCertificates(where, 'ca', authority);
  try {
    return createSecureContext({ cert: pemText(cert), key: pemText(key), passphrase, ...(ca !== undefined && { ca: authorities.map(pemText) }) });
  } catch (thrown) {
    throw invalid(`${where}: TLS can't be spoken with this certificate and key (${systemReason(thrown) ?? 'without a reason'}): have a certificate issued with an algorithm and a key size that OpenSSL takes`);
  }
}

function readCertificates(where: string, option: 'cert' | 'ca', pem: string | Uint8Array): [X509Certificate, ...X509Certificate[]] {
  const blocks = pemText(pem).match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    const [first, ...others] = blocks.map((block) => new X509Certificate(block));
    if (first !== undefined) return [first, ...others];
  } catch {
    // It is said below; what OpenSSL says of it helps nobody.
  }
  throw invalid(`${where}: \`${option}\` holds no certificate that can be read: pass the text of a PEM file, -----BEGIN CERTIFICATE----- and what follows`);
}

function readKey(where: string, { key, passphrase }: ClientCertificate): KeyObject {
  const pem = pemText(key);
  const isEncrypted = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem);
  if (isEncrypted && passphrase === undefined) throw invalid(`${where}: the private key in \`key\` is encrypted: pass its \`passphrase\``);
  try {
    return createPrivateKey({ key: pem, format: 'pem', passphrase });
  } catch {
    throw invalid(isEncrypted
      ? `${where}: the private key in \`key\` can't be opened with \`passphrase\`: pass the one with which it was encrypted`
      : `${where}: \`key\` holds no private key that can be read: pass the text of a PEM file with PKCS #8, PKCS #1 or SEC 1, such as -----BEGIN PRIVATE KEY----- and what follows`);
  }
}

function pemText(pem: string | Uint8Array): string {
  return typeof pem === 'string' ? pem : Buffer.from(pem).toString('utf8');
}
