import { momentOf } from '../clock.js';
import { deadlineIn, orAbort, waitFor, type Deadline } from '../deadline.js';
import { OAuthError } from '../errors.js';
import type { CodeExchange } from '../server/authorization-server.js';
import type { ProofKey } from '../server/dpop/proof-key.js';
import type { Session } from '../sessions/session.js';
import { hashedName } from '../tokens/cache-key.js';
import { invalid } from '../validation.js';
import { begunSession, onlyOne } from './begun-session.js';
import { checkCallback, readCallback } from './callback.js';
import { asFinal } from './final-failure.js';
import type { CompletedLogin, LoginContext } from './login.js';
import { responseParameters } from './response-parameters.js';
import { safeReturnTo } from './return-to.js';
import { transactionLifetime, type Transaction } from './transaction.js';

/**
 * Completes a login. Invariants:
 *
 * - A callback that doesn't belong to the transaction costs nothing: no token request, and the transaction is as good as before.
 * - A transaction is spent, durably and by one process only, before its code is sent. Whatever comes of the exchange, there is no second one.
 */
export async function completeLogin(callback: string | URL | Request, sealed: string, context: LoginContext): Promise<CompletedLogin> {
  const { server, serverName, transactions, clock, timeout } = context;
  const deadline = deadlineIn(timeout, `The login could not be completed by ${serverName} within ${timeout} ms (option \`timeout\`)`);
  try {
    return await waitFor((async () => {
      const transaction = await transactions.open(sealed, clock.now());
      const parameters = await orAbort(readCallback(callback), deadline.signal);
      const response = await responseParameters(parameters, transaction, server, deadline.signal);
      const { parameters: understood, kept, secrets } = server.understoodCallback(response);
      const code = checkCallback(understood, transaction, await server.callbackIssuer(deadline.signal), secrets);
      const key = keyOfLogin(transaction, context);
      await spend(transaction, deadline, context);
      const session = await exchanged({ code, kept, key }, transaction, deadline.signal, context).catch(asFinal);
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

async function exchanged({ code, kept, key }: Pick<CodeExchange, 'code' | 'kept' | 'key'>, transaction: Transaction, signal: AbortSignal, context: LoginContext): Promise<Session> {
  const { server, clock } = context;
  const { codeVerifier, redirectUri, scope, resource, nonce, maxAge } = transaction;
  const began = momentOf(clock);
  const received = await server.authorizationCode({ code, codeVerifier, redirectUri, resource: onlyOne(resource), key, kept }, signal);
  return begunSession(received, { scope, resource, nonce, maxAge, key, kept, grant: 'authorization_code', began }, signal, context);
}

/** A login that was started before the option `dpop` was set knows of none. */
function keyOfLogin({ proofKey }: Transaction, { keys }: LoginContext): ProofKey | undefined {
  const key = proofKey === undefined ? keys.ofNewSession() : keys.ofRecord(proofKey);
  if (proofKey === undefined || key?.thumbprint === proofKey.thumbprint) return key;
  throw invalid('completeLogin: the login was started with a key that this token manager does not have: give all processes the same option `dpop`');
}
