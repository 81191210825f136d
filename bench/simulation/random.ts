/** Uniform from 0 to 1, the same numbers for the same seed on every machine. */
export type Random = () => number;

/** mulberry32: 32 bits of state, plenty for this. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Until the next of events that come at random, `mean` apart. */
export function exponential(mean: number, random: Random): number {
  return -mean * Math.log(1 - random());
}
