import type { ServerResponse } from 'node:http';
import { give, type Answer } from './answers.js';
import { listenOnLoopback, LoopbackServer } from './loopback-server.js';
import type { ReceivedRequest } from './received-request.js';
import { tokenRequest } from './token-request.js';

/** Parameters by name: the value itself, or what it has to look like. */
export type Expected = Readonly<Record<string, string | RegExp>>;

/** The one request that a server takes at one point; anything more or less is refused. */
export interface Taken {
  readonly path: string;
  /** @default 'POST' */
  readonly method?: 'GET' | 'POST';
  /** @default 'form' */
  readonly format?: 'form' | 'json' | 'query';
  /** `user:password`. Without it no Authorization header is taken. */
  readonly basic?: string | undefined;
  readonly parameters: Expected;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What is taken, and what it's answered with. */
export interface Stage {
  readonly takes: Taken;
  readonly gives: Answer | ((request: ReceivedRequest) => Answer);
}

/** An authorization server with ways of its own, which takes its stages in their order and nothing else. */
export class PeculiarServer extends LoopbackServer {
  readonly #stages: Stage[] = [];
  /** Why a request was not taken. */
  readonly refusals: string[] = [];

  expects(...stages: readonly Stage[]): void {
    this.#stages.push(...stages);
  }

  get last(): ReceivedRequest {
    const last = this.requests.at(-1);
    if (last === undefined) throw new Error('nothing was asked');
    return last;
  }

  protected override async answer(request: ReceivedRequest, response: ServerResponse): Promise<void> {
    const stage = this.#stages.shift();
    const refusal = stage === undefined ? `nothing more is taken, and ${request.path} was asked` : difference(request, stage.takes);
    if (refusal !== undefined) this.refusals.push(refusal);
    const answer: Answer = stage === undefined || refusal !== undefined ? { status: 400, json: { error: 'invalid_request' } } : typeof stage.gives === 'function' ? stage.gives(request) : stage.gives;
    await give(answer, { response, otherwise: () => Promise.reject(new Error('there is nothing else')) });
  }
}

export async function startPeculiarServer(...stages: readonly Stage[]): Promise<PeculiarServer> {
  const server = new PeculiarServer(await listenOnLoopback());
  server.expects(...stages);
  return server;
}

/** What is wrong with a request; undefined if it's just what is taken. */
function difference(request: ReceivedRequest, { path, method = 'POST', format = 'form', basic, parameters, headers = {} }: Taken): string | undefined {
  const { body, basic: sent } = tokenRequest(request);
  if (request.path !== path) return `${request.path} was asked, not ${path}`;
  if (request.method !== method) return `it came by ${request.method}, not ${method}`;
  if ((sent && `${sent.user}:${sent.password}`) !== basic) return 'the Authorization header is another one, or one too many';
  const type = request.headers['content-type'];
  const right = { form: 'application/x-www-form-urlencoded;charset=UTF-8', json: 'application/json', query: undefined }[format];
  if (type !== right) return `the content type is ${String(type)}`;
  if (format === 'query' && body !== '') return 'there is a body';
  if (format !== 'query' && new URL(request.url, 'http://x').search !== '') return 'there is a query';
  const wrongHeader = Object.entries(headers).find(([name, value]) => request.headers[name] !== value);
  if (wrongHeader !== undefined) return `the header ${wrongHeader[0]} is ${String(request.headers[wrongHeader[0]])}`;
  return differenceOf(pairs(request, body, format), parameters);
}

function pairs(request: ReceivedRequest, body: string, format: 'form' | 'json' | 'query'): [string, unknown][] {
  if (format === 'json') return Object.entries(JSON.parse(body) as object);
  return [...(format === 'query' ? new URL(request.url, 'http://x').searchParams : new URLSearchParams(body))];
}

function differenceOf(sent: readonly [string, unknown][], expected: Expected): string | undefined {
  const names = sent.map(([name]) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) return `${twice} is there twice`;
  const missing = Object.keys(expected).find((name) => !names.includes(name));
  if (missing !== undefined) return `${missing} is missing`;
  for (const [name, value] of sent) {
    const right = expected[name];
    if (right === undefined) return `${name} is too much`;
    if (typeof value !== 'string' || (typeof right === 'string' ? value !== right : !right.test(value))) return `${name} is ${JSON.stringify(value)}`;
  }
  return undefined;
}
