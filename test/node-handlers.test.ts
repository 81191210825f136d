import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { connect, type AddressInfo, type Server } from 'node:net';
import { text } from 'node:stream/consumers';
import express from 'express';
import fastify from 'fastify';
import { OAuthError } from 'grantkeeper';
import { createLoginHandlers, type LoginHandlers, type LoginHandlersOptions } from 'grantkeeper/node';
import * as web from 'grantkeeper/web';
import { Hono } from 'hono';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { Browser, callbackFor, type Site } from './support/browser.js';
import { deferred } from './support/deferred.js';
import { eventually } from './support/eventually.js';
import { ScriptedLogins } from './support/scripted-logins.js';

const ORIGIN = 'https://app.example.com';
const options: LoginHandlersOptions = { redirectUri: `${ORIGIN}/callback` };

afterEach(() => { vi.restoreAllMocks(); });

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  onTestFinished(async () => {
    if ('closeAllConnections' in server) (server.closeAllConnections as () => void)();
    server.close();
    await once(server, 'close');
  });
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Its requests go to the server at `inner`, as through a proxy that ends TLS. */
function siteAt(inner: string): Site {
  return async ({ url, method, headers, body }) => fetch(url.replace(ORIGIN, inner), { method, headers, redirect: 'manual', ...body && { body: await new Response(body).text() } });
}

/** A backend that says who is signed in at `/`, and gives back at `/echo` what was sent there. */
type Backend = (logins: ScriptedLogins) => Promise<Site>;

const backends: Record<string, Backend> = {
  'Express': async (logins) => {
    const auth = createLoginHandlers(logins, options);
    const app = express();
    app.use(auth.middleware);
    app.get('/', (request, response) => { response.send(auth.session(request)?.id ?? 'nobody'); });
    app.post('/echo', express.text(), (request, response) => { response.send(request.body); });
    return siteAt(await listening(createServer(app)));
  },
  'Fastify': async (logins) => {
    const auth = createLoginHandlers(logins, options);
    const app = fastify();
    app.addHook('onRequest', async (request, reply) => {
      if (await auth.handle(request.raw, reply.raw)) reply.hijack();
    });
    app.get('/', (request) => auth.session(request)?.id ?? 'nobody');
    app.post('/echo', (request) => request.body);
    onTestFinished(() => app.close());
    return siteAt(await app.listen({ port: 0, host: '127.0.0.1' }));
  },
  'node:http': async (logins) => {
    const auth = createLoginHandlers(logins, options);
    const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      if (await auth.handle(request, response)) return;
      response.end(request.url === '/echo' ? await text(request) : auth.session(request)?.id ?? 'nobody');
    };
    return siteAt(await listening(createServer((request, response) => void answer(request, response))));
  },
  'Hono': (logins) => {
    const auth = web.createLoginHandlers(logins, options);
    const app = new Hono();
    app.use(async (context, next) => {
      const answer = await auth.handle(context.req.raw);
      if (answer) return answer;
      await next();
    });
    app.get('/', (context) => context.text(auth.session(context.req.raw)?.id ?? 'nobody'));
    app.post('/echo', async (context) => context.text(await context.req.text()));
    return Promise.resolve(async (request) => app.fetch(request));
  },
  'a route handler of Next\'s kind': (logins) => {
    const auth = web.createLoginHandlers(logins, options);
    const routes: Record<string, Record<string, (request: Request) => Promise<Response | undefined>>> = {
      '/login': { GET: auth.handle },
      '/callback': { GET: auth.handle },
      '/logout': { POST: auth.handle },
      '/': { GET: async (request) => Promise.resolve(new Response(auth.session(request)?.id ?? 'nobody')) },
      '/echo': { POST: async (request) => new Response(await request.text()) },
    };
    return Promise.resolve(async (request) => routes[new URL(request.url).pathname]?.[request.method]?.(request));
  },
};

