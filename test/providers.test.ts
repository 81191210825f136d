import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFetch, createTokenManager, type AccessToken, type TokenManager, type TokenManagerOptions } from 'grantkeeper';
import * as providers from 'grantkeeper/providers';
import type { Provider } from 'grantkeeper/providers';
import { startApi } from './support/api-server.js';
import { failureOf, thrownBy } from './support/failure.js';
import { startProviderServer, type Asked, type ProviderServer, type Told } from './support/provider-server.js';

const REDIRECT_URI = 'https://app.example.com/callback';
const NOW = Date.UTC(2026, 10, 29);
const DAY = 24 * 60 * 60_000;

/** What a provider's documentation shows. */
interface Documented {
  readonly name: string;
  readonly provider: Provider;
  /** Its metadata where they are discovered, by their address. */
  readonly document?: readonly [address: string, metadata: Readonly<Record<string, unknown>>];
  /** Without `state`, `nonce`, the challenge and the client's `redirect_uri` and `response_type`. */
  readonly authorization: { readonly to: string; readonly parameters: Readonly<Record<string, string>>; readonly pkce: boolean };
  /** What its callback has beside `code` and `state`. */
  readonly callback?: Readonly<Record<string, string>>;
  readonly login: readonly (readonly [Asked, Told])[];
  /** undefined: its tokens don't expire. */
  readonly refresh?: readonly [Asked, Told];
  /** How it says that the grant is over. */
  readonly over: Told;
  readonly lifetime?: number;
  /** Of the tokens' parameters. */
  readonly parameters?: Readonly<Record<string, string>>;
  readonly scope?: string;
}

const code = { grant_type: 'authorization_code', code: 'the-code', redirect_uri: REDIRECT_URI };
const verifier = { code_verifier: 'a verifier' };
const refresh = { grant_type: 'refresh_token', refresh_token: 'rt-1' };
const post = { client_id: 'client', client_secret: 'pa55word' };
const basic = 'client:pa55word';
const invalidGrant: Told = { status: 400, json: { error: 'invalid_grant', error_description: 'The token is no longer good.' } };

/** A server that does as the RFCs say, with the secret by Basic or in the body. */
function asTheRfcsSay(tokenEndpoint: string, authentication: 'basic' | 'post', { as = 'form', pkce = true }: { as?: Asked['as']; pkce?: boolean } = {}): (parameters: Readonly<Record<string, string>>) => Asked {
  return (parameters) => ({
    to: `POST ${tokenEndpoint}`, as, ...(authentication === 'basic' && { basic }), parameters: { ...parameters, ...(parameters['code'] !== undefined && pkce && verifier), ...(authentication === 'post' && post) },
  });
}

function answers(further: Readonly<Record<string, unknown>> = {}): [Told, Told] {
  return [
    { json: { access_token: 'at-1', token_type: 'Bearer', expires_in: 3600, refresh_token: 'rt-1', ...further } },
    { json: { access_token: 'at-2', token_type: 'Bearer', expires_in: 3600, refresh_token: 'rt-2', ...further } },
  ];
}

