import { OAuthError, type ExtensionGrant, type GrantSubject, type TokenManager } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { deferred } from './support/deferred.js';
import { failureOf, thrownBy } from './support/failure.js';
import { machineClient } from './support/machine-client.js';

const GRANT = 'urn:example:grant-type:device-certificate';

let server: AuthorizationServer;
let tokens: TokenManager;

beforeEach(async () => {
  server = await startAuthorizationServer();
  ({ tokens } = machineClient(server));
});

afterEach(async () => {
  await server.close();
});

const robot: GrantSubject = { identity: ['robot-1'], parameters: async () => Promise.resolve({ plain: { model: 'R2' }, secret: { proof: 'canary-proof' } }) };

function withSubject(subject: unknown): ExtensionGrant {
  return { grantType: GRANT, subject: subject as GrantSubject };
}

describe('a grant of one\'s own (RFC 6749 section 4.5)', () => {
  test('is an object: its type, its parameters, and on whose behalf', async () => {
    const grant: ExtensionGrant = { grantType: GRANT, request: { scope: 'read' }, subject: robot };
    const token = await tokens.grant(grant).getToken();
    expect(Object.fromEntries(server.lastTokenRequest.parameters)).toEqual({ grant_type: GRANT, scope: 'read', model: 'R2', proof: 'canary-proof' });
    expect((await tokens.grant({ ...grant }).getToken()).value).toBe(token.value);
    expect((await tokens.grant({ ...grant, subject: { ...robot, identity: ['robot-2'] } }).getToken()).value).not.toBe(token.value);
  });

  test('its secret parameters are hidden wherever the server repeats them, the others are not', async () => {
    server.rejectsNextWith('invalid_grant', 400, 'canary-proof of R2 is unknown');
    const failure = await failureOf(tokens.grant(withSubject(robot)).getToken());
    expect(failure.errorDescription).toBe('[redacted] of R2 is unknown');
  });

  test('a subject that is a function is asked at each call, and waited for no longer than its caller wants', async () => {
    const answer = deferred<GrantSubject>();
    const source = tokens.grant(withSubject(async () => answer.promise));
    const controller = new AbortController();
    const waiting = source.getToken({ signal: controller.signal });
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(server.tokenRequests).toEqual([]);
    answer.resolve(robot);
    await source.getToken();
    expect(server.tokenRequests).toHaveLength(1);
  });

  test.each<[string, unknown, string]>([
    ['a subject that throws', async () => Promise.reject(new RangeError('canary')), 'subject() threw RangeError'],
    ['a subject that is nothing', async () => Promise.resolve(undefined), '`subject` must give an object with `identity`'],
    ['an identity of nobody', async () => Promise.resolve({ ...robot, identity: [] }), '`subject` must give an object with `identity`, a list of at least one'],
    ['an identity that is none', async () => Promise.resolve({ ...robot, identity: [''] }), '`subject` must give an object with `identity`'],
    ['parameters that throw', { ...robot, parameters: async () => Promise.reject(new RangeError('canary')) }, 'parameters() threw RangeError'],
    ['parameters that are nothing', { ...robot, parameters: async () => Promise.resolve(undefined) }, 'parameters() must give an object'],
    ['parameters that are the client\'s', { ...robot, parameters: async () => Promise.resolve({ plain: { client_id: 'another' } }) }, 'parameters() must not give `client_id`'],
    ['parameters with a place of their own', { ...robot, parameters: async () => Promise.resolve({ secret: { scope: 'admin' } }) }, 'parameters() must not give `scope`'],
    ['parameters that are no texts', { ...robot, parameters: async () => Promise.resolve({ plain: { n: 7 } }) }, 'whose values are strings'],
  ])('%s: invalid_configuration, and nothing of what was thrown', async (_case, subject, text) => {
    const failure = await failureOf(tokens.grant(withSubject(subject)).getToken());
    expect(failure).toMatchObject({ code: 'invalid_configuration' });
    expect(failure.message).toContain(`grant: ${text}`.replace('grant: whose', 'whose'));
    expect(failure.message).not.toContain('canary');
    expect(server.tokenRequests).toEqual([]);
  });

  test('a subject that never comes is a timeout', async () => {
    const hanging = machineClient(server, { timeout: 50 }).tokens.grant(withSubject(async () => new Promise(() => undefined)));
    expect(await failureOf(hanging.getToken())).toMatchObject({ code: 'timeout', retryable: true, message: 'grant: subject() gave nothing within 50 ms (option `timeout`)' });
  });

  test('an error of the library\'s own passes as it is', async () => {
    const over = new OAuthError('reauthorization_required', 'over');
    await expect(tokens.grant(withSubject(async () => Promise.reject(over))).getToken()).rejects.toBe(over);
  });

  test.each<[string, unknown, string]>([
    ['nothing', undefined, 'the options must be an object'],
    ['no type', { subject: robot }, '`grantType` is required'],
    ['no subject', { grantType: GRANT }, '`subject` is required'],
    ['a subject without parameters()', { grantType: GRANT, subject: { identity: ['x'] } }, '`subject` must be'],
    ['an identity of nobody', { grantType: GRANT, subject: { ...robot, identity: [] } }, '`subject` must be'],
    ['the grant with a method of its own', { grantType: 'client_credentials', subject: robot }, 'use clientCredentials()'],
    ['a reserved parameter', { grantType: GRANT, subject: robot, request: { parameters: { grant_type: 'x' } } }, '`parameters.grant_type` is reserved'],
  ])('%s is refused at once', (_case, grant, text) => {
    const failure = thrownBy(() => tokens.grant(grant as ExtensionGrant));
    expect(failure).toMatchObject({ code: 'invalid_configuration' });
    expect(failure.message).toContain(`grant: ${text}`);
  });
});