describe.each(Object.entries(backends))('%s', (_name, backend) => {
  test('A10 a user logs in, is known on the next page, and logs out', async () => {
    const logins = new ScriptedLogins();
    logins.logoutUrl = new URL('https://login.example.com/logout');
    const browser = new Browser(await backend(logins), ORIGIN);
    expect(await (await browser.opens('/')).text()).toBe('nobody');

    const start = await browser.opens('/login?returnTo=/inbox');
    expect([start.status, start.headers.get('cache-control')]).toEqual([303, 'no-store']);
    const end = await browser.opens(callbackFor(start));
    expect([end.status, end.headers.get('location')]).toEqual([303, '/inbox']);
    expect(end.headers.getSetCookie()).toHaveLength(2);
    expect(logins.completed[0]?.callback).toMatch(/^https:\/\/app\.example\.com\/callback\?code=code-1&state=/);

    const session = browser.session ?? 'none';
    expect(await (await browser.opens('/')).text()).toBe(session);

    const out = await browser.submits('/logout');
    expect([out.status, out.headers.get('location')]).toEqual([303, 'https://login.example.com/logout']);
    expect([browser.cookies.size, logins.isAlive(session)]).toEqual([0, false]);
    expect(await (await browser.opens('/')).text()).toBe('nobody');
  });

  test('a body sent to another path arrives', async () => {
    const browser = new Browser(await backend(new ScriptedLogins()), ORIGIN);
    const body = 'x'.repeat(50_000);
    expect(await (await browser.opens('/echo', { method: 'POST', body, headers: { 'content-type': 'text/plain' } })).text()).toBe(body);
  });

  test('a failure is a page', async () => {
    const browser = new Browser(await backend(new ScriptedLogins()), ORIGIN);
    const response = await browser.opens('/callback?error=access_denied&state=s');
    expect([response.status, response.headers.get('content-type')]).toEqual([400, 'text/html; charset=utf-8']);
    expect(await response.text()).toContain('<a href="/login">Sign in</a>');
  });
});

/** A server with nothing but the handlers; other paths answer 404. */
async function started(handlers: (auth: LoginHandlers) => RequestListener = plain, changed: Partial<LoginHandlersOptions> = {}): Promise<{ logins: ScriptedLogins; inner: string; browser: Browser }> {
  const logins = new ScriptedLogins();
  const inner = await listening(createServer(handlers(createLoginHandlers(logins, { ...options, ...changed }))));
  return { logins, inner, browser: new Browser(siteAt(inner), ORIGIN) };
}

