import { manager } from '../client.js';
import { count } from '../figures.js';
import { createFetch } from '../grantkeeper.js';
import type { Measurement } from '../measurement.js';
import { badgateway } from '../peers/badgateway.js';
import { googleAuth } from '../peers/google-auth.js';
import { expectOk } from '../peers/peer.js';
import { startApi, startTokenEndpoint, type Api, type TokenEndpoint } from '../servers/start.js';

const requestsSent = 10;
const gapMs = 100;

interface Client { readonly name: string; get(url: string): Promise<void>; getToken(): Promise<string> }

const staggered401s: Measurement = async (progress) => {
  const [api, tokens] = await Promise.all([startApi(), startTokenEndpoint()]);
  const tokenEndpoint = tokens.url();
  const clients = [grantkeeper(api.origin, tokenEndpoint), await badgateway({ tokenEndpoint }), await googleAuth({ tokenEndpoint })];
  const figures: { name: string; requests: number; succeeded: number }[] = [];
  for (const client of clients) {
    progress(client.name);
    figures.push({ name: client.name, ...await refuseOneByOne(api, tokens, client) });
  }
  await Promise.all([api.stop(), tokens.stop()]);
  const [ours] = figures;
  return {
    title: '10 staggered 401s',
    method: `The API revokes a warm token and answers the ${requestsSent} requests that carry it with 401s ${gapMs} ms apart.`,
    table: {
      columns: ['library', 'token requests', 'requests that succeeded in the end'],
      rows: figures.map(({ name, requests, succeeded }) => [name, count(requests), `${succeeded} of ${requestsSent}`]),
    },
    targets: [
      {
        what: 'token requests for 10 staggered 401s', target: '1',
        measured: ours?.succeeded === requestsSent ? count(ours.requests) : `${ours?.requests ?? 0}, and not every request succeeded`,
        reached: ours?.requests === 1 && ours.succeeded === requestsSent,
      },
    ],
  };
};

function grantkeeper(origin: string, tokenEndpoint: string): Client {
  const source = manager(tokenEndpoint).clientCredentials({ scope: 'invoices:read' });
  const api = createFetch(source, { origins: [origin], allowInsecureRequests: true });
  return {
    name: 'grantkeeper',
    async get(url) {
      const response = await api(url);
      await response.text();
      expectOk(response.status);
    },
    getToken: async () => (await source.getToken()).value,
  };
}

async function refuseOneByOne(api: Api, tokens: TokenEndpoint, client: Client): Promise<{ requests: number; succeeded: number }> {
  await client.get(`${api.origin}/`);
  await api.revoke(await client.getToken());
  await tokens.reset();
  const outcomes = await Promise.allSettled(
    Array.from({ length: requestsSent }, (_, index) => client.get(`${api.origin}/staggered/${(index + 1) * gapMs}`)),
  );
  const { requests } = await tokens.log();
  return { requests, succeeded: outcomes.filter(({ status }) => status === 'fulfilled').length };
}

export default staggered401s;
