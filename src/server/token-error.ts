import { OAuthError } from '../errors.js';
import { retryAfterOf } from '../retry.js';
import { redact } from './redaction.js';
import type { TokenAnswer } from './token-answer.js';

/** Whether an answer is an error: any status but 2xx, and a 2xx that carries `error` all the same. */
export function isErrorAnswer({ status, members }: TokenAnswer): boolean {
  const error = members?.['error'];
  return status < 200 || status > 299 || (error !== undefined && error !== null && error !== '' && error !== false);
}

/**
 * An error answer of the token endpoint (RFC 6749 section 5.2) as an `OAuthError`. Only `error` and `error_description` are taken from
 * the body, with the request's secrets replaced: an answer may echo what it was sent.
 */
export function tokenError(answer: TokenAnswer, secrets: readonly string[], now: number): OAuthError {
  const members = answer.members ?? {};
  const issued = ['access_token', 'refresh_token', 'id_token'].map((name) => members[name]).filter((token) => typeof token === 'string');
  const read = (name: string, longest: number): string | undefined => printable(members[name], [...secrets, ...issued], longest);
  const error = read('error', 100);
  const errorDescription = read('error_description', 1_000);
  const said = [error, errorDescription].filter(Boolean).join(': ');
  return new OAuthError('token_request_failed', `The token endpoint refused the request with HTTP ${answer.status}${said === '' ? '' : ` (${said})`}`, {
    status: answer.status,
    retryable: isPassing(answer.status),
    error,
    errorDescription,
    retryAfter: retryAfterOf(answer.headers, now),
  });
}

/** Statuses that may pass by themselves: timeouts, too many requests, and a server's own troubles apart from those that it will always have. */
export function isPassing(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505);
}

function printable(value: unknown, secrets: readonly string[], longest: number): string | undefined {
  if (typeof value !== 'string' || value === '') return undefined;
  // eslint-disable-next-line no-control-regex
  return redact(value, secrets).replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').slice(0, longest);
}
