import { momentOf, type Clock, type Moment } from '../clock.js';
import { OAuthError } from '../errors.js';
import { unreachable } from './unreachable.js';
import { discard, send, type TransportOptions, type TransportInit } from '../transport/transport.js';
import { readBody } from './body.js';
import { parseMembers, type EndpointAnswer } from './endpoint-answer.js';

export interface TimedAnswer {
  readonly answer: EndpointAnswer;
  /** When the request left. */
  readonly sentAt: Moment;
}

/**
 * One request to an endpoint of the authorization server and its whole answer: no redirect is followed, no body is read past the limit.
 * @param name for messages, e.g. `The token endpoint`
 */
export async function exchangeWithEndpoint(name: string, url: string, init: TransportInit & { signal: AbortSignal }, transport: TransportOptions, clock: Clock): Promise<TimedAnswer> {
  try {
    const sentAt = momentOf(clock);
    const response = await send(url, { ...init, redirect: 'manual' }, transport);
    return { answer: await readAnswer(name, response), sentAt };
  } catch (thrown) {
    if (thrown instanceof OAuthError) throw thrown;
    init.signal.throwIfAborted();
    throw unreachable(`${name} ${withoutQuery(url)}`, thrown, transport);
  }
}

async function readAnswer(name: string, response: Response): Promise<EndpointAnswer> {
  const { status, headers } = response;
  if (status > 299 && status < 400) {
    discard(response);
    return { status, headers, body: '', members: undefined };
  }
  const body = await readBody(response, name).catch((thrown: unknown) => {
    // An error stays the error that its status says, however large its page.
    if (!response.ok && thrown instanceof OAuthError) return '';
    throw thrown;
  });
  return { status, headers, body, members: parseMembers(body, headers.get('content-type')) };
}

/** Some servers have a key in the query of their endpoint. */
function withoutQuery(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}
