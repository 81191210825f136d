import { OAuthError } from '../errors.js';
import { retryAfterOf } from '../retry/retry-after.js';
import { answerShape } from './answer-shape.js';
import { invalidClientHint } from './client-authentication/invalid-client-hint.js';
import type { ClientAuthentication } from './client-authentication/client-authentication.js';
import { markDeclared } from './declared-refusal.js';
import type { DeclaredError } from './dialect/dialect.js';
import type { EndpointAnswer } from './endpoint-answer.js';
import type { AuthorizationServerMetadata } from './metadata.js';
import { isPassingStatus } from './passing-status.js';
import { printable } from './printable.js';
import { createRedactor, type Redactor } from './redaction.js';

/** Whether an answer is an error: any status but 2xx, and a 2xx that carries `error` all the same. */
export function isErrorAnswer({ status, members }: EndpointAnswer): boolean {
  const error = members?.['error'];
  return status < 200 || status > 299 || (error !== undefined && error !== null && error !== '' && error !== false);
}

export interface TokenErrorContext {
  /** For the message, e.g. `The token endpoint`. */
  readonly endpoint: string;
  /** Of the request: an answer may echo what it was sent. */
  readonly redact: Redactor;
  readonly authentication: ClientAuthentication;
  readonly metadata: AuthorizationServerMetadata;
  /** What the server's own codes and statuses mean, where that is declared. */
  readonly errors: Readonly<Record<string, DeclaredError>> | undefined;
  readonly now: number;
}

/**
 * An error answer of an endpoint in the form of RFC 6749 section 5.2 as an `OAuthError`. Only `error` and `error_description` are taken from
 * the body, with the request's secrets replaced.
 */
export function tokenError(answer: EndpointAnswer, { endpoint, redact, authentication, metadata, errors, now }: TokenErrorContext): OAuthError {
  const members = answer.members ?? {};
  const issued = ['access_token', 'refresh_token', 'id_token'].map((name) => members[name]).filter((token) => typeof token === 'string');
  const hide: Redactor = (text) => createRedactor(issued)(redact(text));
  const word = isRegistered(members['error']) ? members['error'] : readable(members['error'], hide, 100);
  const meaning = declaredMeaning(members['error'], answer.status, errors ?? {});
  const error = meaning ?? word;
  const errorDescription = readable(members['error_description'], hide, 1_000);
  const said = [word, errorDescription].filter(Boolean).join(': ');
  const hint = knownHint(error, authentication, metadata) ?? (errors && dialectHint(answer, error, issued));
  const message = `${endpoint} refused the request with HTTP ${answer.status}${said === '' ? '' : ` (${said})`}`;
  const failure = new OAuthError('token_request_failed', hint === undefined ? message : `${message}. ${hint}`, {
    status: answer.status,
    retryable: meaning === undefined ? isPassingStatus(answer.status) : meaning === 'temporarily_unavailable',
    error,
    errorDescription,
    retryAfter: retryAfterOf(answer.headers, now),
  });
  return meaning === undefined ? failure : markDeclared(failure);
}

function knownHint(error: string | undefined, authentication: ClientAuthentication, metadata: AuthorizationServerMetadata): string | undefined {
  if (error === 'invalid_client') return invalidClientHint(authentication, metadata);
  if (error === 'use_dpop_nonce') return 'It asked for a nonce and gave none that can be used (header `DPoP-Nonce`), or was not content with its own: look at what stands between, which may drop the header';
  if (error !== 'invalid_dpop_proof') return undefined;
  const { dpop_signing_alg_values_supported: algorithms } = metadata;
  return `Look at this machine's clock${Array.isArray(algorithms) ? `, and at the algorithms of proofs that the server takes: ${printable(algorithms.join(', '), 300)}` : ''}`;
}

/** What to declare where the answer says it in words of its own. */
function dialectHint({ status, members }: EndpointAnswer, error: string | undefined, secrets: readonly string[]): string | undefined {
  if (isPassingStatus(status)) return undefined;
  if (error !== undefined) return isRegistered(error) ? undefined : 'The code is none of RFC 6749: if this server means `invalid_grant`, `invalid_client` or `temporarily_unavailable` by it, declare that in `dialect.tokenResponse.errors`';
  const shape = members && answerShape(members, secrets);
  const codeless = `The answer has no code: if this server means \`invalid_grant\` or \`invalid_client\` by the status alone, declare ${status} in \`dialect.tokenResponse.errors\``;
  return shape === undefined ? codeless : `The answer has no \`error\` that is a text. It has ${shape}: declare which of them is the code in \`dialect.tokenResponse.names.error\`, as a dotted path`;
}

/** A status says less than a code of the RFC's, but `invalid_request`, which servers use for anything. */
function declaredMeaning(code: unknown, status: number, errors: Readonly<Record<string, DeclaredError>>): DeclaredError | undefined {
  if ((typeof code === 'string' || typeof code === 'number') && Object.hasOwn(errors, code)) return errors[code];
  return Object.hasOwn(errors, status) && (code === 'invalid_request' || !isRegistered(code)) ? errors[status] : undefined;
}

const registered: readonly unknown[] = [
  // RFC 6749 section 5.2, RFC 8707 section 2
  'invalid_request', 'invalid_client', 'invalid_grant', 'unauthorized_client', 'unsupported_grant_type', 'invalid_scope', 'invalid_target',
  // RFC 9449 section 5 and 8, RFC 8628 section 3.5
  'invalid_dpop_proof', 'use_dpop_nonce', 'authorization_pending', 'slow_down', 'access_denied', 'expired_token',
  // RFC 6749 section 4.1.2.1, which servers answer token requests with as well
  'temporarily_unavailable', 'server_error',
  // OpenID Connect Core section 3.1.2.6, RFC 9396 section 5, RFC 9470, CIBA Core section 13
  'interaction_required', 'login_required', 'consent_required', 'invalid_authorization_details', 'insufficient_user_authentication', 'unknown_user_id', 'invalid_binding_message', 'invalid_user_code',
];

/** A code of the registry says nothing of a secret, even where that is an ordinary word. */
function isRegistered(error: unknown): error is string {
  return registered.includes(error);
}

function readable(value: unknown, hide: Redactor, longest: number): string | undefined {
  return typeof value === 'string' && value !== '' ? printable(hide(value), longest) : undefined;
}
