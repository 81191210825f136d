/**
 * A web backend on Fastify: it signs users in, and shows what an API answers to whoever is signed in.
 *
 *   ISSUER=https://login.example.com CLIENT_ID=app CLIENT_SECRET=... API_URL=https://api.example.com \
 *     REDIRECT_URI=http://localhost:3000/callback npx tsx examples/fastify/server.ts
 */
import fastify from 'fastify';
import { createFetch, createTokenManager, OAuthError } from 'grantkeeper';
import { createLoginHandlers } from 'grantkeeper/node';

const { ISSUER = '', CLIENT_ID = '', CLIENT_SECRET, API_URL = '', REDIRECT_URI = '', PORT = '3000' } = process.env;
// Plain http, and only to this machine: for tests.
const allowInsecureRequests = process.env['ALLOW_INSECURE_REQUESTS'] === 'true';

const tokens = createTokenManager({ issuer: ISSUER, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, allowInsecureRequests });
const auth = createLoginHandlers(tokens, { redirectUri: REDIRECT_URI, scope: 'openid offline_access', onError: (error) => { console.error(String(error)); } });

const app = fastify();

// Ahead of everything, paths without a route included: the response has been sent, and Fastify has nothing to add.
app.addHook('onRequest', async (request, reply) => {
  if (await auth.handle(request.raw, reply.raw)) reply.hijack();
});

app.get('/', async (_request, reply) => reply.redirect('/orders', 303));

app.get('/orders', async (request, reply) => {
  const session = auth.session(request);
  if (session === undefined) return reply.redirect('/login?returnTo=/orders', 303);
  const api = createFetch(session, { baseUrl: API_URL, allowInsecureRequests });
  const orders = await api('/v1/orders');
  return reply.type('text/html; charset=utf-8').send(page(`${orders.status} ${await orders.text()}`));
});

const page = (text: string): string => `<!doctype html>
<title>Orders</title>
<pre>${text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</pre>
<form method="post" action="/logout"><button>Sign out</button></form>
`;

// The session has ended: its user signs in again, and comes back to the same page.
app.setErrorHandler(async (error, request, reply) => {
  if (error instanceof OAuthError && error.code === 'reauthorization_required') return reply.redirect(`/login?returnTo=${encodeURIComponent(request.url)}`, 303);
  throw error;
});

// Waits for a refresh that is under way: its answer must not be lost.
app.addHook('onClose', async () => tokens.close());
process.once('SIGTERM', () => void app.close());

console.log(`listening on port ${new URL(await app.listen({ port: Number(PORT) })).port}`);
