/** A store of the user's: Keyv 5 and 6 fit, and so does any object with these three methods. */
export interface KeyvLike {
  get(key: string): Promise<unknown>;
  /** @param ttl milliseconds, whole and above 0 */
  set(key: string, value: unknown, ttl?: number): Promise<unknown>;
  delete(key: string): Promise<unknown>;
}
