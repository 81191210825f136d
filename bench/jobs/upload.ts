/** Sends a generated stream and says how much memory is held while it goes out and when all of it was sent, before the response is there. */
import { manager } from '../client.js';
import { createFetch } from '../grantkeeper.js';
import { expectOk } from '../peers/peer.js';
import { collectGarbage, job } from '../processes/job.js';

export interface Upload { readonly with: 'createFetch' | 'fetch'; readonly url: string; readonly tokenEndpoint: string; readonly bytes: number }
export interface UploadMemory { readonly peakRetained: number; readonly peakRss: number }

const chunkBytes = 64 * 1024;
const sampleEvery = 8 * 2 ** 20;

await job(async ({ with: sender, url, tokenEndpoint, bytes }: Upload): Promise<UploadMemory> => {
  const source = manager(tokenEndpoint).clientCredentials();
  const authorization = `Bearer ${(await source.getToken()).value}`;
  const api = createFetch(source, { origins: [new URL(url).origin], allowInsecureRequests: true });
  const send = (body: NonNullable<RequestInit['body']>): Promise<Response> => sender === 'createFetch'
    ? api(url, { method: 'POST', body, duplex: 'half' })
    : fetch(url, { method: 'POST', body, duplex: 'half', headers: { authorization } });
  expectOk((await send(new Blob(['warm-up']))).status);

  const baseline = await memory();
  let peakRetained = 0;
  let peakRss = 0;
  const sample = async (): Promise<void> => {
    const { retained, rss } = await memory();
    peakRetained = Math.max(peakRetained, retained - baseline.retained);
    peakRss = Math.max(peakRss, rss - baseline.rss);
  };
  let sent = 0;
  let finish: () => void;
  const allSent = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const stream = new ReadableStream({
    async pull(controller) {
      if (sent % sampleEvery === 0) await sample();
      sent += chunkBytes;
      controller.enqueue(new Uint8Array(chunkBytes).fill(sent));
      if (sent < bytes) return;
      controller.close();
      finish();
    },
  });
  const response = send(stream);
  await allSent;
  await new Promise((resolve) => setTimeout(resolve, 300));
  await sample();
  expectOk((await response).status);
  return { peakRetained, peakRss };
});

/** `external` includes the array buffers. */
async function memory(): Promise<{ retained: number; rss: number }> {
  await collectGarbage();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { retained: heapUsed + external, rss };
}