function discovered(name: string, provider: Provider, issuer: string, endpoints: { authorization: string; token: string }, method: 'basic' | 'post', extra: Partial<Documented> = {}): Documented {
  const asks = asTheRfcsSay(endpoints.token, method);
  const [first, second] = answers();
  return {
    name, provider, lifetime: 3_600_000, over: invalidGrant,
    document: [`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, {
      issuer, authorization_endpoint: endpoints.authorization, token_endpoint: endpoints.token, jwks_uri: `${new URL(issuer).origin}/keys`, response_types_supported: ['code'],
      subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['RS256'], token_endpoint_auth_methods_supported: method === 'post' ? ['client_secret_post', 'private_key_jwt'] : ['client_secret_basic', 'client_secret_post'],
    }],
    authorization: { to: endpoints.authorization, parameters: { client_id: 'client', scope: 'one two' }, pkce: true },
    login: [[asks(code), first]], refresh: [asks(refresh), second],
    ...extra,
  };
}

function declared(name: string, provider: Provider, endpoints: { authorization: string; token: string }, method: 'basic' | 'post', extra: Partial<Documented> & { as?: Asked['as']; pkce?: boolean; answer?: Readonly<Record<string, unknown>>; sent?: Readonly<Record<string, string>> } = {}): Documented {
  const { as = 'form', pkce = true, answer = {}, sent = {}, ...rest } = extra;
  const asks = asTheRfcsSay(endpoints.token, method, { as, pkce });
  const [first, second] = answers(answer);
  return {
    name, provider, over: invalidGrant, lifetime: 3_600_000,
    authorization: { to: endpoints.authorization, parameters: { client_id: 'client', scope: 'one two', ...sent }, pkce },
    login: [[asks(code), first]], refresh: [asks(refresh), second],
    ...rest,
  };
}

const GUID = '8eaef023-2b34-4da1-9baa-8bc8c9d6a490';
const slackEndpoint = { to: 'POST https://slack.com/api/oauth.v2.access', as: 'form', basic } as const;
const githubAnswer = { token_type: 'bearer', scope: 'one,two' };
const tiktokClient = { client_key: 'client', client_secret: 'pa55word' };
const facebookEndpoint = { to: 'GET https://graph.facebook.com/v25.0/oauth/access_token', as: 'query' } as const;

const documented: Documented[] = [
  discovered('auth0', providers.auth0({ domain: 'example.eu.auth0.com' }), 'https://example.eu.auth0.com/', { authorization: 'https://example.eu.auth0.com/authorize', token: 'https://example.eu.auth0.com/oauth/token' }, 'basic'),
  discovered('entraId', providers.entraId({ tenant: GUID }), `https://login.microsoftonline.com/${GUID}/v2.0`, { authorization: `https://login.microsoftonline.com/${GUID}/oauth2/v2.0/authorize`, token: `https://login.microsoftonline.com/${GUID}/oauth2/v2.0/token` }, 'post'),
  discovered('okta', providers.okta({ domain: 'example.okta.com', authorizationServer: 'default' }), 'https://example.okta.com/oauth2/default', { authorization: 'https://example.okta.com/oauth2/default/v1/authorize', token: 'https://example.okta.com/oauth2/default/v1/token' }, 'basic'),
  discovered('okta, the organization\'s own', providers.okta({ domain: 'example.okta.com' }), 'https://example.okta.com', { authorization: 'https://example.okta.com/oauth2/v1/authorize', token: 'https://example.okta.com/oauth2/v1/token' }, 'basic'),
  discovered('keycloak', providers.keycloak({ url: 'https://login.example.com/auth/', realm: 'staff' }), 'https://login.example.com/auth/realms/staff', { authorization: 'https://login.example.com/auth/realms/staff/protocol/openid-connect/auth', token: 'https://login.example.com/auth/realms/staff/protocol/openid-connect/token' }, 'basic'),
  discovered('cognito', providers.cognito({ region: 'eu-central-1', userPoolId: 'eu-central-1_a1B2c3D4e' }), 'https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_a1B2c3D4e', { authorization: 'https://example.auth.eu-central-1.amazoncognito.com/oauth2/authorize', token: 'https://example.auth.eu-central-1.amazoncognito.com/oauth2/token' }, 'basic'),
  discovered('google', providers.google, 'https://accounts.google.com', { authorization: 'https://accounts.google.com/o/oauth2/v2/auth', token: 'https://oauth2.googleapis.com/token' }, 'post', {
    authorization: { to: 'https://accounts.google.com/o/oauth2/v2/auth', parameters: { client_id: 'client', scope: 'one two', access_type: 'offline', prompt: 'consent' }, pkce: true },
    refresh: [asTheRfcsSay('https://oauth2.googleapis.com/token', 'post')(refresh), { json: { access_token: 'at-2', token_type: 'Bearer', expires_in: 3600 } }],
  }),
  discovered('gitlab', providers.gitlab(), 'https://gitlab.com', { authorization: 'https://gitlab.com/oauth/authorize', token: 'https://gitlab.com/oauth/token' }, 'basic'),
  discovered('gitlab, self-managed', providers.gitlab({ url: 'https://gitlab.example.com/' }), 'https://gitlab.example.com', { authorization: 'https://gitlab.example.com/oauth/authorize', token: 'https://gitlab.example.com/oauth/token' }, 'basic'),
  {
    name: 'githubOAuthApp', provider: providers.githubOAuthApp, scope: 'one two',
    authorization: { to: 'https://github.com/login/oauth/authorize', parameters: { client_id: 'client', scope: 'one,two' }, pkce: true },
    login: [[asTheRfcsSay('https://github.com/login/oauth/access_token', 'post')(code), { json: { access_token: 'at-1', ...githubAnswer } }]],
    over: { json: { error: 'bad_verification_code', error_description: 'The code passed is incorrect or expired.' } },
  },
  declared('githubApp', providers.githubApp, { authorization: 'https://github.com/login/oauth/authorize', token: 'https://github.com/login/oauth/access_token' }, 'post', {
    sent: { scope: 'one,two' }, answer: { ...githubAnswer, expires_in: 28_800, refresh_token_expires_in: 15_811_200 }, lifetime: 28_800_000, scope: 'one two', over: { json: { error: 'bad_refresh_token', error_description: 'The refresh token passed is incorrect or expired.' } },
  }),
  {
    name: 'slack', provider: providers.slack, scope: 'one two', lifetime: 43_200_000,
    authorization: { to: 'https://slack.com/oauth/v2/authorize', parameters: { client_id: 'client', scope: 'one,two' }, pkce: false },
    login: [[{ ...slackEndpoint, parameters: code }, { json: { ok: true, access_token: 'at-1', token_type: 'bot', scope: 'one,two', bot_user_id: 'U0KRQLJ9H', expires_in: 43_200, refresh_token: 'rt-1', authed_user: { id: 'U1234' } } }]],
    refresh: [{ ...slackEndpoint, parameters: refresh }, { json: { ok: true, access_token: 'at-2', token_type: 'bot', scope: 'one,two', expires_in: 43_200, refresh_token: 'rt-2' } }],
    over: { json: { ok: false, error: 'invalid_refresh_token' } },
  },
  {
    name: 'slackUser', provider: providers.slackUser, scope: 'one two', lifetime: 43_200_000,
    authorization: { to: 'https://slack.com/oauth/v2/authorize', parameters: { client_id: 'client', user_scope: 'one,two' }, pkce: false },
    login: [[{ ...slackEndpoint, parameters: code }, { json: { ok: true, app_id: 'A1', access_token: 'of-the-bot', token_type: 'bot', scope: 'three', expires_in: 1, refresh_token: 'rt-of-the-bot', bot_user_id: 'U0', authed_user: { id: 'U1234', scope: 'one,two', access_token: 'at-1', expires_in: 43_200, refresh_token: 'rt-1', token_type: 'user' } } }]],
    refresh: [{ ...slackEndpoint, parameters: refresh }, { json: { ok: true, access_token: 'at-2', token_type: 'user', scope: 'one,two', expires_in: 43_200, refresh_token: 'rt-2', authed_user: { id: 'U1234' } } }],
    over: { json: { ok: false, error: 'invalid_refresh_token' } },
  },
  {
    name: 'shopify', provider: providers.shopify({ shop: 'Example-Store' }), scope: 'one two', lifetime: 3_600_000,
    authorization: { to: 'https://example-store.myshopify.com/admin/oauth/authorize', parameters: { client_id: 'client', scope: 'one,two' }, pkce: true },
    callback: { hmac: '700e2dadb827fcc8609e9d5ce208b2e9cdaab9df07390d2cbca10d7c328fc4bf', shop: 'example-store.myshopify.com', timestamp: '1337178173' },
    login: [[{ to: 'POST https://example-store.myshopify.com/admin/oauth/access_token', as: 'form', parameters: { ...code, ...verifier, ...post, expiring: '1' } }, { json: { access_token: 'at-1', scope: 'one,two', expires_in: 3600, refresh_token: 'rt-1', refresh_token_expires_in: 7_776_000 } }]],
    refresh: [{ to: 'POST https://example-store.myshopify.com/admin/oauth/access_token', as: 'form', parameters: { ...refresh, ...post } }, { json: { access_token: 'at-2', scope: 'one,two', expires_in: 3600, refresh_token: 'rt-2', refresh_token_expires_in: 7_776_000 } }],
    over: invalidGrant,
  },
  {
    name: 'zoho', provider: providers.zoho, lifetime: 3_600_000, parameters: { 'accounts-server': 'https://accounts.zoho.in', api_domain: 'https://www.zohoapis.in' },
    authorization: { to: 'https://accounts.zoho.com/oauth/v2/auth', parameters: { client_id: 'client', scope: 'one,two', access_type: 'offline', prompt: 'consent' }, pkce: true },
    callback: { location: 'in', 'accounts-server': 'https://accounts.zoho.in' },
    login: [[asTheRfcsSay('https://accounts.zoho.in/oauth/v2/token', 'post')(code), { json: { access_token: 'at-1', refresh_token: 'rt-1', api_domain: 'https://www.zohoapis.in', token_type: 'Bearer', expires_in: 3600 } }]],
    refresh: [asTheRfcsSay('https://accounts.zoho.in/oauth/v2/token', 'post')(refresh), { json: { access_token: 'at-2', api_domain: 'https://www.zohoapis.in', token_type: 'Bearer', expires_in: 3600 } }],
    over: { json: { error: 'invalid_code' } },
  },
  declared('xero', providers.xero, { authorization: 'https://login.xero.com/identity/connect/authorize', token: 'https://identity.xero.com/connect/token' }, 'basic', { answer: { expires_in: 1800 }, lifetime: 1_800_000 }),
  declared('quickbooks', providers.quickbooks, { authorization: 'https://appcenter.intuit.com/connect/oauth2', token: 'https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer' }, 'basic', {
    callback: { realmId: '1231434565226279' }, parameters: { realmId: '1231434565226279' }, answer: { x_refresh_token_expires_in: 8_726_400, token_type: 'bearer' },
  }),
  {
    name: 'salesforce', provider: providers.salesforce({ domain: 'Example.my.salesforce.com' }), parameters: { instance_url: 'https://example.my.salesforce.com' },
    authorization: { to: 'https://example.my.salesforce.com/services/oauth2/authorize', parameters: { client_id: 'client', scope: 'one two' }, pkce: true },
    login: [[asTheRfcsSay('https://example.my.salesforce.com/services/oauth2/token', 'post')(code), { json: { access_token: 'at-1', refresh_token: 'rt-1', instance_url: 'https://example.my.salesforce.com', issued_at: '1278448384422', signature: 's', token_type: 'Bearer' } }]],
    refresh: [asTheRfcsSay('https://example.my.salesforce.com/services/oauth2/token', 'post')(refresh), { json: { access_token: 'at-2', instance_url: 'https://example.my.salesforce.com', issued_at: '1278448384423', signature: 't', token_type: 'Bearer' } }],
    over: { status: 400, json: { error: 'invalid_grant', error_description: 'expired access/refresh token' } },
  },
  declared('hubspot', providers.hubspot, { authorization: 'https://app.hubspot.com/oauth/authorize', token: 'https://api.hubapi.com/oauth/2026-03/token' }, 'post', { answer: { expires_in: 1800 }, lifetime: 1_800_000 }),
  declared('atlassian', providers.atlassian, { authorization: 'https://auth.atlassian.com/authorize', token: 'https://auth.atlassian.com/oauth/token' }, 'post', {
    as: 'json', sent: { audience: 'api.atlassian.com', prompt: 'consent' }, over: { status: 403, json: { error: 'invalid_grant', error_description: 'Unknown or invalid refresh token.' } },
  }),
  declared('zoom', providers.zoom, { authorization: 'https://zoom.us/oauth/authorize', token: 'https://zoom.us/oauth/token' }, 'basic', { answer: { token_type: 'bearer' } }),
  {
    name: 'tiktok', provider: providers.tiktok, scope: 'one two', lifetime: 7_200_000, parameters: { open_id: 'afd97af1-b87b-48b9-ac98-410aghda5344' },
    authorization: { to: 'https://www.tiktok.com/v2/auth/authorize/', parameters: { client_key: 'client', scope: 'one,two' }, pkce: false },
    login: [[{ to: 'POST https://open.tiktokapis.com/v2/oauth/token/', as: 'form', parameters: { ...code, ...tiktokClient } }, { json: { access_token: 'at-1', expires_in: 7200, open_id: 'afd97af1-b87b-48b9-ac98-410aghda5344', refresh_expires_in: 15_552_000, refresh_token: 'rt-1', scope: 'one,two', token_type: 'Bearer' } }]],
    refresh: [{ to: 'POST https://open.tiktokapis.com/v2/oauth/token/', as: 'form', parameters: { ...refresh, ...tiktokClient } }, { json: { access_token: 'at-2', expires_in: 7200, open_id: 'afd97af1-b87b-48b9-ac98-410aghda5344', refresh_expires_in: 15_552_000, refresh_token: 'rt-2', scope: 'one,two', token_type: 'Bearer' } }],
    over: { status: 400, json: { error: 'invalid_grant', error_description: 'Refresh token is invalid or expired.', log_id: '202206221854370101130062072500FFA2' } },
  },
  {
    name: 'facebook', provider: providers.facebook(), lifetime: 5_183_944_000,
    authorization: { to: 'https://www.facebook.com/v25.0/dialog/oauth', parameters: { client_id: 'client', scope: 'one two' }, pkce: true },
    login: [
      [{ ...facebookEndpoint, parameters: { ...code, ...verifier, ...post } }, { json: { access_token: 'at-short', token_type: 'bearer', expires_in: 5400 } }],
      [{ ...facebookEndpoint, parameters: { ...post, grant_type: 'fb_exchange_token', fb_exchange_token: 'at-short' } }, { json: { access_token: 'at-1', token_type: 'bearer', expires_in: 5_183_944 } }],
    ],
    refresh: [{ ...facebookEndpoint, parameters: { ...post, grant_type: 'fb_exchange_token', fb_exchange_token: 'at-1' } }, { json: { access_token: 'at-2', token_type: 'bearer', expires_in: 5_183_944 } }],
    over: { status: 400, json: { error: { message: 'Error validating access token: Session has expired.', type: 'OAuthException', code: 190, error_subcode: 463, fbtrace_id: 'H2il2t5bn4e' } } },
  },
  {
    name: 'instagram', provider: providers.instagram, lifetime: 5_183_944_000, parameters: { user_id: '1020' },
    authorization: { to: 'https://api.instagram.com/oauth/authorize', parameters: { client_id: 'client', scope: 'one,two' }, pkce: true },
    login: [
      [asTheRfcsSay('https://api.instagram.com/oauth/access_token', 'post')(code), { json: { data: [{ access_token: 'at-short', user_id: '1020', permissions: 'one,two' }] } }],
      [{ to: 'GET https://graph.instagram.com/access_token', as: 'query', parameters: { grant_type: 'ig_exchange_token', client_secret: 'pa55word', access_token: 'at-short' } }, { json: { access_token: 'at-1', token_type: 'bearer', expires_in: 5_183_944 } }],
    ],
    refresh: [{ to: 'GET https://graph.instagram.com/refresh_access_token', as: 'query', parameters: { grant_type: 'ig_refresh_token', access_token: 'at-1' } }, { json: { access_token: 'at-2', token_type: 'bearer', expires_in: 5_183_944 } }],
    over: invalidGrant,
  },
  {
    name: 'linkedin', provider: providers.linkedin, lifetime: 60 * DAY,
    authorization: { to: 'https://www.linkedin.com/oauth/v2/authorization', parameters: { client_id: 'client', scope: 'one two' }, pkce: false },
    login: [[asTheRfcsSay('https://www.linkedin.com/oauth/v2/accessToken', 'post', { pkce: false })(code), { json: { access_token: 'at-1', expires_in: 5_184_000, refresh_token: 'rt-1', refresh_token_expires_in: 31_536_000 } }]],
    refresh: [asTheRfcsSay('https://www.linkedin.com/oauth/v2/accessToken', 'post')(refresh), { json: { access_token: 'at-2', expires_in: 5_184_000, refresh_token: 'rt-1', refresh_token_expires_in: 26_438_400 } }],
    over: invalidGrant,
  },
  declared('dropbox', providers.dropbox, { authorization: 'https://www.dropbox.com/oauth2/authorize', token: 'https://api.dropboxapi.com/oauth2/token' }, 'basic', {
    sent: { token_access_type: 'offline' }, lifetime: 14_400_000, answer: { token_type: 'bearer', expires_in: 14_400 },
    refresh: [asTheRfcsSay('https://api.dropboxapi.com/oauth2/token', 'basic')(refresh), { json: { access_token: 'at-2', token_type: 'bearer', expires_in: 14_400 } }],
  }),
  {
    name: 'notion', provider: providers.notion, parameters: { workspace_id: '1020' },
    authorization: { to: 'https://api.notion.com/v1/oauth/authorize', parameters: { client_id: 'client', scope: 'one two', owner: 'user' }, pkce: false },
    login: [[asTheRfcsSay('https://api.notion.com/v1/oauth/token', 'basic', { as: 'json', pkce: false })(code), { json: { access_token: 'at-1', token_type: 'bearer', refresh_token: 'rt-1', bot_id: 'b', workspace_id: '1020', duplicated_template_id: null, owner: { type: 'user' } } }]],
    refresh: [asTheRfcsSay('https://api.notion.com/v1/oauth/token', 'basic', { as: 'json' })(refresh), { json: { access_token: 'at-2', token_type: 'bearer', refresh_token: 'rt-2', bot_id: 'b', workspace_id: '1020', owner: { type: 'user' } } }],
    over: invalidGrant,
  },
  {
    name: 'monday', provider: providers.monday,
    authorization: { to: 'https://auth.monday.com/oauth2/authorize', parameters: { client_id: 'client', scope: 'one two' }, pkce: true },
    login: [[asTheRfcsSay('https://auth.monday.com/oauth_ms/oauth/token', 'post', { as: 'json' })(code), { json: { access_token: 'at-1', refresh_token: 'rt-1', token_type: 'Bearer', scope: 'one two' } }]],
    refresh: [asTheRfcsSay('https://auth.monday.com/oauth_ms/oauth/token', 'post', { as: 'json' })(refresh), { json: { access_token: 'at-2', refresh_token: 'rt-2', token_type: 'Bearer', scope: 'one two' } }],
    over: invalidGrant,
  },
  {
    name: 'square', provider: providers.square, lifetime: 30 * DAY, parameters: { merchant_id: 'M' },
    authorization: { to: 'https://connect.squareup.com/oauth2/authorize', parameters: { client_id: 'client', scope: 'one two' }, pkce: false },
    login: [[asTheRfcsSay('https://connect.squareup.com/oauth2/token', 'post', { as: 'json', pkce: false })(code), { json: { access_token: 'at-1', token_type: 'bearer', expires_at: '2026-12-29T00:00:00Z', merchant_id: 'M', refresh_token: 'rt-1', short_lived: false } }]],
    refresh: [asTheRfcsSay('https://connect.squareup.com/oauth2/token', 'post', { as: 'json' })(refresh), { json: { access_token: 'at-2', token_type: 'bearer', expires_at: '2026-12-29T00:00:00Z', merchant_id: 'M', refresh_token: 'rt-1', short_lived: false } }],
    over: invalidGrant,
  },
  declared('discord', providers.discord, { authorization: 'https://discord.com/oauth2/authorize', token: 'https://discord.com/api/oauth2/token' }, 'basic', { answer: { expires_in: 604_800 }, lifetime: 7 * DAY }),
  declared('twitch', providers.twitch, { authorization: 'https://id.twitch.tv/oauth2/authorize', token: 'https://id.twitch.tv/oauth2/token' }, 'post', {
    answer: { token_type: 'bearer', scope: ['one', 'two'] }, over: { status: 400, json: { error: 'Bad Request', status: 400, message: 'Invalid refresh token' } },
  }),
  declared('spotify', providers.spotify, { authorization: 'https://accounts.spotify.com/authorize', token: 'https://accounts.spotify.com/api/token' }, 'basic'),
];

let server: ProviderServer;
let elapsed = 0;

beforeEach(async () => {
  elapsed = 0;
  server = await startProviderServer();
});

afterEach(async () => {
  await server.close();
});

function managerOf(provider: Provider, options: Partial<TokenManagerOptions> = {}): TokenManager {
  return createTokenManager({ ...options, ...provider, clientId: 'client', clientSecret: 'pa55word', dispatcher: server.dispatcher, clock: { now: () => NOW + elapsed, monotonic: () => elapsed } });
}

describe.each(documented)('$name', ({ provider, document, authorization, callback = {}, login, refresh: refreshed, over, lifetime, parameters = {}, scope = 'one two' }) => {
  test('P1 signs a user in, refreshes, and ends, all in its own words', async () => {
    if (document !== undefined) server.publishes(...document);
    for (const [asked, told] of login) server.takes(asked, told);
    const tokens = managerOf(provider);
    const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'one two' });
    expect(`${url.origin}${url.pathname}`).toBe(authorization.to);
    const { state = '', nonce, code_challenge: challenge, code_challenge_method: method, ...others } = Object.fromEntries(url.searchParams);
    expect(others).toEqual({ response_type: 'code', redirect_uri: REDIRECT_URI, ...authorization.parameters });
    expect([nonce !== undefined, challenge !== undefined, method]).toEqual([true, ...(authorization.pkce ? [true, 'S256'] : [false, undefined])]);

    const { session } = await tokens.completeLogin(`${REDIRECT_URI}?${new URLSearchParams({ code: 'the-code', state, ...callback }).toString()}`, transaction);
    const first = await session.getToken();
    expect(server.refused).toEqual([]);
    expect([first.value, first.type, first.scope]).toEqual(['at-1', 'Bearer', scope]);
    expect(first.expiresAt).toBe(lifetime === undefined ? undefined : NOW + lifetime);
    expect(first.parameters).toMatchObject(parameters);

    if (refreshed !== undefined) {
      server.takes(...refreshed);
      const second = await session.getToken({ rejected: first });
      expect(server.refused).toEqual([]);
      expect([second.value, second.type, second.scope]).toEqual(['at-2', 'Bearer', scope]);
      expect(second.expiresAt).toBe(lifetime === undefined ? undefined : NOW + lifetime);
      expect(second.parameters).toMatchObject(parameters);
      // Tokens that are refused one after another are replaced at a slower and slower pace.
      elapsed = 120_000;
      const [{ to, as, basic: user, parameters: sent }, { json }] = refreshed;
      const current = (json as Readonly<Record<string, string>>)['refresh_token'];
      const again = Object.fromEntries(Object.entries(sent).map(([name, value]) => [name, value === 'at-1' ? 'at-2' : value === 'rt-1' ? current ?? value : value]));
      server.takes({ to, as, ...(user !== undefined && { basic: user }), parameters: again }, over);
      expect(await failureOf(session.getToken({ rejected: second }))).toMatchObject({ code: 'reauthorization_required' });
      expect(server.refused).toEqual([]);
    }
    expect(server.awaited).toBe(0);
    await tokens.close();
  });
});

