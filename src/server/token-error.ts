import { OAuthError } from '../errors.js';
import { retryAfterOf } from '../retry/retry-after.js';
import { isPassingStatus } from './passing-status.js';
import { printable } from './printable.js';
import { createRedactor, type Redactor } from './redaction.js';
import type { TokenAnswer } from './token-answer.js';

/** Whether an answer is an error: any status but 2xx, and a 2xx that carries `error` all the same. */
export function isErrorAnswer({ status, members }: TokenAnswer): boolean {
  const error = members?.['error'];
  return status < 200 || status > 299 || (error !== undefined && error !== null && error !== '' && error !== false);
}

export interface TokenErrorContext {
  /** Of the request: an answer may echo what it was sent. */
  readonly redact: Redactor;
  readonly authenticationMethod: string;
  readonly now: number;
}

const hints: Readonly<Record<string, string>> = {
  // Most servers that refuse Basic say nothing else.
  client_secret_basic: 'If id and secret are right, the server may want them in the body: set `clientAuthentication: clientSecretPost(secret)`',
  none: 'No secret was sent: `clientSecret` is not set',
};

/**
 * An error answer of the token endpoint (RFC 6749 section 5.2) as an `OAuthError`. Only `error` and `error_description` are taken from
 * the body, with the request's secrets replaced.
 */
export function tokenError(answer: TokenAnswer, { redact, authenticationMethod, now }: TokenErrorContext): OAuthError {
  const members = answer.members ?? {};
  const issued = ['access_token', 'refresh_token', 'id_token'].map((name) => members[name]).filter((token) => typeof token === 'string');
  const hide: Redactor = (text) => createRedactor(issued)(redact(text));
  const error = isRegistered(members['error']) ? members['error'] : readable(members['error'], hide, 100);
  const errorDescription = readable(members['error_description'], hide, 1_000);
  const said = [error, errorDescription].filter(Boolean).join(': ');
  const hint = error === 'invalid_client' ? hints[authenticationMethod] : undefined;
  const message = `The token endpoint refused the request with HTTP ${answer.status}${said === '' ? '' : ` (${said})`}`;
  return new OAuthError('token_request_failed', hint === undefined ? message : `${message}. ${hint}`, {
    status: answer.status,
    retryable: isPassingStatus(answer.status),
    error,
    errorDescription,
    retryAfter: retryAfterOf(answer.headers, now),
  });
}

const registered: readonly unknown[] = ['invalid_request', 'invalid_client', 'invalid_grant', 'unauthorized_client', 'unsupported_grant_type', 'invalid_scope', 'invalid_target'];

/** A code of the registry says nothing of a secret, even where that is an ordinary word. */
function isRegistered(error: unknown): error is string {
  return registered.includes(error);
}

function readable(value: unknown, hide: Redactor, longest: number): string | undefined {
  return typeof value === 'string' && value !== '' ? printable(hide(value), longest) : undefined;
}
