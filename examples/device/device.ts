/**
 * A program without a browser: it shows where to sign in, waits until that is done on another device, and calls an API as whoever did.
 *
 *   ISSUER=https://login.example.com CLIENT_ID=tv API_URL=https://api.example.com npx tsx examples/device/device.ts
 */
import { pathToFileURL } from 'node:url';
import { createFetch, createTokenManager, deviceAuthorization, none, OAuthError, type DecoupledLogin, type Session, type TokenManager } from 'grantkeeper';
import { renderUnicodeCompact } from 'uqr';

export interface Settings {
  issuer: string;
  clientId: string;
  apiUrl: string;
  /** Plain http, and only to this machine: for tests and for the demo. */
  allowInsecureRequests: boolean;
}

/** Names every missing variable at once, so that nobody has to start the program three times. */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const { ISSUER: issuer, CLIENT_ID: clientId, API_URL: apiUrl } = env;
  if (!issuer || !clientId || !apiUrl) throw new Error(`Missing in the environment: ${['ISSUER', 'CLIENT_ID', 'API_URL'].filter((name) => !env[name]).join(', ')}`);
  return { issuer, clientId, apiUrl, allowInsecureRequests: env['ALLOW_INSECURE_REQUESTS'] === 'true' };
}

/** A program on other people's devices can keep no secret: `none()`. */
export function connect({ issuer, clientId, allowInsecureRequests }: Settings): TokenManager {
  return createTokenManager({ issuer, clientId, clientAuthentication: none(), allowInsecureRequests });
}

/** `prompt` is this server's: it grants `offline_access` only to who was asked (OpenID Connect Core section 11). */
export async function startLogin(tokens: TokenManager): Promise<DecoupledLogin> {
  return tokens.startDecoupledLogin(deviceAuthorization({ scope: 'openid profile offline_access orders:read', parameters: { prompt: 'consent' } }));
}

/** The code stands beside the QR code: whoever scans that can tell whose device it is for. */
export function invitation({ verificationUri = '', verificationUriComplete = verificationUri, userCode = '', expiresAt }: DecoupledLogin): string {
  const minutes = Math.round((expiresAt - Date.now()) / 60_000);
  return `\n  Open ${verificationUri} on another device and enter ${userCode}, or scan this, within ${minutes} minutes:\n\n${renderUnicodeCompact(verificationUriComplete, { border: 2 })}\n`;
}

export interface Report {
  /** The user's `sub`. */
  subject: string;
  name: string;
  status: number;
  /** What the API knows of the user. */
  orders: string;
}

/** From here on it's a session as any other: `createFetch` puts its tokens on requests, and has them refreshed. */
export async function report(session: Session, { apiUrl, allowInsecureRequests }: Settings): Promise<Report> {
  const { claims } = await session.info() ?? {};
  const response = await createFetch(session, { baseUrl: apiUrl, timeout: 10_000, allowInsecureRequests })('/v1/orders');
  return { subject: String(claims?.['sub']), name: String(claims?.['name']), status: response.status, orders: await response.text() };
}

async function main(): Promise<void> {
  const log = (line: string): void => { console.log(line); };
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { stop.abort(); });

  const settings = readSettings(process.env);
  const tokens = connect(settings);
  try {
    const login = await startLogin(tokens);
    log(invitation(login));
    const { session } = await login.completed({ signal: stop.signal });
    const { name, status, orders } = await report(session, settings);
    log(`  ${name} has signed in. The API answered ${status} ${orders}`);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    log('  Never mind.');
  } finally {
    await tokens.close();
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await main().catch((error: unknown) => {
    // E.g. the user said no, or the time was up.
    console.error(error instanceof OAuthError ? `  ${error.message}` : String(error));
    process.exitCode = 1;
  });
}
