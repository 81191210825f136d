/** What every process of a campaign is set to, in milliseconds. */

/** The option `timeout`: short, so that sleeping past a lease takes seconds only. */
export const TIMEOUT_MS = 1_500;
/** By which the library takes the lock of a session: the timeout, and three seconds. */
export const LEASE_MS: number = TIMEOUT_MS + 3_000;
/** Seconds that tokens live, in turn: so few that every session is renewed all the time, and not so many of them at once. */
export const TOKEN_LIFETIMES: readonly number[] = [4, 5, 6, 7, 8];
/** Of the sessions that have one, where nothing else is asked for. */
export const DEFAULT_GRACE_MS = 20_000;

export const CLIENT_ID = 'campaign';
