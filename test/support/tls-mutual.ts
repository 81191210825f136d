import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Configuration } from 'oidc-provider';

/** The certificate that a client presented on this connection. */
export function peerCertificate(socket: Socket): X509Certificate | undefined {
  return socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
}

/** RFC 8705 for oidc-provider, which leaves to its host what is known of a connection. */
export const mutualTls: NonNullable<NonNullable<Configuration['features']>['mTLS']> = {
  enabled: true,
  certificateBoundAccessTokens: true,
  tlsClientAuth: true,
  selfSignedTlsClientAuth: true,
  getCertificate: ({ req }) => peerCertificate(req.socket),
  certificateAuthorized: ({ req }) => req.socket instanceof TLSSocket && req.socket.authorized,
  certificateSubjectMatches: ({ req }, property, expected) => {
    const certificate = peerCertificate(req.socket);
    if (property === 'tls_client_auth_subject_dn') return certificate !== undefined && distinguishedName(certificate) === expected;
    const kind = property === 'tls_client_auth_san_dns' ? 'DNS' : 'URI';
    return certificate?.subjectAltName?.split(', ').includes(`${kind}:${expected}`) === true;
  },
};

/** As RFC 4514 section 2.1 has it: the last part first. */
function distinguishedName({ subject }: X509Certificate): string {
  return subject.split('\n').reverse().join(',');
}
