import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload } from 'jose';

export interface ApiOptions {
  issuer: string;
  audience: string;
  scope: string;
}

export interface Api {
  readonly url: string;
  close(): Promise<void>;
}

/** A protected API on http and loopback: `GET /v1/orders` tells whose they are, and takes a JWT of the authorization server's only (RFC 9068). */
export async function startApi({ issuer, audience, scope }: ApiOptions): Promise<Api> {
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));
  const claimsOf = async (jwt: string): Promise<JWTPayload | undefined> => {
    try {
      return (await jwtVerify(jwt, keys, {
        issuer,
        audience,
        typ: 'at+jwt',
        requiredClaims: ['sub', 'exp'],
        // `iat` and `exp` are whole seconds, cut off: a token of 2 s would otherwise live for 1 to 2.
        clockTolerance: 1,
      })).payload;
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    }
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const jwt = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    // RFC 6750 section 3.1: a request without credentials is told the scheme and nothing else.
    if (jwt === undefined) { response.writeHead(401, { 'www-authenticate': 'Bearer' }).end(); return; }
    const claims = await claimsOf(jwt);
    if (claims === undefined) { response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end(); return; }
    if (!String(claims['scope']).split(' ').includes(scope)) { response.writeHead(403, { 'www-authenticate': `Bearer error="insufficient_scope", scope="${scope}"` }).end(); return; }
    if (request.url !== '/v1/orders') { response.writeHead(404).end(); return; }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ customer: claims.sub, orders: 3, total: '205.40' }));
  };

  const server = createServer((request, response) => {
    answer(request, response).catch(() => { response.writeHead(500).end(); });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
