/**
 * A daemon that reads orders from an API with machine credentials, until it is told to stop.
 *
 *   ISSUER=https://login.example.com CLIENT_ID=billing CLIENT_SECRET=... API_URL=https://api.example.com \
 *     npx tsx examples/daemon/daemon.ts
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { createFetch, createTokenManager, OAuthError, type TokenManager } from 'grantkeeper';

export interface Settings {
  issuer: string;
  clientId: string;
  clientSecret: string;
  apiUrl: string;
  /** Plain http, and only to this machine: for tests and for the demo. */
  allowInsecureRequests: boolean;
}

/** Names every missing variable at once, so that nobody has to start the daemon four times. */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const { ISSUER: issuer, CLIENT_ID: clientId, CLIENT_SECRET: clientSecret, API_URL: apiUrl } = env;
  if (!issuer || !clientId || !clientSecret || !apiUrl) {
    const missing = ['ISSUER', 'CLIENT_ID', 'CLIENT_SECRET', 'API_URL'].filter((name) => !env[name]);
    throw new Error(`Missing in the environment: ${missing.join(', ')}`);
  }
  return { issuer, clientId, clientSecret, apiUrl, allowInsecureRequests: env['ALLOW_INSECURE_REQUESTS'] === 'true' };
}

/** All there is to authorization: from here on, `api` is a fetch whose requests carry a valid token. */
export function connect({ issuer, clientId, clientSecret, apiUrl, allowInsecureRequests }: Settings): {
  tokens: TokenManager;
  api: typeof fetch;
} {
  const tokens = createTokenManager({ issuer, clientId, clientSecret, allowInsecureRequests });
  const orders = tokens.clientCredentials({ scope: 'orders:read' });
  return { tokens, api: createFetch(orders, { baseUrl: apiUrl, timeout: 10_000, allowInsecureRequests }) };
}

export interface PollOptions {
  intervalMs: number;
  signal: AbortSignal;
  log: (line: string) => void;
}

/** Calls the API until `signal` aborts, and lets the call under way end. Outages are waited out; what waiting can't mend is thrown. */
export async function poll(api: typeof fetch, { intervalMs, signal, log }: PollOptions): Promise<void> {
  while (!signal.aborted) {
    try {
      const response = await api('/v1/orders');
      if (response.ok) {
        const orders = (await response.json()) as unknown[];
        log(`${orders.length} orders`);
      } else {
        await response.body?.cancel();
        log(`the API answered ${response.status}`);
      }
    } catch (error) {
      // A wrong secret or a wrong URL is for a human; the library has retried everything else already.
      if (error instanceof OAuthError && !error.retryable) throw error;
      log(`next try in ${intervalMs} ms: ${String(error)}`);
    }
    await sleep(intervalMs, undefined, { signal }).catch(() => undefined);
  }
}

/** What happens to the tokens, for the log; the events hold no secret. */
export function logTokens(tokens: TokenManager, log: (line: string) => void): void {
  tokens.on('acquired', ({ durationMs }) => { log(`token acquired in ${Math.round(durationMs)} ms`); });
  tokens.on('refresh-failed', ({ error, background }) => {
    log(`no new token: ${error.code}${background ? ', the current one is used on' : ''}`);
  });
  tokens.on('token-rejected', ({ status, origin }) => { log(`${origin} refused the token with ${status}`); });
}

async function main(): Promise<void> {
  const log = (line: string): void => { console.log(`${new Date().toISOString()} ${line}`); };
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { stop.abort(); });

  const { tokens, api } = connect(readSettings(process.env));
  logTokens(tokens, log);
  try {
    await poll(api, { intervalMs: 1_000, signal: stop.signal, log });
    log('stopped');
  } finally {
    await tokens.close();
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await main().catch((error: unknown) => {
    console.error(String(error));
    process.exitCode = 1;
  });
}
