import { count, duration, type Rules } from './validation.js';

/** How failures that may pass are repeated: full jitter, so that clients that failed together don't come back together. */
export interface RetryOptions {
  /** Further tries after the first. @default 2 */
  limit?: number;
  /** The longest first pause, in milliseconds; doubled for each further one, of which a random part is waited. @default 200 */
  minDelay?: number;
  /** The longest pause without a word of the server, in milliseconds. @default 5_000 */
  maxDelay?: number;
  /** The most that `Retry-After` (RFC 9110 section 10.2.3) may make us wait, in milliseconds. @default 60_000 */
  maxRetryAfter?: number;
}

export type RetryPolicy = Readonly<Required<RetryOptions>>;

export const retryRules: Rules<RetryOptions> = { limit: count, minDelay: duration, maxDelay: duration, maxRetryAfter: duration };

/** The defaults, where an option is absent or undefined. */
export function retryPolicy({ limit = 2, minDelay = 200, maxDelay = 5_000, maxRetryAfter = 60_000 }: RetryOptions = {}): RetryPolicy {
  return { limit, minDelay, maxDelay, maxRetryAfter };
}
