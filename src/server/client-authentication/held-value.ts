import { orAbort } from '../../deadline.js';

/** A secret or a key that is known, or is asked for when it's needed. */
export interface ValueHolder<T> {
  current(signal: AbortSignal): Promise<T>;
  /** Present where the value is asked for. Tells whether there is another one than the one that was refused. */
  readonly replace?: (refused: T, signal: AbortSignal) => Promise<boolean>;
}

export function heldValue<T>(value: T): ValueHolder<T> {
  return { current: () => Promise.resolve(value) };
}

/**
 * Invariant: the value is asked for by one at a time, and an answer serves all who waited. One that was refused is asked for again only
 * while it's the current one; who comes late finds the new one.
 * @param isSame whether two answers are the same value, for those that are made anew each time
 */
export function askedValue<T extends string | object>(askOnce: () => Promise<T>, isSame: (a: T, b: T) => boolean = Object.is): ValueHolder<T> {
  let known: T | undefined;
  let asking: Promise<T> | undefined;
  const ask = async (signal: AbortSignal): Promise<T> => {
    const answer = (asking ??= askOnce());
    try {
      const value = await orAbort(answer, signal);
      // Of those who waited for one answer the first keeps it; an answer to a question that was given up is kept by nobody.
      if (asking === answer) known = value;
      return value;
    } finally {
      // A function that hangs is asked anew by the next caller.
      if (asking === answer) asking = undefined;
    }
  };
  return {
    current: async (signal) => known ?? ask(signal),
    replace: async (refused, signal) => {
      if (known !== undefined && isSame(known, refused)) known = undefined;
      return !isSame(known ?? await ask(signal), refused);
    },
  };
}
