import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload } from 'jose';
import { listen, listenToDirector, report } from './child.js';
import type { ApiConfig } from './protocol.js';

const orders = [{ id: 1, total: '120.00' }, { id: 2, total: '75.50' }, { id: 3, total: '9.90' }];

let requests = 0;
let refused = 0;
const tokens = new Set<string>();
const revoked = new Set<string>();
let latest: string | undefined;

type Verify = (jwt: string) => Promise<JWTPayload>;

function verifier({ issuer, audience }: ApiConfig): Verify {
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));
  return async (jwt) => {
    const { payload } = await jwtVerify(jwt, keys, {
      issuer,
      audience,
      typ: 'at+jwt',
      requiredClaims: ['exp', 'jti'],
      // `iat` and `exp` are whole seconds, cut off: a token of 5 s would otherwise live for 4 to 5.
      clockTolerance: 1,
    });
    return payload;
  };
}

function refuse(response: ServerResponse, status: 401 | 403, challenge: string): void {
  if (status === 401) refused += 1;
  response.writeHead(status, { 'www-authenticate': challenge }).end();
}

async function handle(request: IncomingMessage, response: ServerResponse, verify: Verify, scope: string): Promise<void> {
  requests += 1;
  const jwt = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  // RFC 6750 section 3.1: a request without credentials is told the scheme and nothing else.
  if (jwt === undefined) { refuse(response, 401, 'Bearer'); return; }

  const claims = await verify(jwt).catch((error: unknown) => {
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  });
  if (claims?.jti === undefined || revoked.has(claims.jti)) { refuse(response, 401, 'Bearer error="invalid_token"'); return; }
  const granted = typeof claims['scope'] === 'string' ? claims['scope'].split(' ') : [];
  if (!granted.includes(scope)) {
    refuse(response, 403, `Bearer error="insufficient_scope", scope="${scope}"`);
    return;
  }
  tokens.add(claims.jti);
  latest = claims.jti;
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(orders));
}

async function start(config: ApiConfig): Promise<void> {
  const verify = verifier(config);
  const server = createServer((request, response) => {
    handle(request, response, verify, config.scope).catch(() => { response.writeHead(500).end(); });
  });
  report({ type: 'listening', url: await listen(server, 0) });
}

listenToDirector({
  start({ config }) { void start(config as ApiConfig); },
  figures() { report({ type: 'figures', figures: { requests, refused, tokens: tokens.size } }); },
  // A JWT is valid wherever it is checked until it expires; an API that must refuse one sooner keeps a list.
  'revoke-current-token'() {
    if (latest !== undefined) revoked.add(latest);
    report({ type: 'revoked' });
  },
});
