/** Medians, and figures as text. */

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)];
  const lower = sorted[Math.ceil(middle) - 1];
  if (upper === undefined || lower === undefined) throw new RangeError('median: no values');
  return (lower + upper) / 2;
}

/** The median of the ratios of each round, so that a slow moment of the machine weighs on both sides alike. */
export function medianRatio(values: readonly number[], reference: readonly number[]): number {
  return median(values.map((value, round) => value / (reference[round] ?? Number.NaN)));
}

export function percentile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function decimals(value: number, digits = 2): string {
  return value.toFixed(digits);
}

export function milliseconds(value: number): string {
  return `${decimals(value, 1)} ms`;
}

export function mebibytes(bytes: number): string {
  return `${decimals(bytes / 2 ** 20, 1)} MiB`;
}
