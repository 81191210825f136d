import type { Clock, Moment } from '../../clock.js';
import { send, type TransportInit, type TransportOptions } from '../../transport/transport.js';
import { invalid } from '../../validation.js';
import { readBody } from '../body.js';
import type { EndpointAnswer } from '../endpoint-answer.js';
import { addedSecrets, sentValues } from './added-secrets.js';
import type { DeclaredError, Dialect, DialectContext, DialectGrant, PreparedTokenRequest, TokenRequestDialect } from './dialect.js';
import { parsed, prepared } from './hooks.js';
import { requestDialect } from './request-dialect.js';
import { placeholders, type Kept } from './template.js';
import { spokenTokenRequest, type TokenRequest } from './token-request.js';
import { understoodTokenResponse } from './token-response.js';

/** How a token request and its answer are said in the server's words: everything around it has those of the RFCs. */
export interface Speech {
  spoken(request: TokenRequest, signal: AbortSignal): Promise<SpokenTokenRequest>;
  understood(answer: EndpointAnswer, sentAt: Moment, signal: AbortSignal): Promise<EndpointAnswer>;
  /** What the server's own error codes and statuses mean. */
  readonly errors: Readonly<Record<string, DeclaredError>>;
}

/** As it goes out, and what has come into it that must appear nowhere else. */
export interface SpokenTokenRequest extends PreparedTokenRequest {
  readonly secrets: readonly string[];
}

export interface SpeechContext {
  readonly dialect: Dialect;
  readonly clock: Clock;
  readonly transport: TransportOptions;
  readonly allowInsecureRequests: boolean;
}

/** Of which a dialect may speak. */
export interface Subject {
  /** Undefined for a grant whose requests no dialect speaks of; its answers are read as any. */
  readonly grant: DialectGrant | undefined;
  readonly kept: Kept;
  /** The access token that is to be renewed. */
  readonly previous?: string | undefined;
}

export function speechOf({ grant, kept, previous }: Subject, { dialect, clock, transport, allowInsecureRequests }: SpeechContext): Speech {
  const { scopeSeparator = ' ', tokenResponse = {} } = dialect;
  const read = (answer: EndpointAnswer, sentAt: Moment): EndpointAnswer => understoodTokenResponse(answer, tokenResponse, scopeSeparator, sentAt.now);
  const errors = tokenResponse.errors ?? {};
  if (grant === undefined) {
    return {
      errors,
      spoken: async (asked) => Promise.resolve({ ...spokenTokenRequest(asked, {}, scopeSeparator, kept), secrets: [] }),
      understood: async (answer, sentAt) => Promise.resolve(read(answer, sentAt)),
    };
  }
  const contextOf = (signal: AbortSignal): DialectContext => ({
    grant,
    // A copy: what a hook does to it stays there.
    kept: { ...kept },
    ...(previous !== undefined && { previous: { accessToken: previous } }),
    clock: { now: () => clock.now() },
    fetch: async (input, init) => limited(await send(input instanceof Request ? input : String(input), { redirect: 'manual', ...init, signal } as unknown as TransportInit, transport)),
  });
  return {
    errors,
    spoken: async (asked, signal) => {
      const own = requestDialect(dialect, grant);
      if (grant === 'client_credentials') checkNoCallback(own);
      const spoken = spokenTokenRequest(asked, own, scopeSeparator, kept);
      const before = sentValues(spoken);
      const request = await prepared(spoken, dialect, contextOf(signal), { signal, allowInsecureRequests });
      return { ...request, secrets: addedSecrets(asked, request, kept, before) };
    },
    understood: async (answer, sentAt, signal) => read(await parsed(answer, dialect, contextOf(signal), signal), sentAt),
  };
}

/** @throws OAuthError `invalid_configuration` */
function checkNoCallback({ endpoint = '', parameters = {}, headers = {} }: TokenRequestDialect): void {
  const [name] = [endpoint, ...Object.values(parameters), ...Object.values(headers)].flatMap(placeholders);
  if (name !== undefined) throw invalid(`clientCredentials: the dialect's {${name}} is a value of a login's callback, and a client's own token has none: declare a dialect without it, in a token manager of its own`);
}

/** As any answer that the library reads: to its end, and no more than it may hold. */
async function limited(response: Response): Promise<Response> {
  const { status, statusText, headers } = response;
  const body = await readBody(response, 'What a hook of the dialect asked');
  return new Response([101, 204, 205, 304].includes(status) ? null : body, { status, statusText, headers });
}
