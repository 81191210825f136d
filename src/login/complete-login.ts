import { elapsedSince, momentOf } from '../clock.js';
import { deadlineIn, orAbort, waitFor, type Deadline } from '../deadline.js';
import { OAuthError } from '../errors.js';
import { fromResponse, toStored } from '../grants/granted-token.js';
import type { ReceivedTokens } from '../server/authorization-server.js';
import { revokeQuietly } from '../server/revocation.js';
import type { Session } from '../sessions/session.js';
import type { NewSession } from '../sessions/sessions.js';
import { hashedName } from '../tokens/cache-key.js';
import { checkCallback, readCallback } from './callback.js';
import type { CompletedLogin, LoginContext } from './login.js';
import { safeReturnTo } from './return-to.js';
import { transactionLifetime, type Transaction } from './transaction.js';

/**
 * Completes a login. Invariants:
 *
 * - A callback that doesn't belong to the transaction costs nothing: no request, and the transaction is as good as before.
 * - A transaction is spent, durably and by one process only, before its code is sent. Whatever comes of the exchange, there is no second one.
 * - Tokens that can't be kept are revoked: no grant stays behind that nobody knows of.
 */
export async function completeLogin(callback: string | URL | Request, sealed: string, context: LoginContext): Promise<CompletedLogin> {
  const { server, serverName, transactions, clock, timeout } = context;
  const deadline = deadlineIn(timeout, `The login could not be completed by ${serverName} within ${timeout} ms (option \`timeout\`)`);
  try {
    return await waitFor((async () => {
      const transaction = await transactions.open(sealed, clock.now());
      const parameters = await orAbort(readCallback(callback), deadline.signal);
      const code = checkCallback(parameters, transaction, await server.callbackIssuer(deadline.signal));
      await spend(transaction, deadline, context);
      const session = await exchanged(code, transaction, deadline.signal, context).catch(asFinal);
      return { session, ...(transaction.returnTo !== undefined && { returnTo: safeReturnTo(transaction.returnTo) }) };
    })());
  } finally {
    deadline.clear();
  }
}

/** One callback only gets past here, over all processes that share lock and store. */
async function spend({ state, startedAt }: Transaction, { signal, remaining }: Deadline, { exclusive, store, clock, report }: LoginContext): Promise<void> {
  const name = `grantkeeper:login:${hashedName(state)}`;
  let operation = 'acquire';
  try {
    await exclusive.run({ name, fenceAtLeast: 0, patience: Math.max(0, remaining()) }, async () => {
      operation = 'get';
      const mark = await store.get(name);
      if (mark !== undefined && mark !== null) throw new OAuthError('callback_already_used', 'The login was completed, or tried to, before: by the back button, or a second callback. Its session lives on');
      signal.throwIfAborted();
      operation = 'set';
      // Longer than the transaction, by the clock of whoever started it.
      await store.set(name, 'spent', Math.ceil(Math.max(startedAt - clock.now(), 0) + transactionLifetime));
    });
  } catch (thrown) {
    if (thrown instanceof OAuthError && thrown.code === 'store_failed') report(operation, thrown);
    throw thrown;
  }
}

/** What may pass elsewhere can't here: the transaction is spent, and the same call will not succeed later. */
function asFinal(thrown: unknown): never {
  if (!(thrown instanceof OAuthError) || !thrown.retryable) throw thrown;
  const { code, message, status, error, errorDescription, retryAfter, cause } = thrown;
  throw new OAuthError(code, `${message}. The login has to be started again`, { status, error, errorDescription, retryAfter, cause });
}

async function exchanged(code: string, transaction: Transaction, signal: AbortSignal, context: LoginContext): Promise<Session> {
  const { server, sessions, clock, events } = context;
  const { codeVerifier, redirectUri, resource } = transaction;
  const began = momentOf(clock);
  const received = await server.authorizationCode({ code, codeVerifier, redirectUri, resource: onlyOne(resource) }, signal);
  try {
    const begun = await newSession(received, transaction, signal, context);
    const session = await sessions.begin(begun);
    const { expiresAt } = begun.tokens['']?.token ?? {};
    events.emit('acquired', { grant: 'authorization_code', ...(expiresAt !== undefined && { expiresAt }), durationMs: elapsedSince(began, clock) });
    return session;
  } catch (thrown) {
    await revokeQuietly({ refreshToken: received.refreshToken(), accessToken: received.accessToken() }, context);
    throw thrown;
  }
}

async function newSession(received: ReceivedTokens, { scope, resource, nonce, maxAge }: Transaction, signal: AbortSignal, { assumedLifetime }: LoginContext): Promise<NewSession> {
  const response = received.judged();
  const identity = await received.identity({ nonce, maxAge, isRequired: scope.includes('openid') }, signal);
  const refreshToken = received.refreshToken();
  const granted = fromResponse(response, { scope: scope.length === 0 ? undefined : scope.join(' '), lifetime: assumedLifetime });
  return {
    refreshToken,
    scope: granted.scope,
    resource: onlyOne(resource),
    parameters: response.parameters,
    ...identity,
    tokens: { '': toStored({ ...granted, renewable: refreshToken !== undefined }) },
  };
}

/** Where it's one resource it's named again; of several the server knows from the authorization request (RFC 8707 section 2.2). */
function onlyOne(resource: readonly string[]): string | undefined {
  return resource.length === 1 ? resource[0] : undefined;
}
