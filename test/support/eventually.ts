import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';

/** Spins for this long before it polls by the millisecond: most checks pass within a few turns of the event loop. */
const SPIN_MS = 5;

/** Repeats the check until it passes; then gives its result. A check fails by throwing, or by returning `false`. */
export async function eventually<T>(check: () => T | Promise<T>, timeoutMs = 5000): Promise<T> {
  const start = performance.now();
  for (;;) {
    let failure: unknown;
    try {
      const result = await check();
      if (result !== false) return result;
      failure = new Error(`still false: ${check.toString()}`);
    } catch (error) {
      failure = error;
    }
    const elapsed = performance.now() - start;
    if (elapsed >= timeoutMs) throw failure;
    await (elapsed < SPIN_MS ? nextTurn() : delay(1));
  }
}
