/** The first of ours that the server lists; where it lists none of them, or nothing, the first. */
export function listedAlgorithm(ours: readonly [string, ...string[]], supported: unknown): string {
  return (Array.isArray(supported) ? ours.find((alg) => supported.includes(alg)) : undefined) ?? ours[0];
}
