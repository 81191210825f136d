import { createTokenManager, type Dialect } from 'grantkeeper';
import { describe, expect, test } from 'vitest';
import { thrownBy } from './support/failure.js';

function made(dialect: unknown): () => unknown {
  return () => createTokenManager({ server: { token_endpoint: 'https://login.example.com/token' }, clientId: 'app', clientSecret: 'secret', dialect: dialect as Dialect });
}

const keep = { authorizationResponse: { keep: ['x'] } };

describe('a dialect is refused by the path of the member', () => {
  test.each<[string, unknown, RegExp]>([
    ['no object', 'slack', /`dialect` must be an object; received "slack"$/],
    ['a list', [], /`dialect` must be an object/],
    ['an unknown member', { scopeSeperator: ',' }, /unknown option `dialect\.scopeSeperator`; did you mean `scopeSeparator`\?$/],
    ['an unknown member of a message', { tokenRequest: { grant_type: 'x' } }, /unknown option `dialect\.tokenRequest\.grant_type`; did you mean `grantType`\?$/],
    ['an unknown name', { tokenResponse: { names: { accessToken: 'x' } } }, /unknown option `dialect\.tokenResponse\.names\.accessToken`; did you mean `access_token`\?$/],
    ['a grant type among the parameters', { tokenRequest: { parameters: { grant_type: 'x' } } }, /`dialect\.tokenRequest\.parameters\.grant_type` is reserved: use `dialect\.tokenRequest\.grantType`$/],
    ['a state among the parameters', { authorizationRequest: { parameters: { state: 'x' } } }, /`dialect\.authorizationRequest\.parameters\.state` is reserved/],
    ['no state in the token request', { tokenRequest: { names: { state: null } } }, /`dialect\.tokenRequest\.names\.state` must not be null/],
    ['no state in the answer', { tokenResponse: { names: { state: null } } }, /`dialect\.tokenResponse\.names\.state` must not be null/],
    ['an origin that stands for many', { tokenRequest: { endpoint: 'https://login.example.com/token', origins: ['https://*.example.com'] } }, /`dialect\.tokenRequest\.origins` must be a list of origins.*or a wildcard/],
    ['an empty separator', { scopeSeparator: '' }, /`dialect\.scopeSeparator` must be a non-empty string/],
    ['a message that is none', { tokenRequest: true }, /`dialect\.tokenRequest` must be an object/],
    ['names that are none', { refreshRequest: { names: [] } }, /`dialect\.refreshRequest\.names` must be an object/],
    ['a name that is empty', { refreshRequest: { names: { code: '' } } }, /`dialect\.refreshRequest\.names\.code` must be a non-empty string, or null/],
    ['PKCE that is true', { authorizationRequest: { pkce: true } }, /`dialect\.authorizationRequest\.pkce` must be false; received true/],
    ['parameters that are no text', { authorizationRequest: { parameters: { a: 1 } } }, /`dialect\.authorizationRequest\.parameters` must be an object whose values are strings/],
    ['keep that is no list', { authorizationResponse: { keep: 'realmId' } }, /`dialect\.authorizationResponse\.keep` must be a list/],
    ['another method', { tokenRequest: { method: 'PUT' } }, /`dialect\.tokenRequest\.method` must be 'GET'; received "PUT"/],
    ['another format', { tokenRequest: { format: 'xml' } }, /`dialect\.tokenRequest\.format` must be 'json' or 'query'/],
    ['headers that are no text', { tokenRequest: { headers: { a: null } } }, /`dialect\.tokenRequest\.headers` must be an object whose values are strings/],
    ['a path that is empty', { tokenResponse: { at: '' } }, /`dialect\.tokenResponse\.at` must be/],
    ['another unit', { tokenResponse: { lifetimeUnit: 'minutes' } }, /`dialect\.tokenResponse\.lifetimeUnit` must be 'milliseconds'/],
    ['another token type', { tokenResponse: { tokenType: 'mac' } }, /`dialect\.tokenResponse\.tokenType` must be 'Bearer'/],
    ['a meaning that is none', { tokenResponse: { errors: { gone: 'expired' } } }, /`dialect\.tokenResponse\.errors` must be an object whose values are 'invalid_grant', 'invalid_client' or 'temporarily_unavailable'/],
    ['a hook that is none', { prepareTokenRequest: 'sign' }, /`dialect\.prepareTokenRequest` must be a function/],
    ['the other hook', { parseTokenResponse: {} }, /`dialect\.parseTokenResponse` must be a function/],

    ['no state in requests', { authorizationRequest: { names: { state: null } } }, /`dialect\.authorizationRequest\.names\.state` must not be null: only `state` ties/],
    ['no state in callbacks', { authorizationResponse: { names: { state: null } } }, /`dialect\.authorizationResponse\.names\.state` must not be null/],
    ['no code', { authorizationResponse: { names: { code: null } } }, /`dialect\.authorizationResponse\.names\.code` must not be null/],
    ['no access token', { tokenResponse: { names: { access_token: null } } }, /`dialect\.tokenResponse\.names\.access_token` must not be null/],
    ['two parameters of one name', { tokenRequest: { names: { client_id: 'key', client_secret: 'key' } } }, /`dialect\.tokenRequest\.names`: two parameters can't both be "key"/],
    ['a parameter by the name of another', { authorizationRequest: { names: { scope: 'state' } } }, /`dialect\.authorizationRequest\.names`: two parameters can't both be "state"/],
    ['state and code of one name', { authorizationResponse: { names: { state: 'code' } } }, /`dialect\.authorizationResponse\.names`: two parameters can't both be "code"/],
    ['GET with JSON', { tokenRequest: { method: 'GET', format: 'json' } }, /`dialect\.tokenRequest\.format` can't be 'json'/],
    ['GET with the JSON of the request that it takes over from', { tokenRequest: { format: 'json' }, refreshRequest: { method: 'GET' } }, /`dialect\.refreshRequest\.format` can't be 'json'.*set `format: 'query'`/],
    ['a code that is kept', { authorizationResponse: { keep: ['code'] } }, /`dialect\.authorizationResponse\.keep` must not name `code`/],
    ['a renamed code that is kept', { authorizationResponse: { names: { code: 'ticket' }, keep: ['ticket'] } }, /must not name `ticket`/],
    ['a token that is kept', { authorizationResponse: { keep: ['access_token'] } }, /must not name `access_token`/],
    ['a header of the transport', { tokenRequest: { headers: { 'Content-Type': 'text/plain' } } }, /`dialect\.tokenRequest\.headers\.Content-Type` is the library's to send/],
    ['a header that can\'t be sent', { tokenRequest: { headers: { 'a b': 'c' } } }, /`dialect\.tokenRequest\.headers\.a b` is no header/],

    ['a placeholder in a parameter without keep', { tokenRequest: { parameters: { a: '{x}' } } }, /`dialect\.tokenRequest\.parameters\.a`: the placeholder \{x\} stands for nothing: .*`dialect\.authorizationResponse\.keep`$/],
    ['a placeholder in a header without keep', { refreshRequest: { headers: { a: '{x}' } } }, /`dialect\.refreshRequest\.headers\.a`: the placeholder \{x\}/],
    ['a placeholder in an endpoint without keep', { exchangeRequest: { endpoint: 'https://login.example.com/{x}' } }, /`dialect\.exchangeRequest\.endpoint`: the placeholder \{x\}/],
    ['an endpoint that is no URL', { tokenRequest: { endpoint: '/token' } }, /`dialect\.tokenRequest\.endpoint` must be an absolute URL, or begin with a placeholder/],
    ['an endpoint with http', { tokenRequest: { endpoint: 'http://login.example.com/token' } }, /`dialect\.tokenRequest\.endpoint` must be https/],
    ['an endpoint with a user', { tokenRequest: { endpoint: 'https://user:password@login.example.com/token' } }, /`dialect\.tokenRequest\.endpoint`: placeholders may be/],
    ['an endpoint with a default port', { tokenRequest: { endpoint: 'https://login.example.com:443/token' } }, /`dialect\.tokenRequest\.endpoint` must have its host as `URL` spells it/],
    ['a placeholder at the beginning without origins', { ...keep, tokenRequest: { endpoint: '{x}/token' } }, /`dialect\.tokenRequest\.origins` is required/],
    ['a placeholder that is most of the host', { ...keep, tokenRequest: { endpoint: 'https://{x}.com/token' } }, /`dialect\.tokenRequest\.origins` is required/],
    ['a placeholder at the end of the host', { ...keep, tokenRequest: { endpoint: 'https://login.example.com{x}/token' } }, /`dialect\.tokenRequest\.origins` is required/],
    ['a placeholder that begins the domain', { ...keep, tokenRequest: { endpoint: 'https://{x}example.com/token' } }, /`dialect\.tokenRequest\.origins` is required/],
    ['a placeholder for the port', { ...keep, tokenRequest: { endpoint: 'https://login.example.com:{x}/token', origins: ['https://login.example.com'] } }, /not its port or user/],
    ['a placeholder for the user', { ...keep, tokenRequest: { endpoint: 'https://{x}@login.example.com/token', origins: ['https://login.example.com'] } }, /not its port or user/],
    ['no path after the placeholder', { ...keep, tokenRequest: { endpoint: '{x}.example.com/token', origins: ['https://login.example.com'] } }, /after the placeholder that it begins with comes a path/],
    ['origins with a path', { ...keep, tokenRequest: { endpoint: '{x}/token', origins: ['https://login.example.com/'] } }, /`dialect\.tokenRequest\.origins` must be a list of origins/],
    ['origins with http', { ...keep, tokenRequest: { endpoint: '{x}/token', origins: ['http://login.example.com'] } }, /`dialect\.tokenRequest\.origins` must be https/],
    ['no origins', { ...keep, tokenRequest: { endpoint: '{x}/token', origins: [] } }, /`dialect\.tokenRequest\.origins` must be a list/],
  ])('%s', (_case, dialect, message) => {
    const failure = thrownBy(made(dialect));
    expect(failure).toMatchObject({ code: 'invalid_configuration' });
    expect(failure.message).toMatch(message);
    expect(failure.message).toMatch(/^createTokenManager: /);
  });

  test('http to this machine, where it\'s allowed', () => {
    const options = { server: { token_endpoint: 'http://127.0.0.1/token' }, clientId: 'app', dialect: { ...keep, tokenRequest: { endpoint: '{x}/token', origins: ['http://127.0.0.1:1'] }, refreshRequest: { endpoint: 'http://localhost:1/token' } } };
    expect(() => createTokenManager({ ...options, allowInsecureRequests: true })).not.toThrow();
    expect(thrownBy(() => createTokenManager({ ...options, server: { token_endpoint: 'https://login.example.com/token' } }))).toMatchObject({ code: 'invalid_configuration' });
  });
});

describe('a dialect is taken', () => {
  test.each<[string, Dialect]>([
    ['that is empty', {}],
    ['whose members are undefined', { scopeSeparator: undefined, tokenRequest: undefined, authorizationRequest: { pkce: undefined, names: { scope: undefined } } }],
    ['with a placeholder for one label', { ...keep, tokenRequest: { endpoint: 'https://{x}.example.com/token' } }],
    ['with a placeholder in a label', { ...keep, tokenRequest: { endpoint: 'https://login-{x}.example.com/token' } }],
    ['with origins of the request that it takes over from', { ...keep, tokenRequest: { endpoint: '{x}/token', origins: ['https://login.example.com'] }, refreshRequest: { endpoint: '{x}/refresh' } }],
    ['with an endpoint elsewhere beside such origins', { ...keep, tokenRequest: { endpoint: '{x}/token', origins: ['https://login.example.com'] }, refreshRequest: { endpoint: 'https://refresh.example.com/token' } }],
    ['with GET after JSON', { tokenRequest: { format: 'json' }, refreshRequest: { method: 'GET', format: 'query' } }],
    ['with names that swap', { authorizationResponse: { names: { state: 'code', code: 'state' } } }],
  ])('%s', (_case, dialect) => {
    expect(made(dialect)).not.toThrow();
  });

  test('as it was: what is changed afterwards moves nothing', async () => {
    const parameters: Record<string, string> = { access_type: 'offline' };
    const tokens = createTokenManager({ server: { authorization_endpoint: 'https://login.example.com/authorize', token_endpoint: 'https://login.example.com/token' }, clientId: 'app', clientSecret: 'secret', dialect: { authorizationRequest: { parameters } } });
    parameters['access_type'] = 'online';
    const { url } = await tokens.startLogin({ redirectUri: 'https://app.example.com/callback' });
    expect(url.searchParams.get('access_type')).toBe('offline');
  });
});
