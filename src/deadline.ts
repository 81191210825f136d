import { defaultMaxListeners, getMaxListeners, setMaxListeners } from 'node:events';
import { OAuthError } from './errors.js';

/** The longest delay that a timer of Node takes; a longer one would fire at once. */
const longestDelay = 2 ** 31 - 1;

/**
 * A process that slept or was blocked runs its timers before it reads what has arrived meanwhile, which may be the answer; so it's given time to read: a turn
 * of the event loop, and these milliseconds where its timer fires noticeably late.
 */
const noticeablyLate = 5;
const timeToReadUp = 50;

/** A limit in time for one piece of work. `signal` aborts with an `OAuthError` of code `timeout`. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** Milliseconds left. */
  readonly remaining: () => number;
  /** To be called when the work is done, however it ended. */
  readonly clear: () => void;
}

/**
 * A controller and a timer, rather than `AbortSignal.timeout`, which may be collected before it fires.
 * The timer doesn't keep the process alive: work that nobody waits for must not.
 */
export function deadlineIn(milliseconds: number, message: string): Deadline {
  const controller = new AbortController();
  const ends = performance.now() + milliseconds;
  const abort = (): void => { controller.abort(new OAuthError('timeout', message, { retryable: true })); };
  let timer = setTimeout(() => {
    timer = setTimeout(abort, performance.now() - ends < noticeablyLate ? 0 : timeToReadUp);
    timer.unref();
  }, Math.min(milliseconds, longestDelay));
  timer.unref();
  return {
    signal: controller.signal,
    remaining: () => ends - performance.now(),
    clear: () => { clearTimeout(timer); },
  };
}

/**
 * Waits for work that goes on without this caller: an abort ends the waiting, never the work. It rejects with the signal's own reason.
 * As long as somebody waits the process stays alive, though none of the timers behind the work would keep it.
 */
export async function waitFor<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
  const letGo = keepAlive();
  try {
    return await orAbort(work, signal);
  } finally {
    letGo();
  }
}

/** Keeps the process alive until the returned function is called. */
export function keepAlive(): () => void {
  const timer = setInterval(() => undefined, longestDelay);
  return () => { clearInterval(timer); };
}

/** One signal may stand for all that a process does: many calls that listen to it at a time are no leak, so Node is told not to warn of one. */
export function onAbort(signal: AbortSignal, listener: () => void): void {
  if (getMaxListeners(signal) === defaultMaxListeners) setMaxListeners(1_500, signal);
  signal.addEventListener('abort', listener, { once: true });
}

/** The outcome of `work`, or the reason of `signal` if that is aborted first. */
export async function orAbort<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return work;
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    // The reason is the caller's own, whatever it is.
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
    stop = () => { reject(signal.reason); };
    if (signal.aborted) stop();
    else onAbort(signal, stop);
  });
  try {
    return await Promise.race([aborted, work]);
  } catch (thrown) {
    // Work that noticed the same abort first may have an error of its own for it.
    throw signal.aborted ? signal.reason : thrown;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** @param options.background the timer doesn't keep the process alive */
export async function sleep(milliseconds: number, { signal, background = false }: { signal?: AbortSignal | undefined; background?: boolean } = {}): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const pause = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.min(milliseconds, longestDelay));
    if (background) timer.unref();
  });
  try {
    await orAbort(pause, signal);
  } finally {
    clearTimeout(timer);
  }
}
