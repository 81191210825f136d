/** A contestant does its work for one slice and gives operations per second. */
export interface Contestant { readonly name: string; slice(): Promise<number> }

/**
 * Takes turns: every round runs every contestant once, each round starting with another one. Gives the rates of each, by round.
 */
export async function interleave(contestants: readonly Contestant[], rounds: number): Promise<number[][]> {
  const rates: number[][] = contestants.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contestants.length; turn++) {
      const index = (round + turn) % contestants.length;
      const rate = await contestants[index]?.slice();
      if (rate !== undefined) rates[index]?.push(rate);
    }
  }
  return rates;
}

/** Operations per second of `concurrency` loops that run for `milliseconds`. */
export async function throughput(operation: () => Promise<unknown>, concurrency: number, milliseconds: number): Promise<number> {
  const start = performance.now();
  const end = start + milliseconds;
  let done = 0;
  await Promise.all(Array.from({ length: concurrency }, async () => {
    while (performance.now() < end) {
      await operation();
      done += 1;
    }
  }));
  return (done / (performance.now() - start)) * 1000;
}
