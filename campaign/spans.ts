import type { Span } from './journal.js';

export function overlap(one: Span, other: Span): boolean {
  return one.from <= other.to && other.from <= one.to;
}

/** Milliseconds of the longest stretch of `whole` that none of the others touches. */
export function longestFree(whole: Span, others: readonly Span[]): number {
  let longest = 0;
  let free = whole.from;
  for (const { from, to } of [...others].sort((a, b) => a.from - b.from)) {
    longest = Math.max(longest, Math.min(from, whole.to) - free);
    free = Math.max(free, to);
  }
  return Math.max(longest, whole.to - free);
}

/** Milliseconds that both have in common. */
export function shared(one: Span, other: Span): number {
  return Math.max(0, Math.min(one.to, other.to) - Math.max(one.from, other.from));
}
