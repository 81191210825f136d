import { connect } from 'node:net';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { drip, gzipBomb, hang, Hold, lose, oversize, redirectTo, reset } from './support/answers.js';
import { startApi, type Api } from './support/api-server.js';
import { startAuthorizationServer, type AuthorizationServer, type AuthorizationServerOptions } from './support/authorization-server.js';
import { runProgram, startProgram } from './support/child-process.js';
import { ManualClock } from './support/clock.js';
import { deferred } from './support/deferred.js';
import { eventually } from './support/eventually.js';
import type { LoopbackServerOptions } from './support/loopback-server.js';
import { startOidcProvider } from './support/oidc-provider.js';
import { describeWithRedis, startRedis } from './support/redis-server.js';

const MEBIBYTE = 1024 * 1024;

const opened: { close(): Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((server) => server.close()));
});

async function authorizationServer(options?: AuthorizationServerOptions): Promise<AuthorizationServer> {
  const server = await startAuthorizationServer(options);
  opened.push(server);
  return server;
}

async function protectedApi(options?: LoopbackServerOptions): Promise<Api> {
  const api = await startApi(options);
  opened.push(api);
  return api;
}

function askForToken(server: AuthorizationServer, init: RequestInit = {}): Promise<Response> {
  return fetch(server.tokenEndpoint, { method: 'POST', body: new URLSearchParams({ grant_type: 'client_credentials' }), redirect: 'manual', ...init });
}

function basic(user: string, password: string): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
}

async function json(response: Response | Promise<Response>): Promise<unknown> {
  return (await response).json();
}

