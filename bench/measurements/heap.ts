import { count, mebibytes } from '../figures.js';
import type { FillCache, HeapGrowth } from '../jobs/fill-cache.js';
import type { Measurement } from '../measurement.js';
import { runJob } from '../processes/run-job.js';

const requests = 100_000;
const samples = 4;
const toleratedGrowth = 4 * 2 ** 20;

const heap: Measurement = async (progress) => {
  const fill = async (label: string, maxEntries?: number): Promise<HeapGrowth> => {
    const argument: FillCache = { requests, samples, ...(maxEntries === undefined ? {} : { maxEntries }) };
    const options = { flags: ['--expose-gc'], progress: (line: string) => { progress(`${label}: ${line}`); } };
    return (await runJob(new URL('../jobs/fill-cache.ts', import.meta.url), argument, options)) as HeapGrowth;
  };
  const [all, bounded] = await Promise.all([fill(`maxEntries ${requests}`, requests), fill('default maxEntries')]);
  const bytesPerToken = (all.samples.at(-1)?.bytes ?? Number.NaN) / requests;
  const growth = (bounded.samples.at(-1)?.bytes ?? Number.NaN) - (bounded.samples[1]?.bytes ?? Number.NaN);
  return {
    title: 'Heap per cached token',
    method: `${count(requests)} distinct scopes, each asked for once; a mock in the process answers the token requests (tokens of 61 characters); heap in use after a collection, over that before the first; two processes, one with \`maxEntries: ${requests}\`, one with the default of 10,000.`,
    table: {
      columns: ['distinct requests', `heap with maxEntries ${count(requests)}`, 'heap with the default maxEntries'],
      rows: all.samples.map(({ requests: asked, bytes }, index) => [count(asked), mebibytes(bytes), mebibytes(bounded.samples[index]?.bytes ?? Number.NaN)]),
    },
    targets: [
      { what: 'heap with the default `maxEntries`, growth from 50,000 to 100,000 distinct requests', target: `bounded (<= ${mebibytes(toleratedGrowth)})`, measured: mebibytes(growth), reached: growth <= toleratedGrowth },
    ],
    remarks: [`Per cached token: ${count(bytesPerToken)} bytes at ${count(requests)}. The token requests took ${count(all.seconds)} s and ${count(bounded.seconds)} s side by side.`],
  };
};

export default heap;
