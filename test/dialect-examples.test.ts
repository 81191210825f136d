import { expect } from 'vitest';
import { describeDialects } from './support/peculiar-checks.js';
import { asking, authorization, POST, SECRET, type Peculiar } from './support/peculiar-run.js';

const token = { access_token: 'at-1', token_type: 'bearer', expires_in: 3600, refresh_token: 'rt-1' };
const renewed = { access_token: 'at-2', token_type: 'bearer', expires_in: 3600, refresh_token: 'rt-2' };
const seen = { type: 'Bearer', lifetime: 3_600_000 };
const COMMAS = { scope: 'a,b' };
const refused = 'reauthorization_required invalid_grant';

const examples: Record<string, Peculiar> = {
  'GitHub, an OAuth app: commas, and errors with 200': {
    dialect: () => ({ scopeSeparator: ',', tokenResponse: { errors: { bad_verification_code: 'invalid_grant', bad_refresh_token: 'invalid_grant', incorrect_client_credentials: 'invalid_client' } } }),
    client: 'post',
    login: { takes: authorization(COMMAS) },
    token: { takes: asking('code', POST, { basic: undefined }), gives: { json: { ...token, scope: 'a,b' } } },
    refresh: { takes: asking('refresh', POST, { basic: undefined }), gives: { json: { ...renewed, scope: 'a' } } },
    refusals: ['bad_verification_code', 'bad_refresh_token', 'incorrect_client_credentials', 'redirect_uri_mismatch'].map((error) => ({ json: { error } })),
    expected: { first: { value: 'at-1', ...seen, scope: 'a b' }, second: { value: 'at-2', ...seen, scope: 'a' }, ends: [refused, refused, 'token_request_failed invalid_client', 'token_request_failed redirect_uri_mismatch'] },
  },
  'Slack, the user\'s token: inside `authed_user`, without PKCE': {
    dialect: () => ({
      scopeSeparator: ',', authorizationRequest: { pkce: false, names: { scope: 'user_scope' } },
      tokenResponse: { at: 'authed_user', tokenType: 'Bearer', errors: { invalid_refresh_token: 'invalid_grant', token_expired: 'invalid_grant', bad_client_secret: 'invalid_client' } },
    }),
    login: { takes: authorization({ scope: undefined, user_scope: 'a,b', code_challenge: undefined, code_challenge_method: undefined }) },
    token: { takes: asking('code', { code_verifier: undefined }), gives: { json: { ok: true, access_token: 'bot', token_type: 'bot', team: { id: 'T1' }, authed_user: { id: 'U1', ...token, scope: 'a,b', token_type: 'user' } } } },
    refresh: { takes: asking('refresh'), gives: { json: { ok: true, authed_user: { id: 'U1', ...renewed, token_type: 'user' } } } },
    refusals: ['invalid_refresh_token', 'token_expired', 'bad_client_secret'].map((error) => ({ json: { ok: false, error } })),
    expected: { first: { value: 'at-1', ...seen, scope: 'a b', parameters: { ok: true, team: { id: 'T1' }, id: 'U1' } }, second: { value: 'at-2', ...seen }, ends: [refused, refused, 'token_request_failed invalid_client'] },
  },
  'Shopify: a parameter, and no token_type': {
    dialect: () => ({ scopeSeparator: ',', tokenRequest: { parameters: { expiring: '1' } }, tokenResponse: { tokenType: 'Bearer' } }),
    client: 'post',
    login: { takes: authorization(COMMAS) },
    token: { takes: asking('code', { ...POST, expiring: '1' }, { basic: undefined }), gives: { json: { ...token, token_type: undefined, scope: 'a,b' } } },
    refresh: { takes: asking('refresh', { ...POST, expiring: '1' }, { basic: undefined }), gives: { json: { ...renewed, token_type: undefined } } },
    expected: { first: { value: 'at-1', ...seen, scope: 'a b' }, second: { value: 'at-2', ...seen } },
  },
  'Zoho: the callback says which data center is asked': {
    dialect: (origin) => ({
      authorizationRequest: { parameters: { access_type: 'offline', prompt: 'consent' } }, authorizationResponse: { keep: ['accounts-server'] },
      tokenRequest: { endpoint: '{accounts-server}/oauth/v2/token', origins: ['https://accounts.zoho.com', origin] },
      tokenResponse: { errors: { invalid_code: 'invalid_grant' } },
    }),
    login: { takes: authorization({ access_type: 'offline', prompt: 'consent' }), comesBackWith: (asked, origin) => ({ 'code': 'code-1', 'state': asked.get('state') ?? '', 'location': 'eu', 'accounts-server': origin }) },
    token: { takes: asking('code', {}, { path: '/oauth/v2/token' }), gives: { json: { ...token, api_domain: 'https://www.zohoapis.eu' } } },
    refresh: { takes: asking('refresh', {}, { path: '/oauth/v2/token' }), gives: { json: { ...renewed, refresh_token: undefined } } },
    refusals: [{ json: { error: 'invalid_code' } }],
    expected: { first: { value: 'at-1', ...seen, parameters: { 'accounts-server': expect.stringMatching('http://127') as string, 'api_domain': 'https://www.zohoapis.eu' } }, second: { value: 'at-2', ...seen, parameters: { 'accounts-server': expect.stringMatching('http://127') as string, 'api_domain': 'https://www.zohoapis.eu' } }, ends: [refused] },
  },
  'Xero, Salesforce and Atlassian: nothing': {
    dialect: () => ({}),
    request: { audience: 'api.example.com' },
    login: { takes: authorization({ audience: 'api.example.com' }) },
    token: { takes: asking('code'), gives: { json: { ...token, instance_url: 'https://eu1.example.com' } } },
    refresh: { takes: asking('refresh'), gives: { json: renewed } },
    refusals: [{ status: 400, json: { error: 'invalid_grant' } }],
    expected: { first: { value: 'at-1', ...seen }, second: { value: 'at-2', ...seen, parameters: { instance_url: 'https://eu1.example.com' } }, ends: [refused] },
  },
  'QuickBooks: the company is in the callback': {
    dialect: () => ({ authorizationResponse: { keep: ['realmId'] } }),
    login: { comesBackWith: (asked) => ({ code: 'code-1', state: asked.get('state') ?? '', realmId: '4620816365' }) },
    token: { takes: asking('code'), gives: { json: token } },
    refresh: { takes: asking('refresh'), gives: { json: renewed } },
    expected: { first: { value: 'at-1', ...seen, parameters: { realmId: '4620816365' } }, second: { value: 'at-2', ...seen, parameters: { realmId: '4620816365' } } },
  },
  'TikTok: `client_key`': {
    dialect: () => ({ scopeSeparator: ',', authorizationRequest: { names: { client_id: 'client_key' } }, tokenRequest: { names: { client_id: 'client_key' } } }),
    client: 'post',
    login: { takes: authorization({ ...COMMAS, client_id: undefined, client_key: 'app' }) },
    token: { takes: asking('code', { client_key: 'app', client_secret: SECRET }, { basic: undefined }), gives: { json: { ...token, scope: 'a,b', open_id: 'u' } } },
    refresh: { takes: asking('refresh', { client_key: 'app', client_secret: SECRET }, { basic: undefined }), gives: { json: renewed } },
    expected: { first: { value: 'at-1', ...seen, scope: 'a b', parameters: { open_id: 'u' } }, second: { value: 'at-2', ...seen } },
  },
  'TikTok for Business: JSON, a refresh URL of its own, errors by number': {
    dialect: (origin) => ({
      scopeSeparator: ',', authorizationRequest: { names: { client_id: 'client_key' } }, tokenRequest: { format: 'json', names: { code: 'auth_code' } },
      refreshRequest: { endpoint: `${origin}/open_api/v1.3/tt_user/oauth2/refresh_token/` },
      tokenResponse: { at: 'data', names: { error: 'code', error_description: 'message' }, errors: { 40105: 'invalid_grant' } },
    }),
    client: 'post',
    login: { takes: authorization({ ...COMMAS, client_id: undefined, client_key: 'app' }) },
    token: { takes: asking('code', { ...POST, code: undefined, auth_code: 'code-1' }, { basic: undefined, format: 'json' }), gives: { json: { code: 0, message: 'OK', request_id: 'r', data: { ...token, scope: 'a,b' } } } },
    refresh: { takes: asking('refresh', POST, { basic: undefined, format: 'json', path: '/open_api/v1.3/tt_user/oauth2/refresh_token/' }), gives: { json: { code: 0, message: 'OK', data: renewed } } },
    refusals: [{ json: { code: 40105, message: 'Refresh token is expired', data: {} } }, { json: { code: 51305, message: 'ask later', data: {} } }],
    expected: { first: { value: 'at-1', ...seen, scope: 'a b', parameters: { request_id: 'r' } }, second: { value: 'at-2', ...seen }, ends: [refused, 'token_request_failed 51305 ask later'] },
  },
  'Zoom, server to server: a grant type of its own': {
    dialect: () => ({ tokenRequest: { grantType: 'account_credentials' } }),
    request: { parameters: { account_id: 'acc-1' } },
    token: { takes: asking('machine', { grant_type: 'account_credentials', scope: undefined, account_id: 'acc-1' }), gives: { json: { ...token, refresh_token: undefined } } },
    refresh: { takes: asking('machine', { grant_type: 'account_credentials', scope: undefined, account_id: 'acc-1' }), gives: { json: { ...renewed, refresh_token: undefined } } },
    expected: { first: { value: 'at-1', ...seen }, second: { value: 'at-2', ...seen } },
  },
  'monday: neither PKCE nor response_type': {
    dialect: () => ({ authorizationRequest: { pkce: false, names: { response_type: null } } }),
    login: { takes: authorization({ response_type: undefined, code_challenge: undefined, code_challenge_method: undefined }) },
    token: { takes: asking('code', { code_verifier: undefined }), gives: { json: { access_token: 'at-1', token_type: 'Bearer' } } },
    expected: { first: { value: 'at-1', type: 'Bearer', lifetime: undefined } },
  },
  'Facebook: the token renews itself, and is exchanged at once': {
    dialect: () => ({
      refreshRequest: { grantType: 'fb_exchange_token', format: 'query', names: { refresh_token: 'fb_exchange_token' } }, exchangeRequest: {},
      tokenResponse: { names: { refresh_token: 'access_token' } },
    }),
    client: 'post',
    login: {},
    token: { takes: asking('code', POST, { basic: undefined }), gives: { json: { ...token, access_token: 'short', refresh_token: undefined } } },
    exchange: { takes: asking('refresh', { ...POST, grant_type: 'fb_exchange_token', refresh_token: undefined, fb_exchange_token: 'short' }, { basic: undefined, format: 'query' }), gives: { json: { ...token, refresh_token: undefined } } },
    refresh: { takes: asking('refresh', { ...POST, grant_type: 'fb_exchange_token', refresh_token: undefined, fb_exchange_token: 'at-1' }, { basic: undefined, format: 'query' }), gives: { json: { ...renewed, refresh_token: undefined } } },
    expected: { first: { value: 'at-1', ...seen }, second: { value: 'at-2', ...seen } },
  },
  'Instagram: GET, without the client\'s id; each of three requests at its own address': {
    dialect: (origin) => ({
      scopeSeparator: ',', tokenResponse: { names: { refresh_token: 'access_token' }, tokenType: 'Bearer' },
      refreshRequest: { endpoint: `${origin}/refresh_access_token`, method: 'GET', grantType: 'ig_refresh_token', names: { client_id: null, client_secret: null, refresh_token: 'access_token' } },
      exchangeRequest: { endpoint: `${origin}/access_token`, grantType: 'ig_exchange_token', names: { client_id: null, refresh_token: 'access_token' } },
    }),
    client: 'post',
    login: { takes: authorization(COMMAS) },
    token: { takes: asking('code', POST, { basic: undefined }), gives: { json: { access_token: 'short', user_id: 17, permissions: ['a'] } } },
    exchange: { takes: { path: '/access_token', method: 'GET', format: 'query', parameters: { grant_type: 'ig_exchange_token', client_secret: SECRET, access_token: 'short' } }, gives: { json: { access_token: 'at-1', token_type: 'bearer', expires_in: 3600 } } },
    refresh: { takes: { path: '/refresh_access_token', method: 'GET', format: 'query', parameters: { grant_type: 'ig_refresh_token', access_token: 'at-1' } }, gives: { json: { access_token: 'at-2', token_type: 'bearer', expires_in: 3600 } } },
    expected: { first: { value: 'at-1', ...seen, parameters: { user_id: 17, permissions: ['a'] } }, second: { value: 'at-2', ...seen, parameters: { user_id: 17, permissions: ['a'] } } },
  },
};

describeDialects(examples);
