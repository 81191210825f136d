import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';

export interface Outcome {
  /** Whether the whole answer was handed to the network before the connection closed. */
  readonly complete: boolean;
  /** What this connection carried to the client so far, earlier answers included. */
  readonly bytesWritten: number;
}

/** A journal entry, made as soon as the request's head has arrived; `body` and `bodySize` follow. */
export interface ReceivedRequest {
  readonly method: string;
  readonly url: string;
  /** `url` without its query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  body: Buffer;
  bodySize: number;
  /** Resolves when the answer is complete or the connection is gone. */
  readonly outcome: Promise<Outcome>;
}

export function receivedRequest(message: IncomingMessage, response: ServerResponse): ReceivedRequest {
  const { method = '', url = '', headers, rawHeaders, socket } = message;
  const outcome = new Promise<Outcome>((resolve) => {
    response.once('close', () => {
      resolve({ complete: response.writableFinished, bytesWritten: socket.bytesWritten });
    });
  });
  return { method, url, path: url.replace(/\?.*$/s, ''), headers, rawHeaders, body: Buffer.alloc(0), bodySize: 0, outcome };
}

/** Drains the body; false if the client gave up before its end. */
export async function readBody(message: IncomingMessage, into: ReceivedRequest, keep: boolean): Promise<boolean> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of message as AsyncIterable<Buffer>) {
      into.bodySize += chunk.length;
      if (keep) chunks.push(chunk);
    }
  } catch {
    return false;
  }
  into.body = Buffer.concat(chunks);
  return true;
}
