import { expect } from 'vitest';
import type { Api } from './api-server.js';
import type { ReceivedRequest } from './received-request.js';

export type Fetch = typeof globalThis.fetch;

/** What a server saw of one request, and what its caller got: nothing in it depends on who sent it. */
export interface Observation {
  readonly seen: unknown[];
  readonly outcome: unknown;
}

export async function observe(apis: readonly Api[], call: () => Promise<unknown>): Promise<Observation> {
  for (const api of apis) api.requests.length = 0;
  const outcome = await outcomeOf(call);
  return { seen: apis.map(({ requests }) => requests.map(described)), outcome };
}

/** The same call by the platform and by ours. The server is prepared for each. */
export async function expectParity(
  apis: readonly Api[],
  { platform, ours, arrange = () => undefined }: { platform: () => Promise<unknown>; ours: () => Promise<unknown>; arrange?: () => void },
): Promise<Observation> {
  arrange();
  const expected = await observe(apis, platform);
  arrange();
  const actual = await observe(apis, ours);
  expect(actual).toEqual(expected);
  return actual;
}

async function outcomeOf(call: () => Promise<unknown>): Promise<unknown> {
  try {
    const result = await call();
    return result instanceof Response ? await responseOf(result) : result;
  } catch (error) {
    return error instanceof Error ? { thrown: error.constructor.name, name: error.name, message: error.message } : { thrown: error };
  }
}

/** `type` is `basic` for what the platform calls `cors` or `default`. */
export async function responseOf(response: Response): Promise<unknown> {
  const { status, statusText, ok, url, redirected, type } = response;
  const headers = [...response.headers].filter(([name]) => name !== 'date');
  const hasBody = response.body !== null;
  return { status, statusText, ok, url, redirected, type: ['cors', 'default'].includes(type) ? 'basic' : type, headers, hasBody, body: await response.text() };
}

function described({ method, url, rawHeaders, body }: ReceivedRequest): unknown {
  const headers: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = String(rawHeaders[i]).toLowerCase();
    if (name !== 'authorization') headers.push(`${name}: ${withoutBoundary(String(rawHeaders[i + 1]))}`);
  }
  return { method, url, headers: headers.sort(), body: withoutBoundary(body.toString('latin1')) };
}

/** Boundaries of multipart bodies are random. */
function withoutBoundary(text: string): string {
  return text.replaceAll(/formdata-undici-\d+/g, 'boundary');
}
