import { createHash } from 'node:crypto';
import type { CanonicalTokenRequest } from './token-request.js';

/** Everything that changes the token that is issued. Two requests share a cache entry only if all of it is equal. */
export interface TokenIdentity {
  /** The issuer, or the token endpoint of a server that names none. */
  readonly server: string;
  readonly clientId: string;
  /** How the client proves who it is: a method, never a secret. */
  readonly clientAuthentication: string;
  /** The thumbprints of the key and the certificate that the token is bound to. */
  readonly bindings: readonly string[];
  /** What the server calls it otherwise than the RFCs, and what is sent along. */
  readonly dialect: readonly string[];
  readonly grant: string;
  /** On whose behalf, where that's not the client itself. */
  readonly subject: readonly string[];
  readonly request: CanonicalTokenRequest;
}

/** Raised whenever the meaning of a stored entry changes, so that two versions of the library never read each other's. */
const schemaVersion = '2';

/**
 * SHA-256 over a canonical tuple in which every atom carries its length: `a` + `b:c` can't be mistaken for `a:b` + `c`.
 * Scopes and resources are sets, so they are sorted.
 */
export function cacheKey({ server, clientId, clientAuthentication, bindings, dialect, grant, subject, request }: TokenIdentity): string {
  const parameters = Object.entries(request.parameters).sort(([a], [b]) => (a < b ? -1 : 1));
  const tuple = [
    atom(schemaVersion),
    atom(server),
    atom(clientId),
    atom(clientAuthentication),
    list(bindings),
    list(dialect),
    atom(grant),
    list(subject),
    list([...request.scope].sort()),
    list([...request.resource].sort()),
    list(request.audience === undefined ? [] : [request.audience]),
    list(request.authorizationDetails === undefined ? [] : [request.authorizationDetails]),
    list(parameters.flat()),
  ];
  return digest(tuple.join(''));
}

/** A name that says nothing of what it's made of: SHA-256 over the texts, each with its length. */
export function hashedName(...texts: readonly string[]): string {
  return digest(list(texts));
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

function atom(text: string): string {
  return `${Buffer.byteLength(text)}:${text}`;
}

function list(texts: readonly string[]): string {
  return `${texts.length}[${texts.map(atom).join('')}`;
}