describe('grace', () => {
  test.each([
    { name: 'xero', grace: 30 * 60_000 },
    { name: 'entraId', grace: DAY },
    { name: 'shopify', grace: 30 * DAY },
  ])('of $name: a refresh token whose answers were lost is sent again until it is over', async ({ name, grace }) => {
    const { first, getToken, refreshed } = await signedIn(name);
    for (let send = 1; send <= 3; send += 1) {
      server.takes(refreshed[0], { ...refreshed[1], lost: true });
      expect(await failureOf(getToken(first))).toMatchObject({ code: 'server_unreachable', retryable: true });
      elapsed += 120_000;
    }
    elapsed = grace - 60_000;
    server.takes(...refreshed);
    expect((await getToken(first)).value).toBe('at-2');
    expect(server.refused).toEqual([]);
  });

  test('of others is none: a refresh token whose answers were lost is not sent a third time', async () => {
    const { first, getToken, refreshed } = await signedIn('zoom');
    for (let send = 1; send <= 2; send += 1) {
      server.takes(refreshed[0], { ...refreshed[1], lost: true });
      await failureOf(getToken(first));
      elapsed += 120_000;
    }
    server.takes(...refreshed);
    expect((await failureOf(getToken(first))).message).toContain('sent twice');
    expect(server.awaited).toBe(1);
  });

  async function signedIn(wanted: string): Promise<{ first: AccessToken; getToken: (rejected: AccessToken) => Promise<AccessToken>; refreshed: readonly [Asked, Told] }> {
    const { provider, document, login, refresh: refreshed } = documented.find(({ name }) => name === wanted) ?? {};
    if (provider === undefined || login === undefined || refreshed === undefined) throw new Error(`${wanted} is not documented`);
    if (document !== undefined) server.publishes(...document);
    for (const [asked, told] of login) server.takes(asked, told);
    const tokens = managerOf(provider, { retry: { limit: 0 } });
    const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'one two' });
    const { session } = await tokens.completeLogin(`${REDIRECT_URI}?code=the-code&state=${url.searchParams.get('state') ?? ''}`, transaction);
    return { first: await session.getToken(), getToken: async (rejected) => session.getToken({ rejected }), refreshed };
  }
});

