/**
 * A web backend on Hono: it signs users in, and shows what an API answers to whoever is signed in.
 *
 *   ISSUER=https://login.example.com CLIENT_ID=app CLIENT_SECRET=... API_URL=https://api.example.com \
 *     REDIRECT_URI=http://localhost:3000/callback npx tsx examples/hono/server.ts
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createRequestListener } from '@remix-run/node-fetch-server';
import { createFetch, createTokenManager, OAuthError } from 'grantkeeper';
import { createLoginHandlers } from 'grantkeeper/web';
import { Hono } from 'hono';
import { html } from 'hono/html';

const { ISSUER = '', CLIENT_ID = '', CLIENT_SECRET, API_URL = '', REDIRECT_URI = '', PORT = '3000' } = process.env;
// Plain http, and only to this machine: for tests.
const allowInsecureRequests = process.env['ALLOW_INSECURE_REQUESTS'] === 'true';

const tokens = createTokenManager({ issuer: ISSUER, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, allowInsecureRequests });
const auth = createLoginHandlers(tokens, { redirectUri: REDIRECT_URI, scope: 'openid offline_access', onError: (error) => { console.error(String(error)); } });

const app = new Hono();

app.use(async (context, next) => {
  const answer = await auth.handle(context.req.raw);
  if (answer) return answer;
  await next();
});

app.get('/', (context) => context.redirect('/orders', 303));

app.get('/orders', async (context) => {
  const session = auth.session(context.req.raw);
  if (session === undefined) return context.redirect('/login?returnTo=/orders', 303);
  const api = createFetch(session, { baseUrl: API_URL, allowInsecureRequests });
  const orders = await api('/v1/orders');
  return context.html(html`<!doctype html>
<title>Orders</title>
<pre>${orders.status} ${await orders.text()}</pre>
<form method="post" action="/logout"><button>Sign out</button></form>
`);
});

// The session has ended: its user signs in again, and comes back to the same page.
app.onError((error, context) => {
  if (error instanceof OAuthError && error.code === 'reauthorization_required') return context.redirect(`/login?returnTo=${encodeURIComponent(context.req.path)}`, 303);
  console.error(String(error));
  return context.body(null, 502);
});

// Any server for standard requests will do.
const server = createServer(createRequestListener((request) => app.fetch(request)));
server.listen(Number(PORT), () => { console.log(`listening on port ${(server.address() as AddressInfo).port}`); });

// Waits for a refresh that is under way: its answer must not be lost.
process.once('SIGTERM', () => { server.close(() => void tokens.close()); });
