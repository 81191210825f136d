import { MockAgent, Agent, Pool } from 'undici';
import { createTokenManager, type TokenManager, type TokenManagerOptions } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { runProgram } from './support/child-process.js';
import { failureOf } from './support/failure.js';
import { machineClient } from './support/machine-client.js';

const TOKEN_ENDPOINT = 'https://login.example.com/token';

let server: AuthorizationServer;

beforeEach(async () => {
  server = await startAuthorizationServer();
});

afterEach(async () => {
  vi.unstubAllGlobals();
  await server.close();
});

function daemon(options: Partial<TokenManagerOptions> = {}): TokenManager {
  return createTokenManager({ server: { token_endpoint: TOKEN_ENDPOINT }, clientId: 'billing', clientSecret: 's', retry: { minDelay: 0 }, ...options });
}

function answering(value = 'at-stub'): ReturnType<typeof vi.fn<typeof fetch>> {
  return vi.fn<typeof fetch>(async () => Promise.resolve(Response.json({ access_token: value, token_type: 'Bearer' })));
}

describe('a stubbed globalThis.fetch', () => {
  test('gets the requests, as a fetch would', async () => {
    const send = answering();
    vi.stubGlobal('fetch', send);
    expect(await daemon().clientCredentials({ scope: 'a' }).getToken()).toMatchObject({ value: 'at-stub' });
    const [url, init] = send.mock.calls[0] ?? [];
    expect(url).toBe(TOKEN_ENDPOINT);
    expect(init).toMatchObject({ method: 'POST', redirect: 'manual' });
    expect(init?.signal).toBeInstanceOf(AbortSignal);
    expect(new Headers(init?.headers).get('authorization')).toBe(`Basic ${Buffer.from('billing:s').toString('base64')}`);
    expect(Object.fromEntries(new URLSearchParams(await new Response(init?.body).text()))).toEqual({ grant_type: 'client_credentials', scope: 'a' });
    expect(init).not.toHaveProperty('dispatcher');
  });

  test('is looked up at each request: it may come later, and go', async () => {
    const { tokens } = machineClient(server);
    expect(await tokens.clientCredentials({ scope: 'a' }).getToken()).toMatchObject({ value: 'at-1' });
    vi.stubGlobal('fetch', answering());
    expect(await tokens.clientCredentials({ scope: 'b' }).getToken()).toMatchObject({ value: 'at-stub' });
    vi.unstubAllGlobals();
    expect(await tokens.clientCredentials({ scope: 'c' }).getToken()).toMatchObject({ value: 'at-2' });
  });

  test('gets the dispatcher that was passed', async () => {
    const send = answering();
    vi.stubGlobal('fetch', send);
    const dispatcher = new MockAgent();
    await daemon({ dispatcher }).clientCredentials().getToken();
    expect(send.mock.calls[0]?.[1]).toMatchObject({ dispatcher });
    await dispatcher.close();
  });

  test.each<[string, () => unknown, string]>([
    ['rejects', async () => Promise.reject(new TypeError('fetch failed')), 'server_unreachable'],
    ['throws', () => { throw new TypeError('fetch failed'); }, 'server_unreachable'],
  ])('that %s is a server that can\'t be reached, three times', async (_case, send, code) => {
    const stub = vi.fn(send);
    vi.stubGlobal('fetch', stub);
    expect(await failureOf(daemon().clientCredentials().getToken())).toMatchObject({ code, retryable: true });
    expect(stub).toHaveBeenCalledTimes(3);
  });
});