describe('P6 in the RFC\'s words', () => {
  const github = { bad_verification_code: 'invalid_grant', incorrect_client_credentials: 'invalid_client' };
  const slack = { invalid_refresh_token: 'invalid_grant', invalid_code: 'invalid_grant', bad_client_secret: 'invalid_client', invalid_client_id: 'invalid_client' };
  const described = (error: string): unknown => ({ error, error_description: 'It says why.' });
  const words = [
    { name: 'githubOAuthApp', meanings: github, answer: described },
    { name: 'githubApp', meanings: { ...github, bad_refresh_token: 'invalid_grant' }, answer: described },
    { name: 'slack', meanings: slack, answer: described },
    { name: 'slackUser', meanings: slack, answer: described },
    { name: 'zoho', meanings: { invalid_code: 'invalid_grant' }, answer: described },
    { name: 'facebook', meanings: { 190: 'invalid_grant' }, answer: (code: string) => ({ error: { message: 'It says why.', type: 'OAuthException', code: Number(code) } }) },
    { name: 'twitch', meanings: { 'Invalid refresh token': 'invalid_grant' }, answer: (message: string) => ({ status: 400, error: 'It says why.', message }) },
  ].flatMap(({ name, meanings, answer }) => Object.entries(meanings).map(([word, meaning]) => ({ name, word, meaning, json: answer(word) })));

  test.each(words)('$word of $name means $meaning', async ({ name, json, word, meaning }) => {
    const { provider, login: [exchange] = [], callback = {} } = documented.find(({ name: other }) => other === name) ?? {};
    if (provider === undefined || exchange === undefined) throw new Error(`${name} is not documented`);
    server.takes(exchange[0], { json });
    const tokens = managerOf(provider);
    const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'one two' });
    const parameters = new URLSearchParams({ code: 'the-code', state: url.searchParams.get('state') ?? '', ...callback });
    const failure = await failureOf(tokens.completeLogin(`${REDIRECT_URI}?${parameters.toString()}`, transaction));
    expect(server.refused).toEqual([]);
    expect([failure.code, failure.error, failure.errorDescription, failure.message.includes(word)]).toEqual(['token_request_failed', meaning, 'It says why.', true]);
  });

  test('every declared word is tried', () => {
    const count = documented.filter(({ name }) => /^\w+$/.test(name)).reduce((sum, { provider }) => sum + Object.keys(provider.dialect?.tokenResponse?.errors ?? {}).length, 0);
    expect(words).toHaveLength(count);
  });
});

