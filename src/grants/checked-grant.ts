import { orAbort } from '../deadline.js';
import { className, OAuthError } from '../errors.js';
import type { GrantParameters } from '../server/authorization-server.js';
import type { CanonicalTokenRequest } from '../tokens/token-request.js';
import { callable, checkOptions, having, isPlainObject, text, texts } from '../validation.js';
import { canonicalTokenRequest } from './canonical-token-request.js';
import type { ExtensionGrant, GrantSubject } from './extension-grant.js';

/** A grant whose request is in one form, and whose functions reject with an `OAuthError` or the signal's reason. */
export interface CheckedGrant {
  readonly grantType: string;
  readonly request: CanonicalTokenRequest;
  readonly subject: GrantSubject | ((signal: AbortSignal | undefined) => Promise<GrantSubject>);
}

/**
 * A grant may be the caller's own.
 * @param where the function that the messages begin with
 * @throws OAuthError `invalid_configuration`
 */
export function checkedGrant(where: string, grant: ExtensionGrant): CheckedGrant {
  checkOptions<ExtensionGrant>(where, grant, {
    grantType: text,
    request: { expected: 'an object', accepts: isPlainObject },
    subject: { expected: 'an object with `identity` and parameters(), or a function that gives one', accepts: (value) => callable.accepts(value) || isSubject(value), secret: true },
  });
  const { grantType, request = {}, subject } = grant;
  for (const name of ['grantType', 'subject'] as const) if (grant[name] === undefined as unknown) throw new OAuthError('invalid_configuration', `${where}: \`${name}\` is required`);
  if (where === 'grant' && grantType === 'client_credentials') throw new OAuthError('invalid_configuration', 'grant: use clientCredentials() for the grant of that name');
  return {
    grantType,
    request: canonicalTokenRequest(where, request),
    subject: typeof subject === 'function' ? async (signal) => guardedSubject(where, await asked(where, 'subject', async () => subject({ signal }), signal)) : guardedSubject(where, subject),
  };
}

function isSubject(value: unknown): value is GrantSubject {
  if (!having('parameters').accepts(value)) return false;
  const identity: unknown = Reflect.get(value as object, 'identity');
  // One of nobody would be one of everybody.
  return texts.accepts(identity) && (identity as unknown[]).length > 0;
}

function guardedSubject(where: string, subject: GrantSubject): GrantSubject {
  if (!isSubject(subject)) throw new OAuthError('invalid_configuration', `${where}: \`subject\` must give an object with \`identity\`, a list of at least one non-empty string, and parameters()`);
  return {
    identity: [...subject.identity],
    parameters: async (signal) => guardedParameters(where, async () => subject.parameters(signal), signal),
  };
}

/** @throws OAuthError `invalid_configuration`; the reason of the signal */
export async function guardedParameters(where: string, ask: () => Promise<GrantParameters>, signal: AbortSignal): Promise<GrantParameters> {
  const parameters = await asked(where, 'parameters', ask, signal);
  if (isParameters(parameters)) {
    const taken = Object.keys({ ...parameters.plain, ...parameters.secret }).find((name) => ofEveryGrant.includes(name));
    if (taken === undefined) return parameters;
    throw new OAuthError('invalid_configuration', `${where}: parameters() must not give \`${taken}\`: it belongs to \`grantType\`, to \`request\` or to the client authentication`);
  }
  throw new OAuthError('invalid_configuration', `${where}: parameters() must give an object with \`plain\` and \`secret\`, whose values are strings`);
}

/** What a request has by other ways, each with a place in the cache key or a rule of its own. */
const ofEveryGrant = ['grant_type', 'client_id', 'client_secret', 'client_assertion', 'client_assertion_type', 'scope', 'resource', 'audience', 'authorization_details'];

function isParameters(value: unknown): value is GrantParameters {
  if (typeof value !== 'object' || value === null) return false;
  const { plain = {}, secret = {} } = value as Readonly<Record<string, unknown>>;
  return [plain, secret].every((members) => isPlainObject(members) && Object.values(members).every((member) => typeof member === 'string'));
}

/** What the caller's function throws is no answer of the server's. */
async function asked<T>(where: string, name: string, ask: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  try {
    return await orAbort(ask(), signal);
  } catch (thrown) {
    if (thrown instanceof OAuthError || signal?.aborted === true) throw thrown;
    throw new OAuthError('invalid_configuration', `${where}: ${name}() threw ${className(thrown)}`, { retryable: true });
  }
}