describe('the option `dispatcher`', () => {
  test('may be a MockAgent', async () => {
    const dispatcher = new MockAgent();
    dispatcher.disableNetConnect();
    dispatcher.get('https://login.example.com').intercept({ path: '/token', method: 'POST', body: 'grant_type=client_credentials' })
      .reply(200, { access_token: 'at-mock', token_type: 'Bearer' }, { headers: { 'content-type': 'application/json' } });
    expect(await daemon({ dispatcher }).clientCredentials().getToken()).toMatchObject({ value: 'at-mock' });
    expect(dispatcher.pendingInterceptors()).toEqual([]);
    await dispatcher.close();
  });

  test('carries discovery and token requests', async () => {
    const origins: string[] = [];
    const dispatcher = new Agent({ factory: (origin, options) => {
      origins.push(String(origin));
      return new Pool(origin, options);
    } });
    const { tokens } = machineClient(server, { issuer: server.issuer, dispatcher });
    await tokens.clientCredentials().getToken();
    expect(server.requests).toHaveLength(2);
    expect(origins).toEqual([server.origin]);
    await dispatcher.close();
  });

  test('that throws is a server that can\'t be reached', async () => {
    const dispatcher = { dispatch: () => { throw new Error('broken'); } } as unknown as NonNullable<TokenManagerOptions['dispatcher']>;
    expect(await failureOf(daemon({ dispatcher }).clientCredentials().getToken())).toMatchObject({ code: 'server_unreachable', retryable: true });
  });
});

const program = (body: string): string => `
  import { createServer } from 'node:http';
  import { createTokenManager } from 'grantkeeper';
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end('{"access_token":"at-real","token_type":"Bearer"}');
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address() as { port: number };
  const origin = \`http://127.0.0.1:\${port}\`;
  const tokens = createTokenManager({ server: { token_endpoint: \`\${origin}/token\` }, clientId: 'billing', clientSecret: 's', allowInsecureRequests: true });
  let count = 0;
  const next = async () => (await tokens.clientCredentials({ scope: String(count += 1) }).getToken()).value;
  const told: Record<string, unknown> = {};
  ${body}
  console.log(JSON.stringify(told));
  server.close();
  server.closeAllConnections();
`;

describe('a global dispatcher of the user\'s', () => {
  test('carries the requests: an Agent, a composed one, a MockAgent, each for as long as it is set', async () => {
    const { stdout, stderr, code } = await runProgram(program(`
      const { Agent, getGlobalDispatcher, MockAgent, Pool, setGlobalDispatcher } = await import('undici');
      told['at first'] = await next();
      const original = getGlobalDispatcher();

      const origins: string[] = [];
      setGlobalDispatcher(new Agent({ factory: (to, options) => { origins.push(String(to) === origin ? 'server' : String(to)); return new Pool(to, options); } }));
      told['Agent'] = [await next(), await next(), origins];

      const paths: unknown[] = [];
      setGlobalDispatcher(new Agent().compose((dispatch) => (options, handler) => { paths.push(options.path ?? 'none'); return dispatch(options, handler); }));
      told['composed'] = [await next(), await next(), paths];

      const mock = new MockAgent();
      mock.disableNetConnect();
      setGlobalDispatcher(mock);
      mock.get(origin).intercept({ path: '/token', method: 'POST' }).reply(200, { access_token: 'at-mock', token_type: 'Bearer' });
      told['MockAgent'] = [await next(), mock.pendingInterceptors().length];

      setGlobalDispatcher(original);
      told['restored'] = await next();
    `));
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      'at first': 'at-real',
      'Agent': ['at-real', 'at-real', ['server']],
      'composed': ['at-real', 'at-real', ['/token', '/token']],
      'MockAgent': ['at-mock', 0],
      'restored': 'at-real',
    });
    expect(code).toBe(0);
  });

  test('of a class that is called Agent too sees the requests, and nothing else', async () => {
    const { stdout, stderr } = await runProgram(program(`
      const { Agent: Inner, setGlobalDispatcher } = await import('undici');
      const paths: unknown[] = [];
      class Agent extends Inner {
        override dispatch(options: Parameters<Inner['dispatch']>[0], handler: Parameters<Inner['dispatch']>[1]): boolean {
          paths.push(options.path ?? 'none');
          return super.dispatch(options, handler);
        }
      }
      setGlobalDispatcher(new Agent());
      told['answers'] = [await next(), await next()];
      told['paths'] = paths;
    `));
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({ answers: ['at-real', 'at-real'], paths: ['/token', '/token'] });
  });
});

test('without any, the process prints nothing and ends by itself', async () => {
  const { stdout, stderr, code, timedOut } = await runProgram(program('told[\'token\'] = await next();'), { limitMs: 10_000 });
  expect({ stdout: stdout.trim(), stderr, code, timedOut }).toEqual({ stdout: '{"token":"at-real"}', stderr: '', code: 0, timedOut: false });
});
