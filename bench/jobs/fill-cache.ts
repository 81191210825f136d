/** Gets a token for each of many distinct requests and says how much heap is in use on the way. Nothing but the manager is kept. */
import { MockAgent } from 'undici';
import { manager } from '../client.js';
import { collectGarbage, job } from '../processes/job.js';
import { issue } from '../servers/token.js';

export interface FillCache { readonly requests: number; readonly samples: number; readonly maxEntries?: number }
export interface HeapGrowth { readonly samples: readonly { readonly requests: number; readonly bytes: number }[]; readonly seconds: number }

const concurrency = 64;
const origin = 'http://127.0.0.1:9999';

await job(async ({ requests, samples, maxEntries }: FillCache, progress): Promise<HeapGrowth> => {
  const tokens = manager(`${origin}/token`, { dispatcher: tokenEndpoint(), ...(maxEntries === undefined ? {} : { maxEntries }) });
  for (let i = 0; i < 1000; i++) await tokens.clientCredentials({ scope: 'warm-up' }).getToken();
  const before = await heapUsed();
  const start = performance.now();
  const growth: { requests: number; bytes: number }[] = [];
  let next = 0;
  for (let sample = 1; sample <= samples; sample++) {
    const end = (requests * sample) / samples;
    await Promise.all(Array.from({ length: concurrency }, async () => {
      while (next < end) await tokens.clientCredentials({ scope: `scope-${next++}` }).getToken();
    }));
    growth.push({ requests: end, bytes: (await heapUsed()) - before });
    progress(`${end} of ${requests} requests`);
  }
  const seconds = (performance.now() - start) / 1000;
  await tokens.close();
  return { samples: growth, seconds };
});

/** Answers in this process: what stays in the cache does not depend on the network, and 100,000 requests are ready sooner. */
function tokenEndpoint(): MockAgent {
  const agent = new MockAgent();
  agent.disableNetConnect();
  agent.get(origin).intercept({ path: '/token', method: 'POST' })
    .reply(200, () => ({ access_token: issue(3600), token_type: 'Bearer', expires_in: 3600 }), { headers: { 'content-type': 'application/json' } })
    .persist();
  return agent;
}

async function heapUsed(): Promise<number> {
  await collectGarbage();
  return process.memoryUsage().heapUsed;
}
