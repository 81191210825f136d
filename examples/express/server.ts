/**
 * A web backend on Express: it signs users in, and shows what an API answers to whoever is signed in.
 *
 *   ISSUER=https://login.example.com CLIENT_ID=app CLIENT_SECRET=... API_URL=https://api.example.com \
 *     REDIRECT_URI=http://localhost:3000/callback npx tsx examples/express/server.ts
 */
import type { AddressInfo } from 'node:net';
import express, { type ErrorRequestHandler } from 'express';
import { createFetch, createTokenManager, OAuthError } from 'grantkeeper';
import { createLoginHandlers } from 'grantkeeper/node';

const { ISSUER = '', CLIENT_ID = '', CLIENT_SECRET, API_URL = '', REDIRECT_URI = '', PORT = '3000' } = process.env;
// Plain http, and only to this machine: for tests.
const allowInsecureRequests = process.env['ALLOW_INSECURE_REQUESTS'] === 'true';

const tokens = createTokenManager({ issuer: ISSUER, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, allowInsecureRequests });
const auth = createLoginHandlers(tokens, { redirectUri: REDIRECT_URI, scope: 'openid offline_access', onError: (error) => { console.error(String(error)); } });

const app = express();
app.use(auth.middleware);

app.get('/', (_request, response) => { response.redirect(303, '/orders'); });

app.get('/orders', async (request, response) => {
  const session = auth.session(request);
  if (session === undefined) {
    response.redirect(303, '/login?returnTo=/orders');
    return;
  }
  const api = createFetch(session, { baseUrl: API_URL, allowInsecureRequests });
  const orders = await api('/v1/orders');
  response.type('html').send(page(`${orders.status} ${await orders.text()}`));
});

const page = (text: string): string => `<!doctype html>
<title>Orders</title>
<pre>${text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</pre>
<form method="post" action="/logout"><button>Sign out</button></form>
`;

// The session has ended: its user signs in again, and comes back to the same page.
app.use(((error, request, response, next) => {
  if (error instanceof OAuthError && error.code === 'reauthorization_required') response.redirect(303, `/login?returnTo=${encodeURIComponent(request.originalUrl)}`);
  else next(error);
}) satisfies ErrorRequestHandler);

const server = app.listen(Number(PORT), () => { console.log(`listening on port ${(server.address() as AddressInfo).port}`); });

// Waits for a refresh that is under way: its answer must not be lost.
process.once('SIGTERM', () => { server.close(() => void tokens.close()); });
