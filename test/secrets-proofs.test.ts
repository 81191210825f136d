import { createPrivateKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { createFetch, OAuthError, type TokenEvents, type TokenManager } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { reset, type Answer } from './support/answers.js';
import { startApi, type Api } from './support/api-server.js';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { everySpelling, textsOf } from './support/canary.js';
import type { ReceivedRequest } from './support/received-request.js';
import { machineClient, type MachineClientOptions } from './support/machine-client.js';
import { signIn, webClient } from './support/web-client.js';

const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
const pem = createPrivateKey({ key: jwk, format: 'jwk' }).export({ type: 'pkcs8', format: 'pem' }).toString();

let server: AuthorizationServer;
let api: Api;
let observed: unknown[];

beforeEach(async () => {
  [server, api] = await Promise.all([startAuthorizationServer(), startApi()]);
  server.tokenType = 'DPoP';
  observed = [];
});

afterEach(async () => {
  await Promise.all([server.close(), api.close()]);
});

function client(options: MachineClientOptions = {}): TokenManager {
  const { tokens } = machineClient(server, { dpop: { privateKey: jwk }, ...options });
  watch(tokens);
  return tokens;
}

function watch(tokens: TokenManager): void {
  const events: (keyof TokenEvents)[] = ['acquired', 'refreshed', 'refresh-failed', 'token-rejected', 'session-ended', 'store-failed'];
  for (const event of events) tokens.on(event, (detail) => observed.push(detail));
  observed.push(tokens, tokens.clientCredentials());
}

async function observe(work: Promise<unknown>): Promise<unknown> {
  const outcome = await work.catch((thrown: unknown) => thrown);
  observed.push(outcome);
  return outcome;
}

/** Neither a private key nor any proof that was sent is in what anybody could see. */
function expectNothingShown(...keys: JsonWebKey[]): void {
  const proofs = [...server.requests, ...api.requests].flatMap(({ headers }) => [headers['dpop']].flat().filter((proof) => proof !== undefined));
  expect(proofs.length).toBeGreaterThan(0);
  const needles = [...keys.flatMap(({ d = '' }) => everySpelling(d)), ...everySpelling(pem.split('\n')[1] ?? '')].map(([, spelling]) => spelling);
  const shown = observed.flatMap(textsOf).join('\n');
  expect([...needles, ...proofs, ...proofs.map((proof) => proof.split('.')[2] ?? '')].filter((needle) => shown.includes(needle))).toEqual([]);
}

const echo = ({ headers }: Pick<ReceivedRequest, 'headers'>): Answer => ({ status: 400, json: { error: 'invalid_dpop_proof', error_description: `not this one: ${String(headers['dpop'])}` } });

describe('S1 nothing of a key and its proofs is shown', () => {
  test.each<[string, MachineClientOptions['dpop']]>([['as a JWK', { privateKey: jwk }], ['as a PEM', { privateKey: pem }], ['as a KeyObject', { privateKey: createPrivateKey(pem) }]])('S1 by the manager, its tokens and its errors: a key %s', async (_case, dpop) => {
    const tokens = client({ dpop });
    await observe(tokens.clientCredentials().getToken());
    await observe(createFetch(tokens.clientCredentials(), { baseUrl: api.origin, allowInsecureRequests: true })('/'));
    server.answersNext(echo, reset(), { status: 400, json: { error: 'use_dpop_nonce' } });
    for (let failures = 0; failures < 3; failures += 1) expect(await observe(client({ dpop, retry: { limit: 0 } }).clientCredentials().getToken())).toBeInstanceOf(OAuthError);
    expectNothingShown(jwk);
  });

  test('S1 by a server that echoes the proof', async () => {
    server.answersNext(echo);
    const failure = await observe(client().clientCredentials().getToken()) as OAuthError;
    expect(failure.errorDescription).toBe('not this one: [redacted]');
    expectNothingShown(jwk);
  });

  test('S1 by a token whose answer echoes it', async () => {
    server.answersNext((request) => ({ json: { access_token: 'at', token_type: 'DPoP', expires_in: 60, seen: request.headers['dpop'], kept: 'yes' } }));
    expect(await observe(client().clientCredentials().getToken())).toMatchObject({ parameters: { kept: 'yes' } });
    expectNothingShown(jwk);
  });

  test('S1 by a session and its transaction, whose keys are sealed', async () => {
    const entries = new Map<string, unknown>();
    const store = { get: async (key: string) => Promise.resolve(entries.get(key)), set: async (key: string, value: unknown) => Promise.resolve(entries.set(key, value)), delete: async (key: string) => Promise.resolve(entries.delete(key)) };
    const sealed = webClient(server, { dpop: true, store, encryptionKeys: ['A'.repeat(43)] });
    watch(sealed.tokens);
    const { session, transaction } = await signIn(sealed);
    observed.push(session, transaction, await session.info(), [...entries]);
    await observe(session.getToken());
    // The same without a seal shows what there is to find.
    entries.clear();
    await signIn(webClient(server, { dpop: true, store, encryptionKeys: false }));
    const [record] = [...entries.values()].filter((value) => typeof value === 'string' && value.includes('privateKey')).map((value) => JSON.parse(value as string) as { proofKey: { privateKey: JsonWebKey } });
    expect(record?.proofKey.privateKey.d).toMatch(/^[\w-]{43}$/);
    expect(observed.flatMap(textsOf).join('\n')).not.toContain('privateKey');
    expectNothingShown(jwk);
  });
});
