import type { Clock } from '../clock.js';
import type { RefreshAttempt } from './session-record.js';

export interface RefreshGrace {
  /** Milliseconds for which the server still takes a refresh token that it has replaced. */
  readonly refreshGrace: number;
  readonly clock: Clock;
}

/** How often a refresh token is sent whose answer is lost: servers that detect reuse end the session at the second use, so once more is a risk taken once. */
const mostSends = 2;

/** Whether no further one would be left after this. */
export function isLastSend({ sends }: RefreshAttempt): boolean {
  return sends === mostSends;
}

/** What is noted before a refresh token is sent; undefined if it must not be. Within the grace repeating it costs nothing, and doesn't count. */
export function anotherSend(attempt: RefreshAttempt | undefined, grace: RefreshGrace): RefreshAttempt | undefined {
  if (attempt === undefined || attempt.sends === 0) return { sends: 1, firstSentAt: attempt?.firstSentAt ?? grace.clock.now() };
  if (isWithinGrace(attempt, grace)) return attempt;
  return attempt.sends < mostSends ? { ...attempt, sends: attempt.sends + 1 } : undefined;
}

/** Another process's clock may be somewhat ahead; one that was set back by more than the grace proves nothing. */
export function isWithinGrace({ firstSentAt }: RefreshAttempt, { refreshGrace, clock }: RefreshGrace): boolean {
  return Math.abs(clock.now() - firstSentAt) < refreshGrace;
}
