/** The source of time. Elapsed time is the larger of the two differences, so that neither a wall clock set back nor a suspended machine hides it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds that never go back. */
  monotonic(): number;
}

/** One instant, on both scales. */
export interface Moment {
  readonly now: number;
  readonly monotonic: number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};

export function momentOf(clock: Clock): Moment {
  return { now: clock.now(), monotonic: clock.monotonic() };
}

/** Milliseconds since `moment`; never negative. */
export function elapsedSince(moment: Moment, clock: Clock): number {
  return Math.max(0, clock.now() - moment.now, clock.monotonic() - moment.monotonic);
}

/** The moment at which an epoch time of another process was, as far as this clock can tell. A time in the future counts as now. */
export function momentAt(epoch: number, clock: Clock): Moment {
  const now = clock.now();
  return { now: epoch, monotonic: clock.monotonic() - Math.max(0, now - epoch) };
}
