import { describeDialects } from './support/peculiar-checks.js';
import { asking, POST } from './support/peculiar-run.js';

// Three servers that have no file here, declared by their public documentation, and by data only. What that documentation doesn't say is not declared.

const HOUR = 3_600_000;
const seen = { type: 'Bearer', lifetime: HOUR };
const token = { access_token: 'at-1', token_type: 'Bearer', expires_in: 3600, refresh_token: 'rt-1' };
const renewed = { access_token: 'at-2', token_type: 'Bearer', expires_in: 3600, refresh_token: 'rt-2' };

describeDialects({
  // https://support.withings.com/hc/en-us/articles/360016745358--BREAKING-Shutting-down-access-and-refresh-tokens-endpoints (the parameter `action`, and the tokens in `body`)
  // https://developer.withings.com/developer-guide/v3/integration-guide/dropship-cellular/get-access/access-and-refresh-tokens/ (a replaced refresh token is good for 8 hours, until the new
  // access token is used; the webservice is `requesttoken`). Both read 2026-11-29. How its scopes are separated and its errors look was not found.
  'Withings: an `action`, and the answer in `body` beside its `status`': {
    dialect: () => ({ tokenRequest: { parameters: { action: 'requesttoken' } }, tokenResponse: { at: 'body' } }),
    client: 'post',
    options: { refreshGrace: 8 * HOUR },
    login: {},
    token: { takes: asking('code', { ...POST, action: 'requesttoken' }, { basic: undefined }), gives: { json: { status: 0, body: { ...token, userid: '363' } } } },
    refresh: { takes: asking('refresh', { ...POST, action: 'requesttoken' }, { basic: undefined }), gives: { json: { status: 0, body: { ...renewed, userid: '363' } } } },
    expected: { first: { value: 'at-1', ...seen, parameters: { status: 0, userid: '363' } }, second: { value: 'at-2', ...seen } },
  },

  // https://open.feishu.cn/document/uAjLw4CM/ukTMukTMukTM/authentication-management/access-token/get-user-access-token.md (JSON only, id and secret in it, `offline_access` for a refresh
  // token). Read 2026-11-29. Its error codes were not found in full.
  'Feishu: JSON': {
    dialect: () => ({ tokenRequest: { format: 'json' } }),
    client: 'post',
    login: {},
    token: { takes: asking('code', POST, { basic: undefined, format: 'json' }), gives: { json: { code: 0, ...token, refresh_token_expires_in: 604_800, scope: 'a b' } } },
    refresh: { takes: asking('refresh', POST, { basic: undefined, format: 'json' }), gives: { json: { code: 0, ...renewed, refresh_token_expires_in: 604_800 } } },
    expected: { first: { value: 'at-1', ...seen, scope: 'a b', parameters: { code: 0, refresh_token_expires_in: 604_800 } }, second: { value: 'at-2', ...seen } },
  },

  // https://dev.wix.com/docs/rest/business-management/headless/authentication/retrieve-tokens (a public client; the names; forms and JSON alike). Read 2026-11-29. The names in its answer were not
  // found: the ones of the RFC stand here.
  'Wix Headless: names of its own, for a client without a secret': {
    dialect: () => ({ tokenRequest: { names: { client_id: 'clientId', grant_type: 'grantType', redirect_uri: 'redirectUri', code_verifier: 'codeVerifier', refresh_token: 'refreshToken' } } }),
    client: 'none',
    login: {},
    token: {
      takes: asking('code', { clientId: 'app', grant_type: undefined, grantType: 'authorization_code', redirect_uri: undefined, redirectUri: /^https:/, code_verifier: undefined, codeVerifier: /^[\w-]{43}$/ }, { basic: undefined }),
      gives: { json: token },
    },
    refresh: { takes: asking('refresh', { clientId: 'app', grant_type: undefined, grantType: 'refresh_token', refresh_token: undefined, refreshToken: 'rt-1' }, { basic: undefined }), gives: { json: renewed } },
    expected: { first: { value: 'at-1', ...seen }, second: { value: 'at-2', ...seen } },
  },
});
