import { Agent, request, setGlobalDispatcher } from 'undici';
import { manager } from './client.js';
import { createFetch } from './grantkeeper.js';
import { badgateway } from './peers/badgateway.js';
import { googleAuth } from './peers/google-auth.js';
import { expectOk } from './peers/peer.js';

export interface Variant { readonly name: string; readonly get: () => Promise<void> }
export interface Variants {
  readonly bareFetch: Variant;
  readonly undiciRequest: Variant;
  readonly createFetch: Variant;
  readonly peers: readonly Variant[];
}

/** Everything that does one authorized GET and reads its body, warm: the token is there before anything is measured. */
export async function variants(url: string, tokenEndpoint: string): Promise<Variants> {
  const dispatcher = new Agent();
  setGlobalDispatcher(dispatcher);
  const source = manager(tokenEndpoint).clientCredentials({ scope: 'invoices:read' });
  const headers = { authorization: `Bearer ${(await source.getToken()).value}` };
  const api = createFetch(source, { origins: [new URL(url).origin], dispatcher, allowInsecureRequests: true });
  const init = { headers, dispatcher } as unknown as RequestInit;
  const peers = [await badgateway({ tokenEndpoint }), await googleAuth({ tokenEndpoint })];
  return {
    bareFetch: {
      name: 'bare global fetch',
      async get() {
        const response = await fetch(url, init);
        await response.text();
        expectOk(response.status);
      },
    },
    undiciRequest: {
      name: 'bare undici.request',
      async get() {
        const { statusCode, body } = await request(url, { headers, dispatcher });
        await body.text();
        expectOk(statusCode);
      },
    },
    createFetch: {
      name: 'grantkeeper createFetch',
      async get() {
        const response = await api(url);
        await response.text();
        expectOk(response.status);
      },
    },
    peers: peers.map((peer) => ({ name: peer.name, get: () => peer.get(url) })),
  };
}
