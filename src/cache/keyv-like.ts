/** A store of the user's: Keyv 5 and 6 fit, and so does any object with these three methods. */
export interface KeyvLike {
  /** The value, or `undefined` where there is none. */
  get(key: string): Promise<unknown>;
  /**
   * Resolving with `false` counts as a failure.
   * @param ttl milliseconds, whole and above 0
   */
  set(key: string, value: unknown, ttl?: number): Promise<unknown>;
  /** Forgets the value. */
  delete(key: string): Promise<unknown>;
}
