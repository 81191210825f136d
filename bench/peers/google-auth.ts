import { expectOk, type Peer, type PeerOptions } from './peer.js';

interface Client {
  setCredentials(credentials: { refresh_token: string }): void;
  getAccessToken(): Promise<{ token?: string | null }>;
  request(options: { url: string; responseType: 'text'; noProxy: string[] }): Promise<{ status: number; data: unknown }>;
}
interface Package {
  OAuth2Client: new (options: {
    clientId: string; clientSecret: string; endpoints: { oauth2TokenUrl: string }; forceRefreshOnFailure: boolean; eagerRefreshThresholdMillis?: number;
  }) => Client;
}

export const packageName = 'google-auth-library';

/** Its `OAuth2Client` on a refresh token, told to refresh on a 401; it never takes a new one from the server. Its transport is node-fetch on `http.globalAgent`. */
export async function googleAuth({ tokenEndpoint, refreshToken }: PeerOptions): Promise<Peer> {
  const { OAuth2Client } = (await import(packageName)) as Package;
  const client = new OAuth2Client({
    clientId: 'bench', clientSecret: 'secret', endpoints: { oauth2TokenUrl: tokenEndpoint }, forceRefreshOnFailure: true,
    // Its five minutes are more than a user's token lives here.
    ...(refreshToken !== undefined && { eagerRefreshThresholdMillis: 0 }),
  });
  client.setCredentials({ refresh_token: refreshToken ?? 'refresh' });
  return {
    name: packageName,
    async get(url) {
      const { status } = await client.request({ url, responseType: 'text', noProxy: ['127.0.0.1'] });
      expectOk(status);
    },
    async getToken() {
      const { token } = await client.getAccessToken();
      if (typeof token !== 'string') throw new Error('no token');
      return token;
    },
  };
}
