import pRetry from 'p-retry';
import { sleep } from '../deadline.js';
import type { RetryPolicy } from './retry-options.js';

export interface RetryContext {
  readonly policy: RetryPolicy;
  /** What a failure says: nothing, if it must not be repeated. Asked once for each. */
  readonly repeatable: (failure: unknown) => { readonly retryAfter?: number | undefined } | undefined;
  /** Milliseconds left. A pause that is longer fails at once. @default no limit */
  readonly remaining?: () => number;
  readonly signal?: AbortSignal | undefined;
  /** The pauses don't keep the process alive. @default false */
  readonly background?: boolean;
}

/** Calls `attempt` until it succeeds, fails for good, or the policy is exhausted; rejects with its last failure, whatever that is. */
export async function withRetries<T>(attempt: () => Promise<T>, { policy, repeatable, remaining, signal, background }: RetryContext): Promise<T> {
  let failure: unknown;
  const pauseOrFail = async (attemptNumber: number): Promise<void> => {
    const hint = attemptNumber > policy.limit ? undefined : repeatable(failure);
    const pause = hint && pauseBefore(attemptNumber, hint.retryAfter, policy);
    if (pause === undefined || (remaining !== undefined && pause >= remaining())) throw failure;
    await sleep(pause, { signal, background: background ?? false });
  };
  try {
    return await pRetry(async () => attempt().catch((thrown: unknown) => { throw (failure = thrown); }), {
      retries: policy.limit,
      minTimeout: 0,
      // p-retry's own pauses know neither full jitter nor Retry-After.
      onFailedAttempt: async ({ attemptNumber }) => pauseOrFail(attemptNumber).catch((thrown: unknown) => { throw (failure = thrown); }),
    });
  } catch {
    throw failure;
  }
}

/** Milliseconds before the attempt that follows attempt number `attemptNumber`. */
export function pauseBefore(attemptNumber: number, retryAfter: number | undefined, policy: RetryPolicy): number {
  const jittered = Math.random() * Math.min(policy.maxDelay, policy.minDelay * 2 ** (attemptNumber - 1));
  return Math.max(jittered, Math.min(retryAfter ?? 0, policy.maxRetryAfter));
}
