import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFetch } from 'grantkeeper';
import { startApi, type Api } from './support/api-server.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { machineClient } from './support/machine-client.js';

let server: AuthorizationServer;
let api: Api;

beforeEach(async () => {
  server = await startAuthorizationServer();
  api = await startApi();
});

afterEach(async () => {
  await server.close();
  await api.close();
});

test.each([
  ['a redirect that leads to one', { '/first': { status: 302, headers: { location: '/refused' } } }, ['/first']],
  ['an endpoint that asks for patience in between', { '/first': { status: 429 } }, ['/refused', '/first']],
  ['an endpoint that is not there in between', { '/first': { status: 404 } }, ['/refused', '/first']],
])('F15 a 401 after %s is no acceptance: token requests thin out all the same', async (_case, answers: Record<string, { status: number }>, paths) => {
  api.answersEvery(({ path }) => answers[path] ?? { status: 401 });
  const { tokens } = machineClient(server);
  const call = createFetch(tokens.clientCredentials(), { baseUrl: api.origin, allowInsecureRequests: true, retry: false });
  for (let round = 0; round < 10; round += 1) {
    for (const path of paths) await (await call(path)).arrayBuffer();
  }
  expect(server.tokenRequests).toHaveLength(2);
});

test('F15 a token that was accepted is replaced at once when it is refused', async () => {
  const { tokens } = machineClient(server);
  const call = createFetch(tokens.clientCredentials(), { baseUrl: api.origin, allowInsecureRequests: true, retry: false });
  for (let round = 0; round < 3; round += 1) {
    api.answersNext({ status: 401 }, { status: 200 });
    expect((await call('/')).status).toBe(200);
  }
  expect(server.tokenRequests).toHaveLength(4);
});
