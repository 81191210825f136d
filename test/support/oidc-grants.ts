import { jwtVerify, type CryptoKey } from 'jose';
import { errors, type Configuration, type Provider, type TokenEndpointGrantContext } from 'oidc-provider';

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

const API = 'https://api.example.com';

/** What the token of a request is to say beside the usual. */
const claimsOf = new WeakMap<object, Record<string, unknown>>();

/** For a server with one of these grants. */
export const withGrantClaims: Configuration = { extraTokenClaims: (ctx) => claimsOf.get(ctx) };

interface ExchangeParameters {
  subject_token?: string;
  subject_token_type?: string;
  actor_token?: string;
  audience?: string;
  assertion?: string;
}

/** RFC 8693 for opaque tokens of the server's own: the new one is a JWT that names their subjects, as `on_behalf_of` and `act`. */
export function registerTokenExchange(provider: Provider): void {
  provider.registerGrantType<ExchangeParameters>(TOKEN_EXCHANGE, async (ctx) => {
    const { subject_token: subjectToken = '', subject_token_type: type, actor_token: actorToken } = ctx.oidc.params;
    if (type !== ACCESS_TOKEN) throw new errors.InvalidRequest('unknown subject_token_type');
    const subject = await subjectOf(provider, subjectToken);
    const actor = actorToken === undefined ? undefined : await subjectOf(provider, actorToken);
    await issue(provider, ctx, { on_behalf_of: subject, ...actor !== undefined && { act: { sub: actor } } }, { issued_token_type: ACCESS_TOKEN });
  }, ['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'requested_token_type', 'audience', 'scope']);
}

/** RFC 7523 section 2.1, for assertions that are signed with `key` and meant for this server: the token is a JWT that names their subject, as `on_behalf_of`. */
export function registerJwtBearer(provider: Provider, key: CryptoKey): void {
  provider.registerGrantType<ExchangeParameters>(JWT_BEARER, async (ctx) => {
    const { payload } = await jwtVerify(ctx.oidc.params.assertion ?? '', key, { audience: provider.issuer, requiredClaims: ['iss', 'sub', 'exp'] }).catch(() => {
      throw new errors.InvalidGrant('the assertion is not good');
    });
    await issue(provider, ctx, { on_behalf_of: payload.sub }, {});
  }, ['assertion', 'scope']);
}

async function subjectOf(provider: Provider, token: string): Promise<string> {
  const [user, machine] = await Promise.all([provider.AccessToken.find(token), provider.ClientCredentials.find(token)]);
  const subject = user?.accountId ?? machine?.clientId;
  if (subject === undefined) throw new errors.InvalidRequest('the token is not known');
  return subject;
}

async function issue(provider: Provider, ctx: TokenEndpointGrantContext<ExchangeParameters>, claims: Record<string, unknown>, members: Record<string, unknown>): Promise<void> {
  const { client, params: { audience, scope } } = ctx.oidc;
  claimsOf.set(ctx, claims);
  const token = new provider.ClientCredentials({ client, scope });
  token.resourceServer = new provider.ResourceServer(API, { scope: 'read write', audience: audience ?? API, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } });
  const value = await token.save();
  ctx.body = { access_token: value, token_type: 'Bearer', expires_in: token.expiration, scope, ...members };
}
