import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { createHeaders, sendResponse } from '@remix-run/node-fetch-server';
import type { Session } from '../sessions/session.js';
import type { LoginHandlersOptions } from '../web/login-handlers-options.js';
import { loginPages } from '../web/login-pages.js';
import type { LoginManager } from '../web/page.js';
import { siteUrl } from './site-url.js';

type NodeRequest = IncomingMessage | Http2ServerRequest;
type NodeResponse = ServerResponse | Http2ServerResponse;

/** The three pages of a login for Express, Fastify, Connect and node:http, HTTP/2 included. A request's body is left alone, on every path. */
export interface LoginHandlers {
  /**
   * Answers if the request's path is one of the three; failures are pages too.
   * @returns whether it was one: then the response has been sent
   */
  readonly handle: (request: NodeRequest, response: NodeResponse) => Promise<boolean>;
  /** The same as middleware of Express and Connect. Mount it at the root: the paths are the site's, whatever it's mounted below. */
  readonly middleware: (request: NodeRequest, response: NodeResponse, next: (error?: unknown) => void) => void;
  /** The session that the request's cookie names; `undefined` without one. Nothing is looked up: its first use shows whether it's still there. */
  readonly session: (request: { readonly headers: { readonly cookie?: string | undefined } }) => Session | undefined;
}

/**
 * Login, callback and logout for a web backend.
 * @throws OAuthError `invalid_configuration`, naming the option, the rule and what was received
 */
export function createLoginHandlers(tokens: LoginManager, options: LoginHandlersOptions): LoginHandlers {
  const pages = loginPages(tokens, options);

  /** Known at once, so that requests for other paths go on in the same turn. */
  const answering = (request: NodeRequest, response: NodeResponse): Promise<void> | undefined => {
    const url = siteUrl(request, pages.origin);
    if (url === undefined) return undefined;
    return pages.at(url.pathname)?.(new Request(url, { method: methodOf(request), headers: createHeaders(request) })).then((answer) => send(response, answer));
  };

  return Object.freeze<LoginHandlers>({
    handle: async (request, response) => {
      const answered = answering(request, response);
      await answered;
      return answered !== undefined;
    },
    middleware: (request, response, next) => {
      const answered = answering(request, response);
      if (answered === undefined) next();
      else answered.catch(next);
    },
    session: ({ headers }) => pages.session(headers.cookie),
  });
}

/** `Request` refuses these. No page takes them, nor the one that stands in for them. */
function methodOf({ method = 'GET' }: NodeRequest): string {
  return ['CONNECT', 'TRACE', 'TRACK'].includes(method.toUpperCase()) ? 'OPTIONS' : method;
}

async function send(response: NodeResponse, answer: Response): Promise<void> {
  // Sending ours would replace the cookies that others have set already.
  const others = [response.getHeader('set-cookie') ?? []].flat().map(String);
  for (const cookie of others) answer.headers.append('set-cookie', cookie);
  await sendResponse(response, answer);
}
