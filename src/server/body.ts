import { OAuthError } from '../errors.js';

/** The most that an answer of the authorization server may hold, after inflation. */
const limit = 1024 * 1024;

/** The body as text, cut off with an error past the limit. Nothing of an answer that is too large is kept. */
export async function readBody(response: Response, what: string): Promise<string> {
  if (response.body === null) return '';
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    // A decoder, since it drops a byte order mark as the platform's `json()` does.
    if (done) return new TextDecoder().decode(Buffer.concat(chunks));
    size += value.byteLength;
    if (size > limit) {
      await reader.cancel().catch(() => undefined);
      throw new OAuthError('invalid_response', `${what} answered with more than ${limit} bytes`, { status: response.status });
    }
    chunks.push(value);
  }
}

/** The members of a JSON object; undefined for any other text. */
export function parseJsonObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : undefined;
  } catch {
    return undefined;
  }
}
