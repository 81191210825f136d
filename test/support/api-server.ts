import type { ServerResponse } from 'node:http';
import { redirectTo, type Answer, type Hold } from './answers.js';
import { listenOnLoopback, LoopbackServer, type LoopbackServerOptions } from './loopback-server.js';
import type { ReceivedRequest } from './received-request.js';
import { Script, type Scripted } from './script.js';

type Acceptance = (token: string, request: ReceivedRequest) => boolean;

const INVALID_TOKEN: Answer = {
  status: 401,
  json: { error: 'invalid_token' },
  headers: { 'www-authenticate': 'Bearer realm="api", error="invalid_token"' },
};

/** RFC 6750 section 3.1: a request without a token is told no error code. */
const TOKEN_MISSING: Answer = { status: 401, headers: { 'www-authenticate': 'Bearer realm="api"' } };

/** A protected API (resource server). */
export class Api extends LoopbackServer {
  readonly #script = new Script<ReceivedRequest>((request) => this.#judge(request));
  #standing: Scripted<ReceivedRequest> = ({ method, url, headers }) =>
    ({ json: { ok: true, method, url, authorization: headers.authorization ?? null } });
  #accepts: Acceptance | undefined;

  get lastRequest(): ReceivedRequest {
    const last = this.requests.at(-1);
    if (!last) throw new Error('the API was not asked');
    return last;
  }

  /** One answer for each of the next requests, whatever their token is. */
  answersNext(...answers: Scripted<ReceivedRequest>[]): void {
    this.#script.answersNext(...answers);
  }

  /** What a request with an accepted token gets. */
  answersEvery(answer: Scripted<ReceivedRequest>): void {
    this.#standing = answer;
  }

  /** Everything else is refused with 401; `token` is what follows the scheme in `Authorization`. */
  acceptsOnly(accepts: Acceptance): void {
    this.#accepts = accepts;
  }

  redirectTo(url: string | URL, status = 302): void {
    this.answersNext(redirectTo(url, status));
  }

  hold(): Hold {
    return this.#script.hold();
  }

  protected override async answer(request: ReceivedRequest, response: ServerResponse): Promise<void> {
    await this.#script.play(request, response);
  }

  #judge(request: ReceivedRequest): Answer | Promise<Answer> {
    if (this.#accepts) {
      const token = /^\S+ +(.+)$/.exec(request.headers.authorization ?? '')?.[1];
      if (token === undefined) return TOKEN_MISSING;
      if (!this.#accepts(token, request)) return INVALID_TOKEN;
    }
    return typeof this.#standing === 'function' ? this.#standing(request) : this.#standing;
  }
}

export async function startApi(options: LoopbackServerOptions = {}): Promise<Api> {
  return new Api(await listenOnLoopback(), options);
}
