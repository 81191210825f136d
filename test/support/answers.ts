import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGzip } from 'node:zlib';
import { deferred, type Deferred } from './deferred.js';

/** A plain answer; `json` is serialized, `body` goes out as it is. */
export interface Reply {
  readonly status?: number;
  readonly json?: unknown;
  readonly body?: string | Buffer;
  readonly headers?: OutgoingHttpHeaders;
}

export interface Exchange {
  readonly response: ServerResponse;
  /** What would have been answered without this script. Side effects, such as issuing a token, happen in here. */
  readonly otherwise: () => Promise<Answer>;
}

/** What a reply can't say: connections that break, stall or never end. */
export interface Behaviour {
  perform(exchange: Exchange): void | Promise<void>;
}

export type Answer = Reply | Behaviour;

export async function give(answer: Answer, exchange: Exchange): Promise<void> {
  if ('perform' in answer) {
    await answer.perform(exchange);
    return;
  }
  const { response } = exchange;
  response.statusCode = answer.status ?? 200;
  if (answer.json !== undefined) response.setHeader('content-type', 'application/json');
  for (const [name, value] of Object.entries(answer.headers ?? {})) {
    if (value !== undefined) response.setHeader(name, value);
  }
  response.end(answer.json === undefined ? answer.body : JSON.stringify(answer.json));
}

/** The connection is reset (`ECONNRESET`); nothing was done on the server's side. */
export function reset(): Behaviour {
  return { perform: ({ response }) => void response.socket?.resetAndDestroy() };
}

/** The server does what it was asked to, and the answer is lost on its way. */
export function lose(): Behaviour {
  return {
    async perform({ response, otherwise }) {
      await otherwise();
      response.socket?.destroy();
    },
  };
}

/** Never answers; the connection stays open until either side closes it. */
export function hang(): Behaviour {
  return { perform: () => undefined };
}

export function redirectTo(url: string | URL, status = 302): Reply {
  return { status, headers: { location: url.toString() } };
}

/** A 200 whose body arrives as one `chunk` per interval, for ever. */
export function drip(chunk = ' ', everyMs = 500): Behaviour {
  return {
    perform({ response }) {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write(chunk);
      const timer = setInterval(() => response.write(chunk), everyMs);
      response.once('close', () => {
        clearInterval(timer);
      });
    },
  };
}

/** A valid token response of exactly `bytes` bytes: only a limit on its size can be a reason to refuse it. */
export function oversize(bytes: number): Behaviour {
  return {
    async perform({ response }) {
      response.writeHead(200, { 'content-type': 'application/json' });
      await untilCut(pipeline(Readable.from(paddedTokenResponse(bytes)), response));
    },
  };
}

/** As `oversize`, but tiny on the wire: `bytes` is the size after inflation. */
export function gzipBomb(bytes: number): Behaviour {
  return {
    async perform({ response }) {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
      const gzip = createGzip({ level: constants.Z_BEST_SPEED });
      await untilCut(pipeline(Readable.from(paddedTokenResponse(bytes)), gzip, response));
    },
  };
}

function* paddedTokenResponse(bytes: number): Generator<Buffer> {
  const head = Buffer.from('{"access_token":"at-oversize","token_type":"Bearer","expires_in":3600,"padding":"');
  const tail = Buffer.from('"}');
  const chunk = Buffer.alloc(64 * 1024, 'x');
  yield head;
  for (let left = bytes - head.length - tail.length; left > 0; left -= chunk.length) {
    yield left < chunk.length ? chunk.subarray(0, left) : chunk;
  }
  yield tail;
}

/** A client that hangs up in the middle is what these answers are for. */
async function untilCut(sending: Promise<void>): Promise<void> {
  await sending.catch(() => undefined);
}

/** Keeps the request waiting until it is released. */
export class Hold implements Behaviour {
  readonly #arrival: Deferred<void> = deferred();
  readonly #release: Deferred<Answer | undefined> = deferred();

  /** Resolves when the first request is being held. */
  get arrived(): Promise<void> {
    return this.#arrival.promise;
  }

  /** Lets every request held here go on, to `answer` or to what would have been answered without the hold. */
  release(answer?: Answer): void {
    this.#release.resolve(answer);
  }

  async perform(exchange: Exchange): Promise<void> {
    this.#arrival.resolve();
    const answer = await this.#release.promise;
    await give(answer ?? await exchange.otherwise(), exchange);
  }
}
