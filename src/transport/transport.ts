import type { Dispatcher } from 'undici';
import { ownAgent } from './agent.js';
import type { PresentedCertificate } from './client-certificate.js';
import { isGlobalDispatcherSet } from './global-dispatcher.js';

/** What a request goes out by. */
export interface TransportOptions {
  /** @default `globalThis.fetch`, looked up at each call, so that stubs and mocks work */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** @default the global dispatcher if the user set one, else an agent of ours */
  readonly dispatcher?: Dispatcher | undefined;
  /** Its connections go before those of the default, also with a fetch that is not the platform's: without them the client isn't known. */
  readonly certificate?: PresentedCertificate | undefined;
  /** Its requests don't keep the process alive: whoever waits for one does. @default false */
  readonly detached?: boolean;
}

/** What undici's fetch takes beside the standard's members. */
export type TransportInit = Omit<RequestInit, 'dispatcher'> & { dispatcher?: Dispatcher | undefined };

/**
 * The one place where requests leave. The public fetch has to be the platform's with our agent as its dispatcher: undici's own `fetch`
 * knows only its own `FormData` and `Request`.
 */
export async function send(target: string | Request, init: TransportInit, transport: TransportOptions): Promise<Response> {
  const { dispatcher, certificate, detached = false } = transport;
  const chosen = init.dispatcher ?? dispatcher ?? await certificate?.dispatcher(detached) ?? await defaultDispatcher(transport);
  const fetch = transport.fetch ?? globalThis.fetch;
  // Node's types know the dispatcher of its own copy of undici only.
  return fetch(target, (chosen === undefined ? init : { ...init, dispatcher: chosen }) as unknown as RequestInit);
}

/** Lets go of a response that nobody will read: unread, its body would hold the connection. What comes of it is waited for by nobody. */
export function discard(response: Response): void {
  try {
    response.body?.cancel().catch(() => undefined);
  } catch {
    // It belongs to a stub that knows no bodies.
  }
}

const platformFetch = globalThis.fetch;

/** None for a fetch that is not the platform's (it has its own ways), nor where the user set a global dispatcher. */
async function defaultDispatcher(transport: TransportOptions): Promise<Dispatcher | undefined> {
  const fetch = transport.fetch ?? globalThis.fetch;
  if (fetch !== platformFetch || isGlobalDispatcherSet()) return undefined;
  return ownAgent(transport.detached === true);
}
