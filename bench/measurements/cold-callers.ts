import { manager } from '../client.js';
import { count, median, milliseconds } from '../figures.js';
import type { Measurement } from '../measurement.js';
import { badgateway } from '../peers/badgateway.js';
import { googleAuth } from '../peers/google-auth.js';
import { startTokenEndpoint, type TokenEndpoint } from '../servers/start.js';

const callers = 10_000;
const rounds = 5;

type GetToken = () => Promise<string>;

const coldCallers: Measurement = async (progress) => {
  const tokens = await startTokenEndpoint();
  const tokenEndpoint = tokens.url({ delay: 50 });
  const clients: { name: string; fresh: () => Promise<GetToken> }[] = [
    { name: 'grantkeeper', fresh: () => Promise.resolve(grantkeeper(tokenEndpoint)) },
    { name: '@badgateway/oauth2-client', fresh: async () => (await badgateway({ tokenEndpoint })).getToken },
    { name: 'google-auth-library', fresh: async () => (await googleAuth({ tokenEndpoint })).getToken },
  ];
  const figures = clients.map(({ name }) => ({ name, requests: [] as number[], durations: [] as number[] }));
  for (let round = 0; round < rounds; round++) {
    progress(`round ${round + 1} of ${rounds}`);
    for (const [index, { fresh }] of clients.entries()) {
      const { requests, duration } = await stampede(tokens, await fresh());
      figures[index]?.requests.push(requests);
      figures[index]?.durations.push(duration);
    }
  }
  await tokens.stop();
  const ours = Math.max(...figures[0]?.requests ?? []);
  return {
    title: '10,000 cold callers',
    method: `${count(callers)} calls of \`getToken()\` in one turn on a client without a token, whose token endpoint takes 50 ms; all must get the same token; ${rounds} fresh clients each, interleaved.`,
    table: {
      columns: ['library', 'token requests (worst)', 'until all have it (median)'],
      rows: figures.map(({ name, requests, durations }) => [name, count(Math.max(...requests)), milliseconds(median(durations))]),
    },
    targets: [{ what: 'token requests for 10,000 cold callers', target: '1', measured: count(ours), reached: ours === 1 }],
  };
};

function grantkeeper(tokenEndpoint: string): GetToken {
  const source = manager(tokenEndpoint).clientCredentials({ scope: 'invoices:read' });
  return async () => (await source.getToken()).value;
}

async function stampede(tokens: TokenEndpoint, getToken: GetToken): Promise<{ requests: number; duration: number }> {
  await tokens.reset();
  const start = performance.now();
  const values = await Promise.all(Array.from({ length: callers }, () => getToken()));
  const duration = performance.now() - start;
  const { requests } = await tokens.log();
  if (requests === 1 && new Set(values).size !== 1) throw new Error('callers got different tokens');
  return { requests, duration };
}

export default coldCallers;
