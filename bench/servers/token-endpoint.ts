/**
 * The token endpoint. The path says what it does: `/<lifetime in seconds>/<delay in milliseconds>/token`.
 * An outage that was planned begins with the next request, which is its first victim: connections are refused, or every answer is a 503.
 */
import { createServer, type ServerResponse } from 'node:http';
import { answer } from '../processes/answer.js';
import { listen } from './listen.js';
import { issue } from './token.js';

export interface Outage { readonly kind: 'refused' | '503'; readonly milliseconds: number }
/** Epoch milliseconds; `issued` is when each token went out. */
export interface TokenEndpointLog { readonly requests: number; readonly issued: readonly number[]; readonly outageFrom: number; readonly outageUntil: number }

let requests = 0;
let issued: number[] = [];
let planned: Outage | undefined;
let unavailable = false;
let outageFrom = Number.NaN;
let outageUntil = Number.NaN;

const server = createServer((request, response) => {
  requests += 1;
  if (planned !== undefined) beginOutage(planned);
  const [, lifetime = 3600, delay = 0] = (request.url ?? '/').split('/').map(Number);
  request.resume().on('end', () => {
    if (unavailable) response.writeHead(503, { 'content-length': 0 }).end();
    else setTimeout(grant, delay, response, lifetime);
  });
});

function grant(response: ServerResponse, lifetime: number): void {
  const text = JSON.stringify({ access_token: issue(lifetime), token_type: 'Bearer', expires_in: lifetime });
  if (issued.length < 10_000) issued.push(Date.now());
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store', 'content-length': text.length }).end(text);
}

function beginOutage({ kind, milliseconds }: Outage): void {
  planned = undefined;
  outageFrom = Date.now();
  if (kind === '503') unavailable = true;
  else {
    server.close();
    server.closeAllConnections();
  }
  setTimeout(() => void endOutage(), milliseconds);
}

async function endOutage(): Promise<void> {
  unavailable = false;
  if (!server.listening) await listen(server, Number(new URL(origin).port));
  outageUntil = Date.now();
}

const origin = await listen(server);

answer(origin, {
  plan: (outage: Outage) => {
    planned = outage;
  },
  reset: () => {
    requests = 0;
    issued = [];
  },
  log: (): TokenEndpointLog => ({ requests, issued, outageFrom, outageUntil }),
});
