import { elapsedSince, type Moment } from '../clock.js';
import { fromResponse, toStored } from '../grants/granted-token.js';
import type { ReceivedTokens } from '../server/authorization-server.js';
import type { Kept } from '../server/dialect/template.js';
import type { ProofKey } from '../server/dpop/proof-key.js';
import { revokeQuietly } from '../server/revocation.js';
import type { Session } from '../sessions/session.js';
import type { NewSession } from '../sessions/sessions.js';
import type { LoginContext } from './login.js';

/** What a login asked for. */
export interface AskedOfLogin {
  readonly scope: readonly string[];
  readonly resource: readonly string[];
  /** Undefined where none could be sent. */
  readonly nonce: string | undefined;
  /** Seconds. */
  readonly maxAge: number | undefined;
  /** With which the tokens were asked for. */
  readonly key: ProofKey | undefined;
  /** What the callback left. */
  readonly kept?: Kept;
  /** The `grant_type`. */
  readonly grant: string;
  readonly began: Moment;
}

/** The session of the tokens that a login brought. Tokens that can't be kept are revoked: no grant stays behind that nobody knows of. */
export async function begunSession(received: ReceivedTokens, asked: AskedOfLogin, signal: AbortSignal, context: LoginContext): Promise<Session> {
  const { sessions, clock, events } = context;
  try {
    const begun = await newSession(received, asked, signal, context);
    const session = await sessions.begin(begun);
    const { expiresAt } = begun.tokens['']?.token ?? {};
    events.emit('acquired', { grant: asked.grant, ...(expiresAt !== undefined && { expiresAt }), durationMs: elapsedSince(asked.began, clock) });
    return session;
  } catch (thrown) {
    await revokeQuietly({ refreshToken: received.refreshToken(), accessToken: received.accessToken() }, context);
    throw thrown;
  }
}

async function newSession(received: ReceivedTokens, { scope, resource, nonce, maxAge, key, kept }: AskedOfLogin, signal: AbortSignal, { assumedLifetime, bindingOf }: LoginContext): Promise<NewSession> {
  const response = received.judged();
  const identity = await received.identity({ nonce, maxAge, isRequired: scope.includes('openid') }, signal);
  const refreshToken = received.refreshToken();
  const granted = fromResponse(response, { scope: scope.length === 0 ? undefined : scope.join(' '), lifetime: assumedLifetime, binding: bindingOf(key) });
  return {
    refreshToken,
    scope: granted.scope,
    resource: onlyOne(resource),
    parameters: response.parameters,
    ...(kept && { kept }),
    ...(key && { proofKey: key.record() }),
    ...identity,
    tokens: { '': toStored({ ...granted, renewable: refreshToken !== undefined }) },
  };
}

/** Where it's one resource it's named again; of several the server knows from the authorization request (RFC 8707 section 2.2). */
export function onlyOne(resource: readonly string[]): string | undefined {
  return resource.length === 1 ? resource[0] : undefined;
}