test('a user of Slack without a refresh token does not get the bot\'s', async () => {
  const { login: [exchange] = [] } = documented.find(({ name }) => name === 'slackUser') ?? {};
  if (exchange === undefined) throw new Error('slackUser is not documented');
  server.takes(exchange[0], { json: { ok: true, access_token: 'of-the-bot', token_type: 'bot', refresh_token: 'rt-of-the-bot', expires_in: 43_200, authed_user: { id: 'U1234', access_token: 'at-1', token_type: 'user' } } });
  const tokens = managerOf(providers.slackUser);
  const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'one two' });
  const { session } = await tokens.completeLogin(`${REDIRECT_URI}?code=the-code&state=${url.searchParams.get('state') ?? ''}`, transaction);
  const token = await session.getToken();
  expect([token.value, token.expiresAt, JSON.stringify(token.parameters).includes('of-the-bot')]).toEqual(['at-1', undefined, false]);
  expect(await failureOf(session.getToken({ rejected: token }))).toMatchObject({ code: 'reauthorization_required' });
  expect(server.refused).toEqual([]);
});

test('an answer of Instagram without its list is understood as well', async () => {
  const { login = [] } = documented.find(({ name }) => name === 'instagram') ?? {};
  for (const [asked, { json }] of login) server.takes(asked, { json: typeof json === 'object' && json !== null && 'data' in json && Array.isArray(json.data) ? json.data[0] as unknown : json });
  const tokens = managerOf(providers.instagram);
  const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'one two' });
  const { session } = await tokens.completeLogin(`${REDIRECT_URI}?code=the-code&state=${url.searchParams.get('state') ?? ''}`, transaction);
  expect((await session.getToken()).value).toBe('at-1');
});

