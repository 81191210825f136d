import type { Clock } from '../clock.js';
import type { RefreshAttempt } from './session-record.js';

export interface RefreshGrace {
  /** Milliseconds for which the server still takes a refresh token that it has replaced. */
  readonly refreshGrace: number;
  readonly clock: Clock;
}

/** How often a refresh token is sent whose answer is lost: servers that detect reuse end the session at the second use, so once more is a risk taken once. */
const mostSends = 2;
/** How many senders that fell silent are remembered: within a long grace there may be any number. */
const mostOpen = 8;

/** Whether no further one would be left after this. */
export function isLastSend({ sends }: RefreshAttempt): boolean {
  return sends === mostSends;
}

/** What is noted before a refresh token is sent; undefined if it must not be. Within the grace repeating it costs nothing, and doesn't count. */
export function anotherSend(attempt: RefreshAttempt | undefined, fence: number, grace: RefreshGrace): RefreshAttempt | undefined {
  const { sends = 0, firstSentAt = grace.clock.now(), openUnder = [] } = attempt ?? {};
  const isFree = attempt !== undefined && sends > 0 && isWithinGrace(attempt, grace);
  if (!isFree && sends >= mostSends) return undefined;
  return { sends: isFree ? sends : sends + 1, firstSentAt, openUnder: [...openUnder.filter((open) => open !== fence), fence].slice(-mostOpen) };
}

/** The attempt once its sender knows that no answer will come. */
export function closed(attempt: RefreshAttempt, fence: number): RefreshAttempt {
  return { ...attempt, openUnder: attempt.openUnder.filter((open) => open !== fence) };
}

/** Another process's clock may be somewhat ahead; one that was set back by more than the grace proves nothing. */
export function isWithinGrace({ firstSentAt }: RefreshAttempt, { refreshGrace, clock }: RefreshGrace): boolean {
  return Math.abs(clock.now() - firstSentAt) < refreshGrace;
}
