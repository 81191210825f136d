import { manager } from '../client.js';
import { count, median } from '../figures.js';
import type { Measurement } from '../measurement.js';
import { badgateway } from '../peers/badgateway.js';
import { googleAuth } from '../peers/google-auth.js';
import { interleave } from '../rounds.js';
import { startTokenEndpoint } from '../servers/start.js';

const rounds = 9;
const calls = 300_000;

interface Caller { readonly name: string; getToken(): Promise<unknown> }

const getToken: Measurement = async (progress) => {
  const tokens = await startTokenEndpoint();
  const tokenEndpoint = tokens.url();
  const source = manager(tokenEndpoint).clientCredentials({ scope: 'invoices:read' });
  const callers: Caller[] = [
    { name: 'grantkeeper', getToken: () => source.getToken() },
    await badgateway({ tokenEndpoint }),
    await googleAuth({ tokenEndpoint }),
  ];
  for (const caller of callers) await caller.getToken();
  await tokens.reset();
  progress(`${rounds} rounds of ${callers.length} x ${count(calls)} calls`);
  const rates = await interleave(callers.map((caller) => ({ name: caller.name, slice: () => sequentialCalls(caller) })), rounds);
  const { requests } = await tokens.log();
  await tokens.stop();
  const medians = rates.map(median);
  const ours = medians[0] ?? Number.NaN;
  return {
    title: 'Warm `getToken()`',
    method: `${count(calls)} calls, each awaited before the next, per round; ${rounds} interleaved rounds; medians. ${requests} token requests were made meanwhile.`,
    table: { columns: ['library', 'calls/s'], rows: callers.map(({ name }, index) => [name, count(medians[index] ?? Number.NaN)]) },
    targets: [{ what: 'warm `getToken()`', target: '>= 1,000,000/s', measured: `${count(ours)}/s`, reached: ours >= 1_000_000 }],
  };
};

async function sequentialCalls(caller: Caller): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < calls; i++) await caller.getToken();
  return (calls / (performance.now() - start)) * 1000;
}

export default getToken;
