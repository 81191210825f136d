import type { Dispatcher } from 'undici';

const key = Symbol.for('undici.globalDispatcher.1');
let nodeDefault: unknown;
const usersOwn = new WeakSet();

/**
 * Whether the user set undici's global dispatcher. Node makes one of its own as soon as any class of fetch is touched:
 * whatever else is found there, the user put there.
 */
export function isGlobalDispatcherSet(): boolean {
  Reflect.get(globalThis, 'Request');
  const current: unknown = Reflect.get(globalThis, key);
  if (current === nodeDefault) return false;
  if (typeof current !== 'object' || current === null || usersOwn.has(current)) return true;
  if (isMadeByNode(current as Dispatcher)) nodeDefault = current;
  else usersOwn.add(current);
  return current !== nodeDefault;
}

/** Node's default is an `Agent` like undici's, of a class that can't be reached: only the stack of its errors tells where it comes from. */
function isMadeByNode(dispatcher: Dispatcher): boolean {
  // A class of the user's that watches `dispatch` must not see a call that isn't one.
  if (dispatcher.constructor.name !== 'Agent' || Object.hasOwn(dispatcher.constructor.prototype as object, 'dispatch')) return false;
  try {
    dispatcher.dispatch({} as Dispatcher.DispatchOptions, null as unknown as Dispatcher.DispatchHandler);
    return false;
  } catch (thrown) {
    return thrown instanceof Error && thrown.stack?.includes('Agent.dispatch (node:internal/') === true;
  }
}