function plain(auth: LoginHandlers): RequestListener {
  return (request, response) => {
    auth.handle(request, response).then(
      (answered) => { if (!answered) response.writeHead(404).end('not ours'); },
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  };
}

/** What a server answers to these very bytes. */
async function answerTo(inner: string, head: string): Promise<string> {
  const socket = connect(Number(new URL(inner).port), '127.0.0.1');
  socket.write(`${head}\r\nConnection: close\r\n\r\n`);
  return text(socket);
}

describe('the request line', () => {
  test.each([
    ['GET //evil.com/login HTTP/1.1', 404],
    ['GET /login/../login HTTP/1.1', 303],
    ['GET http://evil.example/login HTTP/1.1', 303],
    ['GET http://evil.example//evil.com/login HTTP/1.1', 404],
    ['GET http://evil.example?/login HTTP/1.1', 404],
    ['GET ftp://evil.example/login HTTP/1.1', 404],
    ['GET http://[/login HTTP/1.1', 303],
    ['GET /%zz HTTP/1.1', 404],
    ['OPTIONS * HTTP/1.1', 404],
    ['TRACE /login HTTP/1.1', 405],
    ['TRACE / HTTP/1.1', 404],
    ['HEAD /login HTTP/1.1', 405],
  ])('%s is answered with %i', async (line, status) => {
    const { inner, logins } = await started();
    const answer = await answerTo(inner, `${line}\r\nHost: evil.example`);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(logins.started.map(({ redirectUri }) => redirectUri)).toEqual(status === 303 ? [options.redirectUri] : []);
  });

  test('A10 the host that a client names is not asked, whatever it is', async () => {
    const { inner, logins } = await started();
    for (const host of ['evil.example', 'user@evil.example', '[', 'a b', '']) await answerTo(inner, `GET /login HTTP/1.1\r\nHost: ${host}`);
    await answerTo(inner, 'GET /login HTTP/1.0');
    expect(logins.started).toHaveLength(6);
  });
});

describe('other middleware', () => {
  test('the cookies that it has set stay, each a header of its own', async () => {
    const { inner, browser } = await started((auth) => (request, response) => {
      response.setHeader('x-powered-by', 'a framework');
      response.setHeader('set-cookie', ['a=1; Path=/', 'b=2; Path=/']);
      void auth.handle(request, response);
    });
    await browser.opens('/login').catch(() => undefined);
    const [message] = await once(httpRequest(`${inner}/login`).end(), 'response') as [IncomingMessage];
    expect(message.headers['set-cookie']?.map((cookie) => cookie.split('=')[0])).toEqual([expect.stringMatching(/^__Host-grantkeeper-login-/), 'a', 'b']);
    expect([message.headers['x-powered-by'], message.headers['cache-control']]).toEqual(['a framework', 'no-store']);
  });

  test('a request for another path goes on in the same turn, its body not begun', async () => {
    const seen: unknown[] = [];
    const { inner } = await started((auth) => (request, response) => {
      auth.middleware(request, response, (error) => { seen.push(error, request.readableFlowing, request.readableDidRead, request.listenerCount('data')); });
      seen.push('after');
      response.end();
    });
    await fetch(`${inner}/upload`, { method: 'POST', body: 'x' });
    expect(seen).toEqual([undefined, null, false, 0, 'after']);
  });

  test('a request for one of the three doesn\'t go on', async () => {
    const next = vi.fn();
    const { browser } = await started((auth) => (request, response) => { auth.middleware(request, response, next); });
    expect((await browser.opens('/login')).status).toBe(303);
    expect(next).not.toHaveBeenCalled();
  });

  test('mounted below a path, the pages are where the browser sees them', async () => {
    const logins = new ScriptedLogins();
    const auth = createLoginHandlers(logins, { redirectUri: `${ORIGIN}/account/callback`, loginPath: '/account/login', logoutPath: '/account/logout' });
    const app = express();
    app.use('/account', auth.middleware);
    app.use((request, response) => { response.status(404).send(request.url); });
    const browser = new Browser(siteAt(await listening(createServer(app))), ORIGIN);

    expect((await browser.opens('/login')).status).toBe(404);
    const start = await browser.opens('/account/login');
    expect((await browser.opens(callbackFor(start).replace('/callback', '/account/callback'))).status).toBe(303);
    expect((await browser.submits('/account/logout')).status).toBe(303);
  });

  test('Fastify\'s light requests are answered as well', async () => {
    const auth = createLoginHandlers(new ScriptedLogins(), options);
    const app = fastify();
    app.addHook('onRequest', async (request, reply) => {
      if (await auth.handle(request.raw, reply.raw)) reply.hijack();
    });
    const response = await app.inject({ url: '/login' });
    expect([response.statusCode, response.cookies.map(({ httpOnly, secure, sameSite, path, maxAge }) => ({ httpOnly, secure, sameSite, path, maxAge }))]).toEqual([303, [{ httpOnly: true, secure: true, sameSite: 'Lax', path: '/', maxAge: 600 }]]);
    await app.close();
  });
});

describe('what is no OAuthError is a defect, and the framework\'s to report', () => {
  const defective = (): ScriptedLogins => {
    const logins = new ScriptedLogins();
    logins.failsToStartWith(new TypeError('a defect'));
    return logins;
  };

  test('Express and Connect are told', async () => {
    const app = express();
    app.use(createLoginHandlers(defective(), options).middleware);
    app.use(((error, request, response, next) => {
      if (request.url === '/login') response.status(500).send(String(error));
      else next(error);
    }) as express.ErrorRequestHandler);
    const response = await siteAt(await listening(createServer(app)))(new Request(`${ORIGIN}/login`));
    expect([response?.status, await response?.text()]).toEqual([500, 'TypeError: a defect']);
  });

  test('so is Fastify, and whoever awaits', async () => {
    const auth = createLoginHandlers(defective(), options);
    const app = fastify();
    app.addHook('onRequest', async (request, reply) => {
      if (await auth.handle(request.raw, reply.raw)) reply.hijack();
    });
    const response = await app.inject({ url: '/login' });
    expect([response.statusCode, response.json()]).toMatchObject([500, { message: 'a defect' }]);
    await app.close();
  });
});

describe('connections', () => {
  test('a client that goes away while its login is being completed disturbs nobody', async () => {
    const exchange = deferred();
    const { logins, inner, browser } = await started();
    const start = await browser.opens('/login');
    logins.completionWaitsFor(exchange.promise);
    const rejections: unknown[] = [];
    const note = (reason: unknown): void => { rejections.push(reason); };
    process.on('unhandledRejection', note);
    onTestFinished(() => { process.off('unhandledRejection', note); });

    const request = httpRequest(inner + callbackFor(start), { headers: { cookie: browser.cookieHeader } }).on('error', () => undefined).end();
    await eventually(() => logins.completed.length === 1);
    request.destroy();
    await eventually(() => request.closed);
    exchange.resolve();
    expect((await browser.opens('/login')).status).toBe(303);
    expect(rejections).toEqual([]);
  });

  test('a large body sent to a page that wants none stops nothing', async () => {
    const { browser, logins } = await started();
    await browser.opens(callbackFor(await browser.opens('/login')));
    const session = browser.session ?? '';
    const response = await browser.opens('/logout', { method: 'POST', headers: { origin: ORIGIN }, body: 'x'.repeat(5_000_000) });
    expect([response.status, logins.isAlive(session)]).toEqual([303, false]);
    expect((await browser.opens('/login')).status).toBe(303);
  });

  test('HTTP/2 works too', async () => {
    const logins = new ScriptedLogins();
    const auth = createLoginHandlers(logins, options);
    const inner = await listening(createHttp2Server((request, response) => {
      void auth.handle(request, response).then((answered) => { if (!answered) response.end(auth.session(request)?.id ?? 'nobody'); });
    }));
    const client = connectHttp2(inner);
    onTestFinished(() => { client.destroy(); });
    const get = async (path: string, headers: Record<string, string> = {}): Promise<{ headers: Record<string, string | string[] | undefined>; body: string }> => {
      const stream = client.request({ ':path': path, ':authority': 'evil.example', 'host': 'app.example.com', ...headers });
      const [answer] = await once(stream, 'response') as [Record<string, string | string[] | undefined>];
      return { headers: answer, body: await text(stream) };
    };

    const start = await get('/login');
    expect([start.headers[':status'], start.headers['set-cookie']]).toEqual([303, [expect.stringMatching(/^__Host-grantkeeper-login-/)]]);
    const id = logins.hasSession();
    expect((await get('/', { cookie: `__Host-grantkeeper-session=${id}` })).body).toBe(id);
  });
});

test('onError is given a standard request of the site\'s own origin', async () => {
  const told: [OAuthError, string][] = [];
  const { browser, logins } = await started(plain, { onError: (error, request) => { told.push([error, request.url]); } });
  const error = new OAuthError('discovery_failed', 'no metadata');
  logins.failsToStartWith(error);
  expect((await browser.opens('/login?returnTo=/x')).status).toBe(500);
  expect(told).toEqual([[error, `${ORIGIN}/login?returnTo=/x`]]);
});
