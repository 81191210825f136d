/**
 * A web backend on node:http alone: it signs users in, and shows what an API answers to whoever is signed in.
 *
 *   ISSUER=https://login.example.com CLIENT_ID=app CLIENT_SECRET=... API_URL=https://api.example.com \
 *     REDIRECT_URI=http://localhost:3000/callback npx tsx examples/node-http/server.ts
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createFetch, createTokenManager, OAuthError } from 'grantkeeper';
import { createLoginHandlers } from 'grantkeeper/node';

const { ISSUER = '', CLIENT_ID = '', CLIENT_SECRET, API_URL = '', REDIRECT_URI = '', PORT = '3000' } = process.env;
// Plain http, and only to this machine: for tests.
const allowInsecureRequests = process.env['ALLOW_INSECURE_REQUESTS'] === 'true';

const tokens = createTokenManager({ issuer: ISSUER, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, allowInsecureRequests });
const auth = createLoginHandlers(tokens, { redirectUri: REDIRECT_URI, scope: 'openid offline_access', onError: (error) => { console.error(String(error)); } });

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (await auth.handle(request, response)) return;
  if (request.url !== '/orders') {
    response.writeHead(303, { location: '/orders' }).end();
    return;
  }
  const session = auth.session(request);
  if (session === undefined) {
    response.writeHead(303, { location: '/login?returnTo=/orders' }).end();
    return;
  }
  const api = createFetch(session, { baseUrl: API_URL, allowInsecureRequests });
  const orders = await api('/v1/orders');
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page(`${orders.status} ${await orders.text()}`));
}

const page = (text: string): string => `<!doctype html>
<title>Orders</title>
<pre>${text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</pre>
<form method="post" action="/logout"><button>Sign out</button></form>
`;

const server = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => {
    // The session has ended: its user signs in again, and comes back to the same page.
    if (error instanceof OAuthError && error.code === 'reauthorization_required') {
      response.writeHead(303, { location: `/login?returnTo=${encodeURIComponent(request.url ?? '/')}` }).end();
      return;
    }
    console.error(String(error));
    response.writeHead(502).end();
  });
}).listen(Number(PORT), () => { console.log(`listening on port ${(server.address() as AddressInfo).port}`); });

// Waits for a refresh that is under way: its answer must not be lost.
process.once('SIGTERM', () => { server.close(() => void tokens.close()); });
