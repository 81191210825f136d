import { className, OAuthError } from './errors.js';

/** What a token manager tells its listeners. Details hold no secret. */
export interface TokenEvents {
  /** The authorization server issued an access token; `durationMs` includes discovery and retries. */
  acquired: { grant: string; expiresAt?: number; durationMs: number };
  /** A token took the place of the one before it. `sessionId` and `generation` are there for the tokens of a session. */
  refreshed: { sessionId?: string; generation?: number };
  /** A token could not be renewed. `background`: nobody waited for it, and the current token is served on. */
  'refresh-failed': { error: OAuthError; background: boolean };
  /** An API refused a token. */
  'token-rejected': { status: number; origin: string };
  /** A session is over. `reason`: `ended` (by `end()`), `refused` (by the server), `ambiguous` (the same after an answer was lost), `unanswered` (two refreshes without an answer), `no_refresh_token`. */
  'session-ended': { sessionId: string; reason: string };
  /** A call of the store or lock failed. Machine tokens go on without; a session's newest refresh token is kept in memory and written at every later call. */
  'store-failed': { operation: string; error: OAuthError };
}

export type TokenListener<E extends keyof TokenEvents> = (detail: TokenEvents[E]) => void;

const eventNames: readonly (keyof TokenEvents)[] = ['acquired', 'refreshed', 'refresh-failed', 'token-rejected', 'session-ended', 'store-failed'];

/** An object for each call of `on`: the same listener may be registered twice. */
interface Registration {
  readonly listener: TokenListener<never>;
}

export interface Events {
  on<E extends keyof TokenEvents>(event: E, listener: TokenListener<E>): () => void;
  emit<E extends keyof TokenEvents>(event: E, detail: TokenEvents[E]): void;
}

export function createEvents(): Events {
  const listeners = new Map<keyof TokenEvents, Set<Registration>>(eventNames.map((name) => [name, new Set()]));
  return {
    on(event, listener) {
      const registered = listeners.get(event);
      if (registered === undefined) throw new OAuthError('invalid_configuration', `on: there is no event "${event}"; there are ${eventNames.join(', ')}`);
      if (typeof listener !== 'function') throw new OAuthError('invalid_configuration', `on: the listener of "${event}" must be a function; received ${typeof listener}`);
      const registration = { listener };
      registered.add(registration);
      return () => { registered.delete(registration); };
    },
    emit(event, detail) {
      for (const { listener } of [...listeners.get(event) ?? []]) notify(event, listener as (detail: unknown) => unknown, detail);
    },
  };
}

/** A listener that fails, now or later, is reported as a warning: it never reaches the caller of `getToken`, nor ends the process. */
function notify(event: keyof TokenEvents, listener: (detail: unknown) => unknown, detail: unknown): void {
  const warn = (thrown: unknown): void => { process.emitWarning(`A listener of "${event}" failed with ${className(thrown)}`, 'GrantkeeperWarning'); };
  try {
    const result = listener(detail);
    if (result instanceof Promise) result.catch(warn);
  } catch (thrown) {
    warn(thrown);
  }
}
