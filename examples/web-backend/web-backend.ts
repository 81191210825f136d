import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createFetch, createTokenManager, type Session, type TokenManager } from 'grantkeeper';
import { createLoginHandlers } from 'grantkeeper/node';
import { failureOf } from './failure.js';
import { contentSecurityPolicy, failurePage, signedInPage, signedOutPage, type ApiCall } from './pages.js';
import type { Settings } from './settings.js';

export interface WebBackend {
  readonly listener: RequestListener;
  readonly tokens: TokenManager;
}

/** One process of several: `examples/many-replicas`. */
export interface Replica {
  /** Its pages say it, and the header `x-answered-by`. */
  readonly name: string;
  readonly tokens: TokenManager;
}

/** A web backend: users sign in, and it calls an API for them. Login, callback and logout are the library's; what else it needs of it is in `call`. */
export function createWebBackend(settings: Settings, log: (line: string) => void, replica?: Replica): WebBackend {
  const { appUrl, issuer, clientId, clientSecret, apiUrl, allowInsecureRequests } = settings;
  // Sessions are in memory here, and gone with the process: with a `store` and `encryptionKeys` they stay, and with a `lock` as well several processes share them.
  const tokens = replica?.tokens ?? createTokenManager({ issuer, clientId, clientSecret, allowInsecureRequests });
  const auth = createLoginHandlers(tokens, {
    redirectUri: new URL('/callback', appUrl),
    scope: 'openid profile offline_access orders:read',
    // Without it a server need not give `offline_access` (OpenID Connect Core section 11).
    prompt: 'consent',
    onError: (error) => { log(`no login: ${error.code}: ${error.message}`); },
  });

  /** With the user's access token, renewed where it's due. However many calls need a new one at the same time, one is asked for. */
  const call = async (session: Session): Promise<ApiCall> => {
    const api = createFetch(session, { baseUrl: apiUrl, timeout: 10_000, allowInsecureRequests });
    const response = await api('/v1/orders');
    const body: unknown = response.ok ? await response.json() : await response.body?.cancel() ?? null;
    const { expiresAt } = await session.getToken();
    return { at: Date.now(), status: response.status, body, expiresAt };
  };

  const home = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const session = auth.session(request);
    const info = await session?.info();
    if (session === undefined || info === undefined) sendPage(response, 200, signedOutPage(replica?.name));
    else sendPage(response, 200, signedInPage(info, await call(session), replica?.name));
  };

  const orders = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const session = auth.session(request);
    if (session === undefined) sendJson(response, 401, { error: 'reauthorization_required' });
    else sendJson(response, 200, await call(session));
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (await auth.handle(request, response)) return;
    switch (`${request.method} ${pathOf(request)}`) {
      case 'GET /': await home(request, response); break;
      case 'GET /api/orders': await orders(request, response); break;
      default: sendPage(response, 404, failurePage('There is no such page', 'Perhaps it has moved.', replica?.name));
    }
  };

  /** A user whose session is over signs in again, and comes back to where they were; a script is told, and does the same. */
  const fail = (request: IncomingMessage, response: ServerResponse, error: unknown): void => {
    const { code, status, title, text } = failureOf(error);
    log(`${pathOf(request)} answered with ${status}: ${String(error)}`);
    if (response.headersSent) response.destroy();
    else if (pathOf(request).startsWith('/api/')) sendJson(response, status, { error: code });
    else if (code === 'reauthorization_required') response.writeHead(303, { location: `/login?${new URLSearchParams({ returnTo: request.url ?? '/' }).toString()}` }).end();
    else sendPage(response, status, failurePage(title, text, replica?.name));
  };

  return {
    tokens,
    listener: (request, response) => {
      if (replica !== undefined) response.setHeader('x-answered-by', replica.name);
      answer(request, response).catch((error: unknown) => { fail(request, response, error); });
    },
  };
}

/** Without the query: it may hold anything, and goes into the log. */
function pathOf({ url = '/' }: IncomingMessage): string {
  return url.replace(/\?.*/s, '');
}

/** What is on these pages is one user's: nothing keeps it. */
const headers = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

function sendPage(response: ServerResponse, status: number, page: string): void {
  response.writeHead(status, {
    ...headers,
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': contentSecurityPolicy,
    'referrer-policy': 'same-origin',
  }).end(page);
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { ...headers, 'content-type': 'application/json' }).end(JSON.stringify(body));
}
