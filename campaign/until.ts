import { setTimeout as delay } from 'node:timers/promises';

/** @returns whether it came true in time */
export async function until(condition: () => boolean, signal: AbortSignal, atMost: number = Infinity): Promise<boolean> {
  const gaveUp = performance.now() + atMost;
  while (!condition()) {
    if (performance.now() >= gaveUp) return false;
    await delay(100, undefined, { signal });
  }
  return true;
}