test('P3 a callback can\'t make Zoho of another host', async () => {
  const tokens = managerOf(providers.zoho);
  for (const host of ['https://accounts.zoho.example', 'https://accounts.zoho.com.evil.example', 'https://accounts.zoho.com@evil.example', 'https://evil.example/?https://accounts.zoho.com', 'http://accounts.zoho.com', 'https://accounts.zoho.com:8443']) {
    const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'one' });
    const callback = new URLSearchParams({ code: 'the-code', state: url.searchParams.get('state') ?? '', 'accounts-server': host });
    expect(await failureOf(tokens.completeLogin(`${REDIRECT_URI}?${callback.toString()}`, transaction))).toMatchObject({ code: 'invalid_callback' });
  }
  expect(server.refused).toEqual([]);
});

describe('machine tokens', () => {
  test.each([
    { name: 'zoomServerToServer', provider: providers.zoomServerToServer, request: { parameters: { account_id: 'a' } }, asked: { to: 'POST https://zoom.us/oauth/token', as: 'form', basic, parameters: { grant_type: 'account_credentials', account_id: 'a' } } },
    { name: 'tiktok', provider: providers.tiktok, request: {}, asked: { to: 'POST https://open.tiktokapis.com/v2/oauth/token/', as: 'form', parameters: { grant_type: 'client_credentials', ...tiktokClient } } },
    { name: 'discord', provider: providers.discord, request: { scope: 'identify connections' }, asked: { to: 'POST https://discord.com/api/oauth2/token', as: 'form', basic, parameters: { grant_type: 'client_credentials', scope: 'identify connections' } } },
  ] as const)('of $name', async ({ provider, request, asked }) => {
    server.takes(asked, { json: { access_token: 'at', token_type: 'bearer', expires_in: 3600 } });
    const token = await managerOf(provider).clientCredentials(request).getToken();
    expect(server.refused).toEqual([]);
    expect([token.value, token.expiresAt]).toEqual(['at', NOW + 3_600_000]);
  });
});

