import { inspect } from 'node:util';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { clientSecretPost } from 'grantkeeper';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { failureOf } from './support/failure.js';
import { machineClient } from './support/machine-client.js';

const SECRET = 'correct-horse';

let server: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

beforeEach(() => {
  server.answersAsUsual();
});

afterAll(async () => {
  await server.close();
});

test('S1 a token answer that repeats secrets inside its members shows none of them', async () => {
  server.answersNext((request) => ({
    json: {
      access_token: 'canary-token-123',
      token_type: 'Bearer',
      scope: `read ${SECRET}`,
      authorization: request.headers.authorization,
      request: request.body,
      link: 'https://login.example.com/?access_token=canary-token-123',
      nested: [{ note: `the secret is ${SECRET}` }],
      'canary-token-123': true,
      instance_url: 'https://eu.example.com',
    },
  }));
  const { tokens } = machineClient(server, { clientSecret: undefined, clientAuthentication: clientSecretPost(SECRET) });
  const token = await tokens.clientCredentials().getToken();
  const printed = inspect(token, { depth: 20, showHidden: true }) + JSON.stringify(token);
  expect(printed).not.toContain(SECRET);
  expect(printed).not.toContain('canary-token-123');
  expect(token.parameters).toEqual({ nested: [{}], instance_url: 'https://eu.example.com' });
});

test('S1 nor does the credential of the Authorization header', async () => {
  server.answersNext((request) => ({ json: { access_token: 'a-token', token_type: 'Bearer', seen: request.headers.authorization } }));
  const { tokens } = machineClient(server, { clientSecret: SECRET });
  expect((await tokens.clientCredentials().getToken()).parameters).toEqual({});
});

test('L9 what the caller asked for is no secret: an answer that names it keeps it', async () => {
  server.answersNext({ json: { access_token: 'a-token', token_type: 'Bearer', tenant: 'acme-corp', all: ['acme-corp'] } });
  const { tokens } = machineClient(server);
  expect((await tokens.clientCredentials({ parameters: { tenant: 'acme-corp' } }).getToken()).parameters).toEqual({ tenant: 'acme-corp', all: ['acme-corp'] });
});

test('S1 a parameter whose name says that it is secret is replaced in error texts, another is not', async () => {
  server.answersNext({ status: 400, json: { error: 'invalid_request', error_description: 'tenant acme-corp, api_key key-12345' } });
  const { tokens } = machineClient(server);
  const failure = await failureOf(tokens.clientCredentials({ parameters: { tenant: 'acme-corp', api_key: 'key-12345' } }).getToken());
  expect(failure.errorDescription).toBe('tenant acme-corp, api_key [redacted]');
});

test('S1 a secret that is an ordinary word takes nothing from a registered error code', async () => {
  server.answersNext({ status: 401, json: { error: 'invalid_client', error_description: 'no client' } });
  const { tokens } = machineClient(server, { clientSecret: 'client' });
  expect(await failureOf(tokens.clientCredentials().getToken())).toMatchObject({ error: 'invalid_client', errorDescription: 'no [redacted]' });
});

test('L8 a byte order mark before the JSON is tolerated', async () => {
  server.answersNext({ body: `\uFEFF${JSON.stringify({ access_token: 'a-token', token_type: 'Bearer' })}`, headers: { 'content-type': 'application/json' } });
  const { tokens } = machineClient(server);
  expect((await tokens.clientCredentials().getToken()).value).toBe('a-token');
});

test('L11 an empty scope counts as none: the requested one is the granted one', async () => {
  server.answersNext({ json: { access_token: 'a-token', token_type: 'Bearer', scope: '' } });
  const { tokens } = machineClient(server);
  expect((await tokens.clientCredentials({ scope: 'read' }).getToken()).scope).toBe('read');
});
