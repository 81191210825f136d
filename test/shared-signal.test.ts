import { expect, test } from 'vitest';
import { startApi } from './support/api-server.js';
import { startAuthorizationServer } from './support/authorization-server.js';
import { runProgram } from './support/child-process.js';

test('F12 one signal for all that a process does is no leak: nothing is printed', async () => {
  const server = await startAuthorizationServer();
  const api = await startApi();
  const { stdout, stderr, code } = await runProgram(`
    import { createFetch, createTokenManager } from 'grantkeeper';
    const [issuer = '', origin = ''] = process.argv.slice(2);
    const { signal } = new AbortController();
    const source = createTokenManager({ issuer, clientId: 'billing', clientSecret: 'test secret', allowInsecureRequests: true }).clientCredentials();
    const options = { baseUrl: origin, allowInsecureRequests: true };
    await Promise.all(Array.from({ length: 100 }, () => source.getToken({ signal })));
    for (const api of [createFetch(source, options), createFetch(source, { ...options, timeout: 20_000 })]) {
      const responses = await Promise.all(Array.from({ length: 40 }, () => api('/', { signal })));
      console.log(responses.every(({ ok }) => ok));
    }
    process.exit();
  `, { args: [server.issuer, api.origin] });
  await server.close();
  await api.close();
  expect({ stdout, stderr, code }).toEqual({ stdout: 'true\ntrue\n', stderr: '', code: 0 });
});
