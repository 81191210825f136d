/**
 * A token endpoint whose refresh tokens are good for one use: a second use ends the whole grant, as RFC 9700 section 4.14.2 wants it. Nobody signs in here:
 * any authorization code begins a grant. The path is `/<lifetime in seconds>/<delay in milliseconds>/token`.
 */
import { createServer, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { answer } from '../processes/answer.js';
import { listen } from './listen.js';
import { issue } from './token.js';

export interface RotationLog {
  readonly requests: number;
  /** The most requests that were under way at the same time. */
  readonly atOnce: number;
}

const noRequests: RotationLog = { requests: 0, atOnce: 0 };

/** The refresh token that is good now, of each grant. */
const newest = new Map<string, string>();
let serial = 0;
let underWay = 0;
let log = noRequests;

function beginGrant(): string {
  return rotate(`grant-${newest.size}`);
}

function rotate(grant: string): string {
  serial += 1;
  const refreshToken = `${grant}.${serial}`;
  newest.set(grant, refreshToken);
  return refreshToken;
}

/** The next refresh token; `undefined` where the request has none that is good. */
function next(parameters: URLSearchParams): string | undefined {
  if (parameters.get('grant_type') === 'authorization_code') return beginGrant();
  const used = parameters.get('refresh_token') ?? '';
  const [grant = ''] = used.split('.');
  if (newest.get(grant) === used) return rotate(grant);
  newest.set(grant, 'ended');
  return undefined;
}

async function respondTo(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
  const [, lifetime = 3600, delay = 0] = (request.url ?? '/').split('/').map(Number);
  // The refresh token is used up from here on, whatever becomes of the answer.
  const refreshToken = next(new URLSearchParams(await text(request)));
  await new Promise((resolve) => setTimeout(resolve, delay));
  if (refreshToken !== undefined) return { status: 200, body: { access_token: issue(lifetime), token_type: 'Bearer', expires_in: lifetime, refresh_token: refreshToken } };
  return { status: 400, body: { error: 'invalid_grant' } };
}

const server = createServer((request, response) => {
  underWay += 1;
  log = { requests: log.requests + 1, atOnce: Math.max(log.atOnce, underWay) };
  void respondTo(request).then(({ status, body }) => {
    underWay -= 1;
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(JSON.stringify(body));
  });
});

answer(await listen(server), {
  begin: beginGrant,
  reset: () => {
    log = noRequests;
  },
  log: () => log,
});
