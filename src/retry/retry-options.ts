import { count, duration, type Rules } from '../validation.js';

/** How failures that may pass are repeated: full jitter, so that clients that failed together don't come back together. */
export interface RetryOptions {
  /** Further tries after the first. @default 2 */
  limit?: number | undefined;
  /** The bound of the first pause in milliseconds, doubled for each further one. A pause is a random part of its bound. @default 200 */
  minDelay?: number | undefined;
  /** What the bound never grows past, in milliseconds. @default 5_000 */
  maxDelay?: number | undefined;
  /** The most that `Retry-After` (RFC 9110 section 10.2.3) may make us wait, in milliseconds. @default 60_000 */
  maxRetryAfter?: number | undefined;
}

export type RetryPolicy = { readonly [Name in keyof Required<RetryOptions>]: NonNullable<RetryOptions[Name]> };

export const retryRules: Rules<RetryOptions> = { limit: count, minDelay: duration, maxDelay: duration, maxRetryAfter: duration };

/** The defaults, where an option is absent or undefined. */
export function retryPolicy({ limit = 2, minDelay = 200, maxDelay = 5_000, maxRetryAfter = 60_000 }: RetryOptions = {}): RetryPolicy {
  return { limit, minDelay, maxDelay, maxRetryAfter };
}