describe('authorization server', () => {
  test('issues a new token for every request, and keeps a journal', async () => {
    const server = await authorizationServer();
    expect(await json(askForToken(server, { headers: basic('a%3Ab', 's:+') }))).toEqual({ access_token: 'at-1', token_type: 'Bearer', expires_in: 3600 });
    server.expiresIn = 5;
    expect(await json(askForToken(server))).toMatchObject({ access_token: 'at-2', expires_in: 5 });
    expect(server.tokenRequests[0]).toMatchObject({ method: 'POST', url: '/token', body: 'grant_type=client_credentials', basic: { user: 'a%3Ab', password: 's:+' } });
    expect(server.lastTokenRequest.parameters.get('grant_type')).toBe('client_credentials');
    expect(server.lastTokenRequest.basic).toBeUndefined();
    expect(server.requests).toHaveLength(2);
  });

  test('reads parameters from JSON bodies and from queries', async () => {
    const server = await authorizationServer();
    await askForToken(server, { headers: { 'content-type': 'application/json' }, body: '{"grant_type":"x","scope":["a"]}' });
    expect([...server.lastTokenRequest.parameters]).toEqual([['grant_type', 'x'], ['scope', '["a"]']]);
    await fetch(`${server.tokenEndpoint}?grant_type=y`);
    expect([...server.lastTokenRequest.parameters]).toEqual([['grant_type', 'y']]);
  });

  test.each([
    ['form-encoded in Basic', { headers: basic('b%3A+1', 'p%C3%A9+q') }, 200],
    ['in the body', { body: new URLSearchParams({ client_id: 'b: 1', client_secret: 'pé q' }) }, 200],
    ['both', { headers: basic('b%3A+1', 'p%C3%A9+q'), body: new URLSearchParams({ client_secret: 'pé q' }) }, 401],
    ['raw in Basic', { headers: basic('b%3A+1', '%') }, 401],
    ['wrong', { headers: basic('b%3A+1', 'other') }, 401],
    ['unknown client', { headers: basic('constructor', 'x') }, 401],
    ['none', {}, 401],
  ])('checks the secrets that it was given: %s', async (_case, init, status) => {
    const server = await authorizationServer({ clients: { 'b: 1': 'pé q' } });
    const response = await askForToken(server, init);
    expect(response.status).toBe(status);
    expect(response.headers.has('www-authenticate')).toBe(status === 401);
    expect(await response.json()).toMatchObject(status === 401 ? { error: 'invalid_client' } : { access_token: 'at-1' });
  });

  test('serves discovery where both specifications put it, and changes of it at once', async () => {
    const server = await authorizationServer({ issuerPath: '/tenant/' });
    server.metadata.token_endpoint_auth_methods_supported = ['private_key_jwt'];
    server.metadata.token_endpoint = `${server.origin}//odd//token`;
    const expected = { issuer: `${server.origin}/tenant/`, token_endpoint_auth_methods_supported: ['private_key_jwt'] };
    expect(await json(fetch(`${server.origin}/tenant/.well-known/openid-configuration`))).toMatchObject(expected);
    expect(await json(fetch(`${server.origin}/.well-known/oauth-authorization-server/tenant`))).toMatchObject(expected);
    expect((await fetch(`${server.origin}/.well-known/openid-configuration`)).status).toBe(404);
    expect((await askForToken(server)).status).toBe(200);
    expect(server.discoveryRequests).toHaveLength(3);
  });

  test('discovery and further endpoints are scripted one by one', async () => {
    const server = await authorizationServer();
    server.openidConfiguration.answersEvery({ status: 404 });
    server.oauthMetadata.answersNext({ status: 503 }, redirectTo('/elsewhere'), { body: '<html>', headers: { 'content-type': 'text/html' } });
    server.at('/revoke').answersEvery(({ body }) => ({ json: body.toString() }));
    expect((await fetch(`${server.issuer}/.well-known/openid-configuration`)).status).toBe(404);
    const metadata = `${server.issuer}/.well-known/oauth-authorization-server`;
    expect((await fetch(metadata)).status).toBe(503);
    expect((await fetch(metadata, { redirect: 'manual' })).headers.get('location')).toBe('/elsewhere');
    expect(await (await fetch(metadata)).text()).toBe('<html>');
    expect(await json(fetch(metadata))).toEqual(server.metadata);
    expect(await json(fetch(`${server.issuer}/revoke`, { method: 'POST', body: 'token=x' }))).toBe('token=x');
  });

  test('queued answers come first, then the standing one, then its own', async () => {
    const server = await authorizationServer();
    server.rejectsNextWith('invalid_scope');
    server.answersNext({ status: 503, headers: { 'retry-after': '2' } }, ({ parameters }) => ({ json: parameters.get('grant_type') }));
    server.answersEvery({ status: 418 });
    const first = await askForToken(server);
    expect([first.status, await first.json()]).toEqual([400, { error: 'invalid_scope' }]);
    expect((await askForToken(server)).headers.get('retry-after')).toBe('2');
    expect(await json(askForToken(server))).toBe('client_credentials');
    expect((await askForToken(server)).status).toBe(418);
    server.answersAsUsual();
    expect((await askForToken(server)).status).toBe(200);
    server.answersNext(() => {
      throw new Error('as scripted');
    });
    expect(await (await askForToken(server)).text()).toContain('as scripted');
  });

  test('a reset did nothing; a lost answer issued a token', async () => {
    const server = await authorizationServer();
    server.answersNext(reset(), lose());
    await expect(askForToken(server)).rejects.toMatchObject({ cause: { code: 'ECONNRESET' } });
    expect(server.issuedTokens).toEqual([]);
    await expect(askForToken(server)).rejects.toMatchObject({ cause: { code: 'UND_ERR_SOCKET' } });
    expect(server.issuedTokens).toEqual(['at-1']);
    expect(server.tokenRequests).toHaveLength(2);
  });

  test('a held request waits for its release', async () => {
    const server = await authorizationServer();
    const [first, second] = [server.hold(), server.hold()];
    const answers = [askForToken(server)];
    await first.arrived;
    answers.push(askForToken(server));
    await second.arrived;
    expect(server.issuedTokens).toEqual([]);
    second.release({ status: 503 });
    first.release();
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 503]);
  });

  test('one hold can keep many requests, and a lost one behind it', async () => {
    const server = await authorizationServer();
    const hold = new Hold();
    server.answersNext(hold, hold);
    server.answersEvery(lose());
    const both = [askForToken(server), askForToken(server)].map((answer) => expect(answer).rejects.toThrow('fetch failed'));
    await server.tokenRequestArrives(2);
    expect(server.issuedTokens).toEqual([]);
    hold.release();
    await Promise.all(both);
    expect(server.issuedTokens).toHaveLength(2);
  });

  test('tells when the n-th request comes in', async () => {
    const server = await authorizationServer();
    const second = server.tokenRequestArrives(2);
    await askForToken(server);
    expect(await server.tokenRequestArrives()).toBe(server.tokenRequests[0]);
    await askForToken(server);
    expect(await second).toBe(server.tokenRequests[1]);
  });

  test('hangs until it is closed', async () => {
    const server = await authorizationServer();
    server.answersNext(hang());
    const answer = expect(askForToken(server)).rejects.toThrow('fetch failed');
    await server.tokenRequestArrives();
    await server.close();
    await server.close();
    await answer;
  });

  test('drips', async () => {
    const server = await authorizationServer();
    server.answersNext(drip('x', 1));
    const { body } = await askForToken(server);
    let size = 0;
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      if (size >= 3) break;
    }
    expect(await server.lastTokenRequest.outcome).toMatchObject({ complete: false });
  });

  test.each([['plain', oversize], ['gzip', gzipBomb]])('sends a valid token response of any size: %s', async (_case, large) => {
    const server = await authorizationServer();
    server.answersNext(large(2 * MEBIBYTE));
    const response = await askForToken(server);
    const text = await response.text();
    expect(text).toHaveLength(2 * MEBIBYTE);
    expect(JSON.parse(text)).toMatchObject({ token_type: 'Bearer' });
    const { complete, bytesWritten } = await server.lastTokenRequest.outcome;
    expect(complete).toBe(true);
    expect(bytesWritten > MEBIBYTE).toBe(large === oversize);
  });

  test('shows that a client hung up before the end', async () => {
    const server = await authorizationServer();
    server.answersNext(oversize(300 * MEBIBYTE));
    await (await askForToken(server)).body?.cancel();
    const { complete, bytesWritten } = await server.lastTokenRequest.outcome;
    expect(complete).toBe(false);
    expect(bytesWritten).toBeLessThan(30 * MEBIBYTE);
  });

  test('stops, and starts on the same port', async () => {
    await using server = await startAuthorizationServer();
    await (await askForToken(server)).text();
    expect(server.openConnections).toBe(1);
    await server.stop();
    expect(server.openConnections).toBe(0);
    await expect(askForToken(server)).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } });
    await server.start();
    expect(await json(askForToken(server))).toMatchObject({ access_token: 'at-2' });
  });
});

