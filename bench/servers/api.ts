/**
 * The API. `/` takes any bearer token; `/unexpired` refuses an expired one; `/staggered/<ms>` refuses a revoked one after
 * <ms>; `/upload/<ms>` reads a body to its end, throws it away, and answers <ms> later.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { answer } from '../processes/answer.js';
import { listen } from './listen.js';
import { expiryOf } from './token.js';

export interface ApiCounts { readonly authorized: number; readonly refused: number; readonly uploadedBytes: number }

const body = JSON.stringify({ invoices: [{ id: 1, total: '12.50' }, { id: 2, total: '99.00' }] });
const revoked = new Set<string>();
let authorized = 0;
let refused = 0;
let uploadedBytes = 0;

const server = createServer((request, response) => {
  const token = bearerToken(request);
  const [, path, milliseconds] = (request.url ?? '/').split('/');
  if (token === undefined) refuse(response);
  else if (path === 'unexpired') unexpired(token, response);
  else if (path === 'staggered') staggered(token, Number(milliseconds), response);
  else if (path === 'upload') discard(request, Number(milliseconds), response);
  else accept(response);
});

function bearerToken({ headers: { authorization } }: IncomingMessage): string | undefined {
  return authorization?.startsWith('Bearer ') === true ? authorization.slice('Bearer '.length) : undefined;
}

function accept(response: ServerResponse): void {
  authorized += 1;
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
}

function refuse(response: ServerResponse): void {
  refused += 1;
  response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"', 'content-length': 0 }).end();
}

function unexpired(token: string, response: ServerResponse): void {
  const expiresAt = expiryOf(token);
  if (!(expiresAt > Date.now())) {
    refuse(response);
    return;
  }
  response.setHeader('x-token-expires-at', expiresAt);
  accept(response);
}

function staggered(token: string, milliseconds: number, response: ServerResponse): void {
  if (revoked.has(token)) setTimeout(refuse, milliseconds, response);
  else accept(response);
}

function discard(request: IncomingMessage, milliseconds: number, response: ServerResponse): void {
  request.on('data', (chunk: Buffer) => {
    uploadedBytes += chunk.length;
  });
  request.on('end', () => {
    setTimeout(accept, milliseconds, response);
  });
}

answer(await listen(server), {
  counts: (): ApiCounts => ({ authorized, refused, uploadedBytes }),
  revoke: (token: string) => {
    revoked.add(token);
  },
});
