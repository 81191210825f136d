import { createTokenManager, type AuthorizationServerMetadata, type LoginOptions, type Session, type TokenManager } from 'grantkeeper';
import type { AuthorizationServer } from './authorization-server.js';
import { ManualClock } from './clock.js';
import { CLIENT_SECRET, record, type MachineClient, type MachineClientOptions } from './machine-client.js';
import { followLogin } from './user-agent.js';

export const REDIRECT_URI = 'https://app.example.com/callback';

/**
 * A web backend's token manager: its clock stands still, and the server and its other clients go by the same one.
 * It knows the server without discovery, unless `issuer` is given, and waits for nothing between tries.
 */
export function webClient(server: AuthorizationServer, { clock = clockOf(server), ...options }: MachineClientOptions = {}): MachineClient {
  server.clock = clock;
  const tokens = createTokenManager({
    ...options.issuer === undefined && { server: servedBy(server) },
    clientId: 'app',
    ...options.clientAuthentication === undefined && { clientSecret: CLIENT_SECRET },
    clock,
    retry: { minDelay: 0 },
    allowInsecureRequests: true,
    ...options,
  });
  return { tokens, clock, events: record(tokens) };
}

function servedBy({ metadata }: AuthorizationServer): AuthorizationServerMetadata {
  return JSON.parse(JSON.stringify(metadata)) as AuthorizationServerMetadata;
}

function clockOf({ clock }: AuthorizationServer): ManualClock {
  return clock instanceof ManualClock ? clock : new ManualClock();
}

export interface SignedIn {
  readonly session: Session;
  readonly returnTo: string | undefined;
  /** The address that the browser was sent back to. */
  readonly callback: string;
  readonly transaction: string;
}

/** A whole login, the browser's part included. */
export async function signIn({ tokens }: { tokens: TokenManager }, options: Partial<LoginOptions> = {}): Promise<SignedIn> {
  const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'openid offline_access', ...options });
  const callback = await followLogin(url);
  const { session, returnTo } = await tokens.completeLogin(callback, transaction);
  return { session, returnTo, callback, transaction };
}
