import type { Dispatcher } from 'undici';
import { ownAgent } from './agent.js';

/** What a request goes out by. */
export interface Transport {
  /** @default `globalThis.fetch`, looked up at each call, so that stubs and mocks work */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** @default the global dispatcher if the user set one, else an agent of ours */
  readonly dispatcher?: Dispatcher | undefined;
  /** Its requests don't keep the process alive: whoever waits for one does. @default false */
  readonly detached?: boolean;
}

/** What undici's fetch takes beside the standard's members. */
export type TransportInit = Omit<RequestInit, 'dispatcher'> & { dispatcher?: Dispatcher | undefined };

/**
 * The one place where requests leave. The public fetch has to be the platform's with our agent as its dispatcher: undici's own `fetch`
 * knows only its own `FormData` and `Request`.
 */
export async function send(target: string | Request, init: TransportInit, transport: Transport): Promise<Response> {
  const chosen = init.dispatcher ?? transport.dispatcher ?? await defaultDispatcher(transport);
  const fetch = transport.fetch ?? globalThis.fetch;
  // Node's types know the dispatcher of its own copy of undici only.
  return fetch(target, (chosen === undefined ? init : { ...init, dispatcher: chosen }) as unknown as RequestInit);
}

/** Lets go of a response that nobody will read: unread, its body would hold the connection. */
export async function discard(response: Response): Promise<void> {
  try {
    await response.body?.cancel();
  } catch {
    // It was let go of already, or belongs to a stub that knows no bodies.
  }
}

const platformFetch = globalThis.fetch;
const globalDispatcher = Symbol.for('undici.globalDispatcher.1');
let nodeDefault: unknown;
const usersOwn = new WeakSet();

/** None for a fetch that is not the platform's (it has its own ways), nor where the user set a global dispatcher. */
async function defaultDispatcher(transport: Transport): Promise<Dispatcher | undefined> {
  const fetch = transport.fetch ?? globalThis.fetch;
  if (fetch !== platformFetch || isSetByUser()) return undefined;
  return ownAgent(transport.detached === true);
}

/** Node makes a dispatcher of its own as soon as any class of fetch is touched: whatever else is found there, the user put there. */
function isSetByUser(): boolean {
  Reflect.get(globalThis, 'Request');
  const current: unknown = Reflect.get(globalThis, globalDispatcher);
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
