import { createFetch, type FetchOptions } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startApi, type Api } from './support/api-server.js';
import { textsOf } from './support/canary.js';
import { begin, peculiarManager, startEndpoint, type ScriptedEndpoint } from './support/peculiar-session.js';

const CANARY = 'canary-61fe';

let server: ScriptedEndpoint;
let api: Api;

beforeEach(async () => {
  server = await startEndpoint();
  api = await startApi();
});

afterEach(async () => {
  await Promise.all([server.close(), api.close()]);
});

const ways: [string, Partial<FetchOptions>, string, string][] = [
  ['a header of its own', { tokenHeader: 'x-shopify-access-token' }, 'x-shopify-access-token', ''],
  ['a scheme of its own', { tokenScheme: 'Zoho-oauthtoken' }, 'authorization', 'Zoho-oauthtoken '],
  ['both', { tokenHeader: 'x-token', tokenScheme: 'Token' }, 'x-token', 'Token '],
];

describe.each(ways)('P10 an API with %s', (_way, options, header, scheme) => {
  test('P10 100 refusals cost one refresh, and the token is in no event and no error', async () => {
    const { tokens } = peculiarManager(server, { tokenResponse: { names: { refresh_token: 'access_token' } } });
    server.answers = () => ({ json: { access_token: `${CANARY}-${server.asked.length}`, token_type: 'Bearer', expires_in: 3600 } });
    const seen: unknown[] = [];
    for (const event of ['acquired', 'refreshed', 'refresh-failed', 'token-rejected', 'session-ended', 'store-failed'] as const) tokens.on(event, (detail) => { seen.push(detail); });
    const session = await begin(tokens);
    api.answersEvery(({ headers }) => (headers[header] === `${scheme}${CANARY}-2` ? { body: 'ok' } : { status: 401 }));
    const apiFetch = createFetch(session, { baseUrl: api.origin, allowInsecureRequests: true, ...options });
    const answers = await Promise.all(Array.from({ length: 100 }, async () => (await apiFetch('/')).text()));
    expect(new Set(answers)).toEqual(new Set(['ok']));
    expect(server.asked).toHaveLength(2);
    expect(seen.length).toBeGreaterThan(1);
    await api.stop();
    seen.push(await apiFetch('/').catch((thrown: unknown) => thrown), await apiFetch('https://evil.example').catch((thrown: unknown) => thrown));
    for (const one of seen) for (const text of textsOf(one)) expect(text).not.toContain(CANARY);
  });
});