describe('API', () => {
  test('says what it was sent', async () => {
    const api = await protectedApi();
    const response = await fetch(`${api.origin}/v1/x?y=1`, { method: 'POST', body: 'hello', headers: { Authorization: `Bearer ${'t'.repeat(20_000)}` } });
    expect(await response.json()).toEqual({ ok: true, method: 'POST', url: '/v1/x?y=1', authorization: `Bearer ${'t'.repeat(20_000)}` });
    expect(api.lastRequest).toMatchObject({ path: '/v1/x', bodySize: 5, body: Buffer.from('hello') });
    expect(api.lastRequest.rawHeaders).toContain('Authorization');
  });

  test('accepts some tokens only; the queue goes before that', async () => {
    const api = await protectedApi();
    api.acceptsOnly((token) => token === 'good');
    api.answersEvery(({ url }) => ({ json: url }));
    api.redirectTo('/there', 307);
    const statuses: number[] = [];
    for (const authorization of ['', 'Bearer bad', 'Bearer bad', 'DPoP good']) {
      const response = await fetch(api.origin, { headers: { authorization }, redirect: 'manual' });
      statuses.push(response.status);
      if (response.status === 401) expect(response.headers.get('www-authenticate')).toContain('error="invalid_token"');
    }
    expect(statuses).toEqual([307, 401, 401, 200]);
    expect((await fetch(api.origin)).headers.get('www-authenticate')).toBe('Bearer realm="api"');
  });

  test('counts bodies without keeping them, and can answer before they end', async () => {
    const api = await protectedApi({ keepBodies: false, answersBeforeBody: true });
    const socket = connect(Number(new URL(api.origin).port), '127.0.0.1');
    const answered = deferred<string>();
    socket.once('data', (data) => {
      answered.resolve(data.toString());
    });
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello');
    expect(await answered.promise).toContain('200 OK');
    await eventually(() => api.lastRequest.bodySize === 5);
    socket.write('world');
    await eventually(() => api.lastRequest.bodySize === 10);
    expect(api.lastRequest.body).toHaveLength(0);
    socket.destroy();
  });

  test('holds, and counts connections', async () => {
    const api = await protectedApi();
    const hold = api.hold();
    const answer = fetch(api.origin);
    await hold.arrived;
    await (await fetch(api.origin)).text();
    expect([api.openConnections, api.totalConnections]).toEqual([2, 2]);
    hold.release({ status: 204 });
    expect((await answer).status).toBe(204);
    await api.stop();
    await api.start();
    await (await fetch(api.origin)).text();
    expect([api.openConnections, api.totalConnections]).toEqual([1, 3]);
  });
});

