/** A library that is measured beside grantkeeper. Their packages are in `bench/package.json`, their names are imported at run time: types need no install. */
export interface Peer {
  readonly name: string;
  /** One authorized GET whose body was read. */
  readonly get: (url: string) => Promise<void>;
  readonly getToken: () => Promise<string>;
}

export interface PeerOptions {
  readonly tokenEndpoint: string;
  /** Of a user's grant. Without it the peer has machine tokens, as far as it can. */
  readonly refreshToken?: string;
}

export function expectOk(status: number): void {
  if (status !== 200) throw new Error(`the API answered ${status}`);
}
