/**
 * When a token is renewed: pure functions of its lifetime and its age, in milliseconds.
 *
 *     issued                      may refresh        must refresh   expired
 *       |  served                    | served, and      | waited for   |
 *       |                            | one is fetched   |              |
 *       +----------------------------+------------------+--------------+
 *
 * Both thresholds are scaled to the lifetime, so that a token of five seconds causes no storm.
 */
export interface RefreshPolicy {
  /** The most that is cut off the end of a lifetime; at most a tenth of it. */
  readonly expirySkew: number;
  /** How long before expiry a token is renewed in the background; at most a fifth of the lifetime. */
  readonly refreshAhead: number;
}

export const defaultRefreshPolicy: RefreshPolicy = { expirySkew: 30_000, refreshAhead: 300_000 };

/** For tokens that nothing can follow. */
export const toTheLast: RefreshPolicy = { expirySkew: 0, refreshAhead: 0 };

/** Too little is left to start a request with it. */
export function mustRefresh(lifetime: number, age: number, { expirySkew }: RefreshPolicy): boolean {
  const left = lifetime - age;
  return left <= 0 || left < Math.min(expirySkew, lifetime / 10);
}

/**
 * Little enough is left to fetch the next one while this one is served.
 * @param spread from 0 to 1, drawn once for every token: it moves the moment forward by up to a tenth of the lifetime, so that replicas spread out.
 */
export function mayRefresh(lifetime: number, age: number, { refreshAhead }: RefreshPolicy, spread: number): boolean {
  if (refreshAhead === 0) return false;
  return lifetime - age < Math.min(refreshAhead, lifetime / 5) + (spread * lifetime) / 10;
}

export function isExpired(lifetime: number, age: number): boolean {
  return age >= lifetime;
}
