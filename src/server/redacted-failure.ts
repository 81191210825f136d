import { OAuthError, safeCause } from '../errors.js';
import type { Redactor } from './redaction.js';

/** The failure of a request, without what its address may have held that must not be seen. */
export function redactedFailure(failure: unknown, redact: Redactor): unknown {
  if (!(failure instanceof OAuthError)) return failure;
  const { code, message, cause, retryable, status } = failure;
  const shown = redact(message);
  if (shown === message) return failure;
  const systemCode: unknown = Reflect.get(safeCause(cause), 'code');
  return new OAuthError(code, shown, { retryable, status, ...(systemCode !== undefined && { cause: Object.assign(new Error(), { code: systemCode }) }) });
}
