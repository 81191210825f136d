import { deadlineIn, waitFor } from '../deadline.js';
import { OAuthError } from '../errors.js';
import { IssuedToken, type AccessToken } from '../tokens/access-token.js';
import { checkOptions, having, invalid, text, typeName } from '../validation.js';
import type { AuthorizationServer } from './authorization-server.js';

export interface TokenCallOptions {
  /** What kind of token it is, where it's passed as a text: `access_token` or `refresh_token` (RFC 7009 section 2.1). @default the server finds out */
  tokenTypeHint?: string | undefined;
  /** Stops the waiting. A revocation that was sent is sent. */
  signal?: AbortSignal | undefined;
}

/** What the authorization server says of a token (RFC 7662 section 2.2). */
export interface Introspection {
  /** Whether the token is good. Where it isn't, nothing else is said. */
  readonly active: boolean;
  /** Granted, separated by spaces. */
  readonly scope?: string;
  /** The client that it was issued to. */
  readonly clientId?: string;
  /** The user, or the client itself. */
  readonly subject?: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt?: number;
  /** Everything that was said, in the server's words. */
  readonly claims: Readonly<Record<string, unknown>>;
}

export interface TokenCallContext {
  readonly server: AuthorizationServer;
  /** The authorization server's name, for messages. */
  readonly serverName: string;
  /** The option `timeout`, in milliseconds. */
  readonly timeout: number;
}

/** RFC 7009. */
export async function revokeToken(token: string | AccessToken, options: TokenCallOptions, context: TokenCallContext): Promise<void> {
  const { value, hint } = checked('revoke', token, options);
  const isTaken = await inTime('revoke', options, context, async (signal) => context.server.revoke(value, hint, signal));
  if (!isTaken) throw invalid('revoke: the authorization server\'s metadata have no `revocation_endpoint`: pass it in the option `server`, if there is one');
  if (typeof token !== 'string') IssuedToken.observerOf(token)?.revoked();
}

/** RFC 7662. */
export async function introspectToken(token: string | AccessToken, options: TokenCallOptions, context: TokenCallContext): Promise<Introspection> {
  const { value, hint } = checked('introspect', token, options);
  const claims = await inTime('introspect', options, context, async (signal) => context.server.introspect(value, hint, signal));
  const { active, scope, client_id: clientId, sub: subject, exp } = claims;
  return Object.freeze<Introspection>({
    active: active === true,
    ...(typeof scope === 'string' && { scope }),
    ...(typeof clientId === 'string' && { clientId }),
    ...(typeof subject === 'string' && { subject }),
    ...(typeof exp === 'number' && Number.isFinite(exp) && { expiresAt: exp * 1_000 }),
    claims: Object.freeze({ ...claims }),
  });
}

function checked(where: string, token: string | AccessToken, options: TokenCallOptions): { value: string; hint: string | undefined } {
  checkOptions<TokenCallOptions>(where, options, { tokenTypeHint: text, signal: having('addEventListener') });
  const value: unknown = typeof token === 'object' ? (token as AccessToken | null)?.value : token;
  if (!text.accepts(value)) throw invalid(`${where}: the token must be a non-empty string, or an access token; received ${typeName(token)}`);
  return { value: value as string, hint: options.tokenTypeHint ?? (typeof token === 'object' ? 'access_token' : undefined) };
}

async function inTime<T>(where: string, { signal }: TokenCallOptions, { serverName, timeout }: TokenCallContext, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  signal?.throwIfAborted();
  const deadline = deadlineIn(timeout, `${where}: no answer from ${serverName} within ${timeout} ms (option \`timeout\`)`);
  try {
    return await waitFor(call(deadline.signal), signal);
  } catch (thrown) {
    if (thrown instanceof OAuthError) throw thrown;
    deadline.signal.throwIfAborted();
    throw thrown;
  } finally {
    deadline.clear();
  }
}
