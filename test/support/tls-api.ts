import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { get } from 'node:https';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import { listenOnLoopback } from './loopback-server.js';
import { thumbprintOf, type IssuedCertificate } from './test-ca.js';
import { peerCertificate } from './tls-mutual.js';

export interface TlsApiOptions {
  certificate: IssuedCertificate;
  /** Who signs the certificate of the authorization server, in PEM. */
  ca: string;
  /** Whose access tokens are taken. */
  issuer: string;
}

/** What came in, and whose certificate the connection presented. */
export interface TlsApiRequest {
  readonly path: string;
  readonly authorization: string | undefined;
  /** `x5t#S256` of the client certificate. */
  readonly thumbprint: string | undefined;
}

/**
 * An API over TLS that asks for client certificates, whoever signed them, and takes a bound token from its own client only (RFC 8705 section 3).
 * `/redirect?to=<url>` leads elsewhere.
 */
export class TlsApi {
  readonly origin: string;
  readonly requests: TlsApiRequest[] = [];
  readonly #server: Server;
  readonly #keys: JWTVerifyGetKey;
  readonly #issuer: string;

  constructor(server: Server, keys: JWTVerifyGetKey, issuer: string) {
    this.origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.#server = server;
    this.#keys = keys;
    this.#issuer = issuer;
    server.on('request', (message, response) => {
      this.#answer(message, response).catch(() => { response.destroy(); });
    });
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(message.url ?? '/', this.origin);
    const certificate = peerCertificate(message.socket);
    const request = { path: url.pathname, authorization: message.headers.authorization, thumbprint: certificate && thumbprintOf(certificate) };
    this.requests.push(request);
    const target = url.searchParams.get('to');
    if (target !== null) response.writeHead(302, { location: target }).end();
    else if (await this.#accepts(request)) response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}');
    else response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end();
  }

  async #accepts({ authorization = '', thumbprint }: TlsApiRequest): Promise<boolean> {
    const claims = await jwtVerify(authorization.replace(/^Bearer /, ''), this.#keys, { issuer: this.#issuer }).then(({ payload }) => payload, () => undefined);
    return claims !== undefined && thumbprint !== undefined && confirmationOf(claims) === thumbprint;
  }
}

export async function startTlsApi({ certificate: { cert, key }, ca, issuer }: TlsApiOptions): Promise<TlsApi> {
  const keys = await fetchJson(`${issuer}/jwks`, ca) as JSONWebKeySet;
  return new TlsApi(await listenOnLoopback(0, { cert, key, ca, requestCert: true, rejectUnauthorized: false }), createLocalJWKSet(keys), issuer);
}

/** The thumbprint of the certificate that a token is bound to. */
export function confirmationOf({ cnf }: JWTPayload): string | undefined {
  return (cnf as { 'x5t#S256'?: string } | undefined)?.['x5t#S256'];
}

async function fetchJson(url: string, ca: string): Promise<unknown> {
  const [response] = await once(get(url, { ca, agent: false }), 'response') as [IncomingMessage];
  return json(response);
}