describe('their APIs', () => {
  test.each([
    { name: 'shopifyFetch', options: { tokenHeader: providers.shopifyFetch({ shop: 'example' }).tokenHeader }, header: 'x-shopify-access-token', value: 'at' },
    { name: 'zohoFetch', options: providers.zohoFetch, header: 'authorization', value: 'Zoho-oauthtoken at' },
  ])('P10 $name: the token is in $header', async ({ options, header, value }) => {
    const api = await startApi();
    server.takes({ to: 'POST https://discord.com/api/oauth2/token', as: 'form', basic, parameters: { grant_type: 'client_credentials' } }, { json: { access_token: 'at', token_type: 'bearer', expires_in: 3600 } });
    const { tokenHeader, tokenScheme } = { tokenHeader: undefined, tokenScheme: undefined, ...options };
    const response = await createFetch(managerOf(providers.discord).clientCredentials(), { baseUrl: api.origin, allowInsecureRequests: true, ...(tokenHeader !== undefined && { tokenHeader }), ...(tokenScheme !== undefined && { tokenScheme }) })('/');
    await response.arrayBuffer();
    expect(api.requests.map(({ headers }) => headers[header])).toEqual([value]);
    await api.close();
  });

  test('a store is its own API', () => {
    expect(providers.shopifyFetch({ shop: 'Example' }).baseUrl).toBe('https://example.myshopify.com');
  });
});

