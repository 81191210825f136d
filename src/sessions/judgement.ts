import { deadlineIn } from '../deadline.js';
import { OAuthError } from '../errors.js';
import { fromResponse, toStored, type GrantedToken } from '../grants/granted-token.js';
import type { ReceivedTokens } from '../server/authorization-server.js';
import type { ProofKey } from '../server/dpop/proof-key.js';
import type { StoredToken } from '../tokens/stored-token.js';
import type { RotationContext, SessionTokenRequest } from './rotation-context.js';
import { isBoundElsewhere } from './session-key.js';
import type { SessionRecord } from './session-record.js';

/** What of an answer can be used; the refresh token in it is kept whatever comes of this. */
export type Judgement = { readonly granted: GrantedToken; readonly record: SessionRecord } | { readonly failure: unknown };

/** @param key with which the tokens were asked for */
export function judged({ name, request }: SessionTokenRequest, record: SessionRecord, received: ReceivedTokens, key: ProofKey | undefined, context: RotationContext): Judgement {
  try {
    const response = received.judged();
    const parameters = { ...record.parameters, ...response.parameters };
    const scope = request.scope.length === 0 ? record.scope : request.scope.join(' ');
    const granted = fromResponse({ ...response, parameters }, { scope, lifetime: context.assumedLifetime, binding: context.bindingOf(key) });
    if (granted.lifetime <= 0) return { failure: new OAuthError('invalid_response', 'The token endpoint answered a refresh with an access token that has already expired (`expires_in`)') };
    const others = isBoundElsewhere(record, key) ? {} : unexpired(record.tokens, context.clock.now());
    const tokens = { ...others, [name]: toStored(granted) };
    return { granted, record: { ...record, parameters: name === '' ? parameters : record.parameters, proofKey: key?.record(), tokens } };
  } catch (failure) {
    return { failure };
  }
}

function unexpired(tokens: SessionRecord['tokens'], now: number): SessionRecord['tokens'] {
  return Object.fromEntries(Object.entries(tokens).filter(([, token]) => !hasExpired(token, now)));
}

export function hasExpired({ obtainedAt, lifetime }: StoredToken, now: number): boolean {
  return obtainedAt + lifetime <= now;
}

/** The ID token, checked against the login (OpenID Connect Core section 12.2); undefined where there is none. */
export async function identity(received: ReceivedTokens, { claims }: SessionRecord, { timeout }: RotationContext): Promise<Pick<SessionRecord, 'idToken' | 'claims'> | undefined> {
  const deadline = deadlineIn(timeout, `The ID token could not be checked within ${timeout} ms (option \`timeout\`)`);
  try {
    const found = await received.identity({ previous: claims }, deadline.signal);
    // What a refreshed one may leave out is still known of the login.
    return found === undefined ? undefined : { idToken: found.idToken, claims: { ...lasting(claims), ...found.claims } };
  } finally {
    deadline.clear();
  }
}

function lasting(claims: SessionRecord['claims']): SessionRecord['claims'] {
  return Object.fromEntries(['auth_time', 'nonce'].filter((name) => claims?.[name] !== undefined).map((name) => [name, claims?.[name]]));
}
