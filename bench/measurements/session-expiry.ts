import { manager, signIn } from '../client.js';
import { count, median, milliseconds } from '../figures.js';
import type { Measurement } from '../measurement.js';
import { badgateway } from '../peers/badgateway.js';
import { googleAuth } from '../peers/google-auth.js';
import { startRotatingTokenEndpoint, type RotatingTokenEndpoint } from '../servers/start.js';

const callers = 100;
const rounds = 5;
const lifetime = 2;
const delay = 50;

type GetToken = () => Promise<string>;

/** Who asks, and by how many ways: the callers are spread evenly over them. */
interface Client { readonly name: string; readonly sources: readonly GetToken[] }

interface Stampede {
  readonly requests: number;
  readonly atOnce: number;
  readonly served: number;
  readonly duration: number;
}

const sessionExpiry: Measurement = async (progress) => {
  const tokens = await startRotatingTokenEndpoint();
  const clients = await signedIn(tokens);
  for (const { sources } of clients) for (const getToken of sources) await getToken();
  const figures = clients.map(({ name }) => ({ name, stampedes: [] as Stampede[] }));
  for (let round = 0; round < rounds; round++) {
    progress(`round ${round + 1} of ${rounds}`);
    await new Promise((resolve) => setTimeout(resolve, lifetime * 1000 + 100));
    for (const [index, client] of clients.entries()) figures[index]?.stampedes.push(await stampede(tokens, client));
  }
  await tokens.stop();
  const rows = figures.map(({ name, stampedes }) => ({
    name,
    requests: Math.max(...stampedes.map(({ requests }) => requests)),
    atOnce: Math.max(...stampedes.map(({ atOnce }) => atOnce)),
    served: Math.min(...stampedes.map(({ served }) => served)),
    duration: median(stampedes.map(({ duration }) => duration)),
  }));
  const [one, two] = rows;
  return {
    title: 'A session at expiry',
    method: `${callers} calls of \`getToken()\` in one turn when the access token of a user's session has just expired; tokens of ${lifetime} s; the token endpoint takes ${delay} ms, each refresh token is good for one use, and a second use ends the grant; ${rounds} expiries in a row.`,
    table: {
      columns: ['client', 'token requests (worst)', 'at the same time (worst)', 'callers that got a token (worst)', 'until all are answered (median)'],
      rows: rows.map(({ name, requests, atOnce, served, duration }) => [name, count(requests), count(atOnce), `${served} of ${callers}`, milliseconds(duration)]),
    },
    targets: [
      {
        what: `token requests for ${callers} callers of one session at expiry`, target: '1',
        measured: one?.served === callers ? count(one.requests) : `${one?.requests ?? 0}, and not every caller got a token`,
        reached: one?.requests === 1 && one.served === callers,
      },
      {
        what: 'token requests for two resources of one session at expiry, and at the same time', target: '2 and 1',
        measured: two?.served === callers ? `${two.requests} and ${two.atOnce}` : `${two?.requests ?? 0} and ${two?.atOnce ?? 0}, and not every caller got a token`,
        reached: two?.requests === 2 && two.atOnce === 1 && two.served === callers,
      },
    ],
    remarks: ['`google-auth-library` goes on with the refresh token that it began with, which the servers it is made for never replace; here that is a second use.'],
  };
};

async function signedIn(tokens: RotatingTokenEndpoint): Promise<Client[]> {
  const tokenEndpoint = tokens.url({ lifetime, delay });
  const session = await signIn(manager(tokenEndpoint));
  const other = await signIn(manager(tokenEndpoint));
  const resources = ['https://api.example.com', 'https://files.example.com'].map((resource) => other.forResource({ resource }));
  const peers = [
    await badgateway({ tokenEndpoint, refreshToken: await tokens.begin() }),
    await googleAuth({ tokenEndpoint, refreshToken: await tokens.begin() }),
  ];
  return [
    { name: 'grantkeeper', sources: [async () => (await session.getToken()).value] },
    { name: 'grantkeeper, two resources', sources: resources.map((source) => async () => (await source.getToken()).value) },
    ...peers.map(({ name, getToken }) => ({ name, sources: [getToken] })),
  ];
}

async function stampede(tokens: RotatingTokenEndpoint, { name, sources }: Client): Promise<Stampede> {
  await tokens.reset();
  const start = performance.now();
  const calls = Array.from({ length: callers / sources.length }, () => sources).flat();
  const outcomes = await Promise.allSettled(calls.map((getToken) => getToken()));
  const duration = performance.now() - start;
  const values = outcomes.filter((outcome) => outcome.status === 'fulfilled').map(({ value }) => value);
  const { requests, atOnce } = await tokens.log();
  if (requests === sources.length && values.length > 0 && new Set(values).size !== sources.length) throw new Error(`${name}: callers of one source got different tokens`);
  return { requests, atOnce, served: values.length, duration };
}

export default sessionExpiry;
