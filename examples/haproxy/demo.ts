/**
 * An API behind HAProxy, with everything that it needs, on this machine only: `npx tsx examples/haproxy/demo.ts`. Makes the calls that a gateway has to tell apart,
 * prints what came of each, and exits with 1 if one was answered otherwise than it should be.
 */
import { challenges, createFetch, createTokenManager, discoverProtectedResource, type TokenManager, type TokenSource } from 'grantkeeper';
import { startAuthorizationServer, type AuthorizationServer } from './authorization-server.js';
import { startGateway, type Gateway } from './gateway.js';
import { startUpstream, type Upstream } from './upstream.js';

interface Surroundings {
  readonly authorizationServer: AuthorizationServer;
  readonly upstream: Upstream;
  readonly gateway: Gateway;
  /** As the gateway's 401 names it. */
  readonly issuer: string;
}

interface Call {
  readonly title: string;
  /** Status, error of the challenge, whom the upstream took the caller for, and the number of token requests that it cost. */
  readonly expected: string;
  /** @param tokens of a process of its own, so to speak: it has no token yet */
  readonly make: (tokens: TokenManager, surroundings: Surroundings) => Promise<Response>;
}

const read = { scope: 'orders:read' };
const api = (source: TokenSource, { gateway }: Surroundings): typeof fetch => createFetch(source, { baseUrl: gateway.url, allowInsecureRequests: true });
const plain = async ({ gateway }: Surroundings, token: string): Promise<Response> => fetch(`${gateway.url}/v1/orders`, { headers: { authorization: `Bearer ${token}` } });

const calls: readonly Call[] = [
  {
    title: 'no token',
    expected: '401',
    make: async (_tokens, { gateway }) => fetch(`${gateway.url}/v1/orders`),
  },
  {
    title: 'a valid token',
    expected: '200 billing, 1 token',
    make: async (tokens, at) => api(tokens.clientCredentials({ ...read, resource: at.gateway.url }), at)('/v1/orders'),
  },
  {
    title: 'a valid token, and a name that the client made up',
    expected: '200 billing, 1 token',
    make: async (tokens, at) => api(tokens.clientCredentials({ ...read, resource: at.gateway.url }), at)('/v1/orders', { headers: { 'X-Subject': 'root', X_Subject: 'root' } }),
  },
  {
    title: 'an expired token, by a plain fetch',
    expected: '401 invalid_token, 1 token',
    async make(tokens, at) {
      at.authorizationServer.nextTokenIsOld();
      return plain(at, (await tokens.clientCredentials({ ...read, resource: at.gateway.url }).getToken()).value);
    },
  },
  {
    title: 'an expired token, by createFetch: replaced, and sent again',
    expected: '200 billing, 2 tokens',
    async make(tokens, at) {
      at.authorizationServer.nextTokenIsOld();
      return api(tokens.clientCredentials({ ...read, resource: at.gateway.url }), at)('/v1/orders');
    },
  },
  {
    title: 'a token for another API: replaced once, in vain',
    expected: '401 invalid_token, 2 tokens',
    make: async (tokens, at) => api(tokens.clientCredentials({ ...read, resource: 'https://other.example.com' }), at)('/v1/orders'),
  },
  {
    title: 'a token with another signature',
    expected: '401 invalid_token, 2 tokens',
    async make(tokens, at) {
      const [one, other] = [tokens.clientCredentials({ ...read, resource: at.gateway.url }), tokens.clientCredentials({ resource: at.gateway.url })];
      const [header, payload] = (await one.getToken()).value.split('.');
      return plain(at, [header, payload, (await other.getToken()).value.split('.')[2]].join('.'));
    },
  },
  {
    title: 'a token that may only read, to write: not replaced',
    expected: '403 insufficient_scope, 1 token',
    make: async (tokens, at) => api(tokens.clientCredentials({ ...read, resource: at.gateway.url }), at)('/v1/orders', { method: 'POST', body: '{}' }),
  },
];

async function outcomeOf({ make }: Call, surroundings: Surroundings): Promise<string> {
  const { authorizationServer: server, issuer } = surroundings;
  const before = server.tokenRequests;
  const tokens = createTokenManager({ issuer, clientId: server.clientId, clientSecret: server.clientSecret, allowInsecureRequests: true });
  try {
    const response = await make(tokens, surroundings);
    const [error] = challenges(response).flatMap(({ error: code }) => code ?? []);
    const text = await response.text();
    const subject = response.ok ? (JSON.parse(text) as { subject: string }).subject : undefined;
    const cost = server.tokenRequests - before;
    const said = [response.status, error, subject].filter((part) => part !== undefined).join(' ');
    return cost === 0 ? said : `${said}, ${cost} token${cost === 1 ? '' : 's'}`;
  } finally {
    await tokens.close();
  }
}

/** The client knows nothing but the address of the API. */
async function issuerOf({ url }: Gateway): Promise<string> {
  const response = await fetch(`${url}/v1/orders`);
  await response.body?.cancel();
  const { authorizationServers: [issuer] } = await discoverProtectedResource(response, { allowInsecureRequests: true });
  if (issuer === undefined) throw new Error(`${url} names no authorization server`);
  return issuer;
}

async function main(): Promise<void> {
  const started: { close(): Promise<void> }[] = [];
  const keep = <Started extends { close(): Promise<void> }>(server: Started): Started => {
    started.push(server);
    return server;
  };
  try {
    const authorizationServer = keep(await startAuthorizationServer());
    const upstream = keep(await startUpstream());
    const gateway = keep(await startGateway({ ...authorizationServer, upstreamPort: upstream.port }));
    const issuer = await issuerOf(gateway);
    console.log(`\n  ${gateway.url} takes tokens of ${issuer}\n`);
    for (const call of calls) {
      const outcome = await outcomeOf(call, { authorizationServer, upstream, gateway, issuer });
      const isRight = outcome === call.expected;
      if (!isRight) process.exitCode = 1;
      console.log(`  ${isRight ? '✓' : '✗'} ${call.title.padEnd(60)}  ${outcome}${isRight ? '' : ` instead of ${call.expected}`}`);
    }
    const reached = upstream.received.length;
    console.log(`\n  ${reached} of these reached the upstream, none with a token.\n`);
    if (reached !== 3 || upstream.received.some(({ authorization }) => authorization !== undefined)) process.exitCode = 1;
  } finally {
    for (const server of started.reverse()) await server.close();
  }
}

// HAProxy is ended on the way out.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
