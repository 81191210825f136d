import { expectOk, type Peer, type PeerOptions } from './peer.js';

interface Token { accessToken: string; refreshToken: string | null }
interface Client { clientCredentials(): Promise<Token>; refreshToken(token: Token): Promise<Token> }
interface Wrapper { fetch(url: string): Promise<Response>; getAccessToken(): Promise<string> }
interface Package {
  OAuth2Client: new (settings: { server: string; tokenEndpoint: string; clientId: string; clientSecret: string }) => Client;
  OAuth2Fetch: new (options: { client: Client; getNewToken: () => Promise<Token> }) => Wrapper;
}

export const packageName = '@badgateway/oauth2-client';

/** Its `OAuth2Fetch` on client credentials or a refresh token. It has no option for a dispatcher: it uses the global one. */
export async function badgateway({ tokenEndpoint, refreshToken }: PeerOptions): Promise<Peer> {
  const { OAuth2Client, OAuth2Fetch } = (await import(packageName)) as Package;
  const client = new OAuth2Client({ server: tokenEndpoint, tokenEndpoint, clientId: 'bench', clientSecret: 'secret' });
  const getNewToken = refreshToken === undefined ? () => client.clientCredentials() : () => client.refreshToken({ accessToken: '', refreshToken });
  const wrapper = new OAuth2Fetch({ client, getNewToken });
  return {
    name: packageName,
    async get(url) {
      const response = await wrapper.fetch(url);
      await response.text();
      expectOk(response.status);
    },
    getToken: () => wrapper.getAccessToken(),
  };
}
