import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { failureOf } from './support/failure.js';
import { machineClient } from './support/machine-client.js';

// undici is not imported here: doing so sets a global dispatcher, and the library's own agent would not be used.

let server: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(async () => {
  await server.close();
});

describe('connections are used again', () => {
  test('by requests that come one after the other', async () => {
    const { tokens } = machineClient(server, { issuer: server.issuer, retry: { limit: 0 } });
    for (let count = 0; count < 10; count += 1) {
      server.answersNext({ status: 400, body: 'x'.repeat(100_000) });
      await tokens.clientCredentials({ scope: String(count) }).getToken().catch(() => undefined);
    }
    expect(server.requests).toHaveLength(11);
    expect(server.totalConnections).toBeLessThanOrEqual(2);
  });

  test('after an answer whose body was not read, too', async () => {
    const { tokens } = machineClient(server, { retry: { limit: 0 } });
    server.answersNext({ status: 302, body: 'x'.repeat(100_000) });
    await failureOf(tokens.clientCredentials({ scope: 'redirected' }).getToken());
    for (let count = 0; count < 10; count += 1) await tokens.clientCredentials({ scope: String(count) }).getToken();
    expect(server.totalConnections).toBeLessThanOrEqual(4);
  });
});
