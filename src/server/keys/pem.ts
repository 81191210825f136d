import { createPrivateKey, type KeyObject } from 'node:crypto';
import { invalid } from '../../validation.js';

/** One block of a PEM (RFC 7468), from its label to its end. */
const block = /-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g;

/**
 * The private key in a PEM, whatever else is in it: PKCS #8, PKCS #1 (RSA) or SEC 1 (EC).
 * @throws OAuthError `invalid_configuration`, with nothing of the text
 */
export function privateKeyOfPem(where: string, pem: string): KeyObject {
  const blocks = [...pem.matchAll(block)];
  const labels = [...pem.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----/g)].map(([, label = '']) => label);
  const isEncrypted = labels.includes('ENCRYPTED PRIVATE KEY') || /^Proc-Type: 4,ENCRYPTED/m.test(pem);
  if (isEncrypted) throw invalid(`${where}: the PEM is encrypted; decrypt it, e.g. with createPrivateKey({ key, passphrase }) of node:crypto, and pass the KeyObject`);
  const [text] = blocks.find(([, label = '']) => ['PRIVATE KEY', 'RSA PRIVATE KEY', 'EC PRIVATE KEY'].includes(label)) ?? [];
  if (text === undefined) throw invalid(`${where}: ${remedy(labels)}`);
  try {
    return createPrivateKey(text);
  } catch {
    throw invalid(`${where}: the PEM can't be read: it is damaged, or of a key type that Node doesn't know${lineBreaks(pem)}`);
  }
}

function remedy(labels: readonly string[]): string {
  if (labels.some((label) => label.endsWith('CERTIFICATE'))) return 'a private key is needed, and the PEM is a certificate; pass the private key that belongs to it';
  if (labels.some((label) => label.endsWith('PUBLIC KEY'))) return 'a private key is needed, and the PEM is a public key; pass the private key that belongs to it';
  if (labels.includes('OPENSSH PRIVATE KEY')) return 'the key is in a format of OpenSSH\'s own; convert it with `ssh-keygen -p -m PKCS8 -f FILE`';
  if (labels.length > 0) return 'the PEM can\'t be read: it holds no whole private key of PKCS #8, PKCS #1 or SEC 1';
  return 'the text is no PEM, which has a line "-----BEGIN PRIVATE KEY-----"; pass what is in the file, not its path, and a JWK as an object';
}

/** As they are often lost in environment variables. */
function lineBreaks(pem: string): string {
  return pem.includes('\\n') ? '; its line breaks are written as \\n: replace them by real ones' : '';
}
