import { createHash, randomBytes } from 'node:crypto';
import { deadlineIn } from '../deadline.js';
import type { ProofKey } from '../server/dpop/proof-key.js';
import { checkedLoginOptions, type CheckedLoginOptions } from './checked-login-options.js';
import type { LoginContext, StartedLogin } from './login.js';
import type { LoginOptions } from './login-options.js';
import { safeReturnTo } from './return-to.js';
import type { Transaction } from './transaction.js';

/** Begins a login. Everything random in it is new: 32 bytes each. */
export async function startLogin(options: LoginOptions, { server, serverName, transactions, keys, clock, timeout }: LoginContext): Promise<StartedLogin> {
  const checked = checkedLoginOptions('startLogin', options);
  const transaction = newTransaction(checked, keys.ofNewSession(), clock.now());
  const { signal, clear } = deadlineIn(timeout, `The login could not be started at ${serverName} within ${timeout} ms (option \`timeout\`)`);
  const url = await server.authorizationUrl(authorizationRequest(checked, transaction), signal).finally(clear);
  return { url, state: transaction.state, transaction: await transactions.seal(transaction) };
}

function newTransaction({ redirectUri, returnTo, scope, resource, maxAge, responseMode }: CheckedLoginOptions, key: ProofKey | undefined, now: number): Transaction {
  const secret = (): string => randomBytes(32).toString('base64url');
  return {
    state: secret(),
    nonce: secret(),
    codeVerifier: secret(),
    redirectUri,
    returnTo: returnTo === undefined ? undefined : safeReturnTo(returnTo),
    scope,
    resource,
    maxAge,
    responseMode,
    ...(key && { proofKey: key.record() }),
    startedAt: now,
  };
}

/** RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2.1, RFC 9396 section 2, RFC 9449 section 10, JARM section 2.3. */
function authorizationRequest({ scope, resource, audience, authorizationDetails, parameters, maxAge, responseMode }: CheckedLoginOptions, { redirectUri, state, nonce, codeVerifier, proofKey }: Transaction): URLSearchParams {
  const request = new URLSearchParams({
    ...parameters,
    redirect_uri: redirectUri,
    state,
    nonce,
    code_challenge: createHash('sha256').update(codeVerifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  if (scope.length > 0) request.set('scope', scope.join(' '));
  for (const uri of resource) request.append('resource', uri);
  if (audience !== undefined) request.set('audience', audience);
  if (authorizationDetails !== undefined) request.set('authorization_details', authorizationDetails);
  if (proofKey !== undefined) request.set('dpop_jkt', proofKey.thumbprint);
  if (maxAge !== undefined) request.set('max_age', String(maxAge));
  if (responseMode !== undefined) request.set('response_mode', responseMode);
  return request;
}
