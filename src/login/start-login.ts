import { createHash, randomBytes } from 'node:crypto';
import { deadlineIn } from '../deadline.js';
import { canonicalTokenRequest, tokenRequestRules } from '../grants/canonical-token-request.js';
import { checkOptions, count, invalid, shapeOf, text, type Rules } from '../validation.js';
import type { LoginContext, StartedLogin } from './login.js';
import type { LoginOptions } from './login-options.js';
import { safeReturnTo } from './return-to.js';
import type { Transaction } from './transaction.js';

const where = 'startLogin';

const rules: Rules<LoginOptions> = {
  ...tokenRequestRules,
  redirectUri: { expected: 'an absolute URL without a fragment (RFC 6749 section 3.1.2)', accepts: (value) => (typeof value === 'string' || value instanceof URL) && URL.canParse(String(value)) && !String(value).includes('#') },
  returnTo: { expected: 'a string', accepts: (value) => typeof value === 'string' },
  prompt: text,
  maxAge: { ...count, expected: 'a whole number of seconds, 0 or more' },
  loginHint: text,
  acrValues: text,
};

/** Parameters of the authorization request with an option of their own, or that are the library's to send. */
const reserved: Readonly<Record<string, string>> = {
  prompt: 'use the option `prompt`',
  max_age: 'use the option `maxAge`',
  login_hint: 'use the option `loginHint`',
  acr_values: 'use the option `acrValues`',
  ...Object.fromEntries(['response_type', 'state', 'nonce', 'code_challenge', 'code_challenge_method'].map((name) => [name, 'the library sends it'])),
};

/** Begins a login. Everything random in it is new: 32 bytes each. */
export async function startLogin(options: LoginOptions, { server, serverName, transactions, clock, timeout }: LoginContext): Promise<StartedLogin> {
  const { scope, resource, parameters, transaction } = plannedLogin(options, clock.now());
  for (const uri of resource) parameters.append('resource', uri);
  if (scope.length > 0) parameters.set('scope', scope.join(' '));
  const { signal, clear } = deadlineIn(timeout, `${serverName} could not be asked for its metadata within ${timeout} ms (option \`timeout\`)`);
  const url = await server.authorizationUrl(parameters, signal).finally(clear);
  return { url, transaction: await transactions.seal(transaction) };
}

interface PlannedLogin {
  readonly scope: readonly string[];
  readonly resource: readonly string[];
  /** Of the authorization request (RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2.1). */
  readonly parameters: URLSearchParams;
  readonly transaction: Transaction;
}

function plannedLogin(options: LoginOptions, now: number): PlannedLogin {
  checkOptions<LoginOptions>(where, options, rules);
  const { redirectUri, returnTo, prompt, maxAge, loginHint, acrValues, ...request } = options;
  if (redirectUri === undefined as unknown) throw invalid(`${where}: \`redirectUri\` is required; received ${shapeOf(redirectUri)}`);
  const { scope, resource, audience, parameters } = canonicalTokenRequest(where, request, reserved);
  const secret = (): string => randomBytes(32).toString('base64url');
  const transaction: Transaction = {
    state: secret(),
    nonce: secret(),
    codeVerifier: secret(),
    redirectUri: String(redirectUri),
    returnTo: returnTo === undefined ? undefined : safeReturnTo(returnTo),
    scope,
    resource,
    maxAge,
    startedAt: now,
  };
  const asked = {
    ...parameters,
    redirect_uri: transaction.redirectUri,
    state: transaction.state,
    nonce: transaction.nonce,
    code_challenge: createHash('sha256').update(transaction.codeVerifier).digest('base64url'),
    code_challenge_method: 'S256',
    audience,
    prompt,
    max_age: maxAge === undefined ? undefined : String(maxAge),
    login_hint: loginHint,
    acr_values: acrValues,
  };
  return { scope, resource, transaction, parameters: new URLSearchParams(Object.entries(asked).filter((entry): entry is [string, string] => entry[1] !== undefined)) };
}
