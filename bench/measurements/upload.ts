import { mebibytes, median } from '../figures.js';
import type { Upload, UploadMemory } from '../jobs/upload.js';
import type { Measurement } from '../measurement.js';
import { runJob } from '../processes/run-job.js';
import { startApi, startTokenEndpoint } from '../servers/start.js';

const bytes = 128 * 2 ** 20;
const limit = 16 * 2 ** 20;
const rounds = 3;
const senders = ['createFetch', 'fetch'] as const;

const upload: Measurement = async (progress) => {
  const [api, tokens] = await Promise.all([startApi(), startTokenEndpoint()]);
  const figures = senders.map((sender) => ({ sender, memories: [] as UploadMemory[] }));
  for (let round = 0; round < rounds; round++) {
    progress(`round ${round + 1} of ${rounds}`);
    for (const { sender, memories } of figures) {
      const { uploadedBytes: before } = await api.counts();
      const argument: Upload = { with: sender, url: `${api.origin}/upload/1000`, tokenEndpoint: tokens.url(), bytes };
      memories.push((await runJob(new URL('../jobs/upload.ts', import.meta.url), argument, { flags: ['--expose-gc'] })) as UploadMemory);
      const { uploadedBytes: after } = await api.counts();
      if (after - before < bytes) throw new Error(`${sender}: only ${after - before} bytes arrived`);
    }
  }
  await Promise.all([api.stop(), tokens.stop()]);
  const rows = figures.map(({ sender, memories }) => ({
    name: sender === 'fetch' ? "bare global fetch, redirect 'follow'" : 'grantkeeper createFetch',
    retained: median(memories.map(({ peakRetained }) => peakRetained)),
    rss: median(memories.map(({ peakRss }) => peakRss)),
  }));
  const ours = rows[0]?.retained ?? Number.NaN;
  return {
    title: '128 MiB streamed upload',
    method: `A generated ReadableStream is posted to an API in its own process, which answers a second after the last byte; heap, array buffers and other external memory after a collection, sampled every 8 MiB and when all was sent but not answered, over that before; the peak; medians of ${rounds} fresh processes each, interleaved.`,
    table: { columns: ['sender', 'retained, peak', 'resident set, peak growth'], rows: rows.map(({ name, retained, rss }) => [name, mebibytes(retained), mebibytes(rss)]) },
    targets: [{ what: 'memory retained by a 128 MiB streamed upload', target: '<= 16 MiB', measured: mebibytes(ours), reached: ours <= limit }],
  };
};

export default upload;