describe('arguments', () => {
  const elsewhere = ['', 'evil.example/', 'a.b/', 'evil.example#', 'evil.example?', 'user@evil.example', 'evil.example:443', 'a\\b', 'a b', '..', '-a', 'ä', 'a\n', 'https://evil.example'];

  test.each([
    { name: 'shopify', of: (value: string) => providers.shopify({ shop: value }), further: ['a.b', 'example.myshopify.com', 'a'.repeat(64)] },
    { name: 'shopifyFetch', of: (value: string) => providers.shopifyFetch({ shop: value }), further: ['a.b'] },
    { name: 'auth0', of: (value: string) => providers.auth0({ domain: value }), further: ['example', '127.0.0.1', 'a..b'] },
    { name: 'okta', of: (value: string) => providers.okta({ domain: value }), further: ['example'] },
    { name: 'okta\'s authorization server', of: (value: string) => providers.okta({ domain: 'example.okta.com', authorizationServer: value }), further: ['a/b', '.', '%2e%2e'], fine: ['-a'] },
    { name: 'entraId', of: (value: string) => providers.entraId({ tenant: value }), further: ['common', 'organizations', 'example.onmicrosoft.com'] },
    { name: 'keycloak\'s realm', of: (value: string) => providers.keycloak({ url: 'https://login.example.com', realm: value }), further: ['a/b', '.', '%2e%2e'], fine: ['-a'] },
    { name: 'keycloak\'s url', of: (value: string) => providers.keycloak({ url: value, realm: 'staff' }), further: ['https://user@login.example.com', 'https://login.example.com?', 'https://login.example.com#a', 'ftp://login.example.com'], fine: ['https://evil.example'] },
    { name: 'gitlab', of: (value: string) => providers.gitlab({ url: value }), further: ['https://user:password@gitlab.example.com'], fine: ['https://evil.example'] },
    { name: 'cognito\'s region', of: (value: string) => providers.cognito({ region: value, userPoolId: 'eu-central-1_a1B2c3D4e' }), further: ['eu-central-1.evil'] },
    { name: 'cognito\'s pool', of: (value: string) => providers.cognito({ region: 'eu-central-1', userPoolId: value }), further: ['a/b_c'] },
    { name: 'salesforce', of: (value: string) => providers.salesforce({ domain: value }), further: ['evil.example', 'salesforce.com.evil.example', 'evilsalesforce.com'] },
    { name: 'facebook', of: (value: string) => providers.facebook({ version: value }), further: ['v25', '../evil'] },
  ])('of $name that would lead elsewhere are refused', ({ of, further, fine = [] }) => {
    for (const value of [...elsewhere, ...further]) {
      if (fine.some((other) => other === value)) continue;
      expect(thrownBy(() => of(value)), JSON.stringify(value)).toMatchObject({ code: 'invalid_configuration' });
    }
  });

  test('that are missing or unknown are told by their name', () => {
    expect(thrownBy(() => providers.shopify({} as { shop: string })).message).toBe('shopify: `shop` is required; it must be one label of a host name, such as "example"');
    expect(thrownBy(() => providers.auth0({ tenant: 'a' } as unknown as { domain: string })).message).toContain('unknown option `tenant`');
    expect(thrownBy(() => providers.okta(undefined as unknown as { domain: string })).code).toBe('invalid_configuration');
  });
});

test('every provider is declared in a file of its own, and says what was read where and when', () => {
  const directory = new URL('../src/providers/', import.meta.url);
  const files = readdirSync(directory).filter((file) => !['arguments.ts', 'provider.ts'].includes(file));
  for (const file of files) {
    const text = readFileSync(new URL(file, directory), 'utf8');
    for (const [, comment = ''] of text.matchAll(/(\/\*\*(?:(?!\*\/)[^])*\*\/)\s*export (?:const|function) (?!\w+Fetch)/g)) expect(comment, file).toMatch(/@see https:\/\/\S+.* read \d{4}-\d\d-\d\d/);
  }
  const barrel = readFileSync(new URL('../src/providers.ts', import.meta.url), 'utf8');
  expect(files.filter((file) => !barrel.includes(`'./providers/${file.replace('.ts', '.js')}'`))).toEqual([]);
  const tried = new Set(documented.map(({ name }) => /^\w+/.exec(name)?.[0]));
  expect(Object.keys(providers).filter((name) => !name.endsWith('Fetch') && name !== 'zoomServerToServer' && !tried.has(name))).toEqual([]);
});