test('clock: three ways for time to pass', () => {
  const clock = new ManualClock(1000);
  clock.advance(5);
  expect([clock.now(), clock.monotonic()]).toEqual([1005, 5]);
  clock.jumpWallClock(-105);
  expect([clock.now(), clock.monotonic()]).toEqual([900, 5]);
  clock.suspend(100);
  expect([clock.now(), clock.monotonic()]).toEqual([1000, 5]);
  expect(() => {
    clock.advance(-1);
  }).toThrow(RangeError);
});

test('eventually: passes as soon as the check does, and fails with its last failure', async () => {
  let tries = 0;
  expect(await eventually(() => {
    expect(++tries).toBe(20);
    return 'passed';
  })).toBe('passed');
  await expect(eventually(() => {
    throw new Error('not yet');
  }, 5)).rejects.toThrow('not yet');
  await expect(eventually(() => tries > 20, 5)).rejects.toThrow('tries > 20');
});

describeWithRedis('redis', () => {
  async function command(port: number, text: string): Promise<string> {
    const answer = deferred<string>();
    const socket = connect(port, '127.0.0.1');
    socket.setTimeout(50, () => socket.destroy(new Error('silent')));
    socket.once('data', (data) => {
      answer.resolve(data.toString());
    }).once('error', answer.reject);
    socket.write(`${text}\r\n`);
    return answer.promise.finally(() => socket.destroy());
  }

  test('freezes, thaws, dies and comes back empty', async () => {
    const redis = await startRedis();
    opened.push(redis);
    expect(redis.url).toBe(`redis://127.0.0.1:${redis.port}`);
    expect(await command(redis.port, 'SET k v')).toBe('+OK\r\n');
    await redis.freeze();
    await expect(command(redis.port, 'GET k')).rejects.toThrow('silent');
    await redis.thaw();
    expect(await command(redis.port, 'GET k')).toBe('$1\r\nv\r\n');
    await redis.freeze();
    await redis.kill();
    await expect(command(redis.port, 'GET k')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await redis.restart();
    expect(await command(redis.port, 'GET k')).toBe('$-1\r\n');
    await redis.close();
    await redis.close();
    await expect(command(redis.port, 'PING')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});

describe('oidc-provider', () => {
  const CLIENT = { client_id: 'billing', client_secret: 'a-long-enough-secret' };

  async function ask(url: string, parameters: Record<string, string>): Promise<Record<string, unknown>> {
    const response = await fetch(url, { method: 'POST', headers: basic(CLIENT.client_id, CLIENT.client_secret), body: new URLSearchParams(parameters) });
    const text = await response.text();
    return text === '' ? {} : JSON.parse(text) as Record<string, unknown>;
  }

  test('issues JWTs for an API, quietly', async () => {
    const output = (['log', 'info', 'warn', 'error'] as const).map((method) => vi.spyOn(console, method));
    const provider = await startOidcProvider({ clients: [CLIENT], accessTokenTtl: 77 });
    opened.push(provider);
    const metadata = await json(fetch(`${provider.issuer}/.well-known/openid-configuration`)) as Record<string, string>;
    expect(metadata['issuer']).toBe(provider.issuer);
    const answer = await ask(metadata['token_endpoint'] ?? '', { grant_type: 'client_credentials', scope: 'read' });
    expect(answer).toMatchObject({ token_type: 'Bearer', expires_in: 77, scope: 'read' });
    const token = String(answer['access_token']);
    expect(decodeProtectedHeader(token)).toMatchObject({ typ: 'at+jwt', alg: 'RS256' });
    expect(decodeJwt(token)).toMatchObject({ aud: 'https://api.example.com', iss: provider.issuer, client_id: 'billing' });
    const other = await ask(metadata['token_endpoint'] ?? '', { grant_type: 'client_credentials', resource: 'https://other.example.com' });
    expect(decodeJwt(String(other['access_token'])).aud).toBe('https://other.example.com');
    for (const spy of output) {
      expect(spy).not.toHaveBeenCalled();
      spy.mockRestore();
    }
    await provider.close();
    await provider.close();
  });

  test('introspects and revokes opaque ones', async () => {
    const provider = await startOidcProvider({ clients: [CLIENT], jwt: false });
    opened.push(provider);
    const { access_token: token } = await ask(`${provider.issuer}/token`, { grant_type: 'client_credentials' });
    expect(await ask(`${provider.issuer}/token/introspection`, { token: String(token) })).toMatchObject({ active: true, aud: 'https://api.example.com' });
    await ask(`${provider.issuer}/token/revocation`, { token: String(token) });
    expect(await ask(`${provider.issuer}/token/introspection`, { token: String(token) })).toEqual({ active: false });
  });
});

describe('child process', () => {
  test('runs a TypeScript program that can import the package and its dependencies', async () => {
    const result = await runProgram(`
      import { decodeJwt } from 'jose';
      const answer: string = typeof decodeJwt + process.argv[2] + process.env['GREETING'] + await Promise.resolve('!');
      console.log(answer, import.meta.resolve('grantkeeper'));
      process.exitCode = 3;
    `, { args: ['x'], env: { GREETING: 'hi' } });
    expect(result).toMatchObject({ code: 3, signal: null, stderr: '', timedOut: false });
    expect(result.stdout).toMatch(/^functionxhi! \S+\/src\/index\.ts/);
    expect(result.durationMs).toBeGreaterThan(0);
  });

  test('ends a program at the limit', async () => {
    const result = await runProgram('setInterval(() => undefined, 1000);', { limitMs: 50 });
    expect(result).toMatchObject({ code: null, signal: 'SIGKILL', timedOut: true });
  });

  test('watches a running program, and talks to it', async () => {
    const program = await startProgram(`
      console.log('ready');
      process.stdin.once('data', (line) => { console.log('told ' + line); process.stdin.unref(); });
    `);
    await program.prints('ready');
    program.tell('hello');
    await program.prints('told hello');
    program.kill('SIGTERM');
    const { stdout } = await program.finished;
    expect(stdout).toBe('ready\ntold hello\n\n');
    await expect(program.prints('never')).rejects.toThrow('without printing "never"');
  });
});
