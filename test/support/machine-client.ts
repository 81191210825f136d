import { createTokenManager, type TokenEvents, type TokenManager, type TokenManagerOptions } from 'grantkeeper';
import type { AuthorizationServer } from './authorization-server.js';
import { ManualClock } from './clock.js';

export const CLIENT_SECRET = 'correct-horse-battery-staple';

export type RecordedEvents = { [E in keyof TokenEvents]: TokenEvents[E][] };

export interface MachineClient {
  readonly tokens: TokenManager;
  readonly clock: ManualClock;
  /** Everything its listeners were told. */
  readonly events: RecordedEvents;
}

export interface MachineClientOptions extends Partial<Omit<TokenManagerOptions, 'clock'>> {
  clock?: ManualClock;
}

/** A daemon's token manager: its clock stands still, it knows the server without discovery, and it waits for nothing between tries. */
export function machineClient(server: AuthorizationServer, { clock = new ManualClock(), ...options }: MachineClientOptions = {}): MachineClient {
  const tokens = createTokenManager({
    ...options.issuer === undefined && { server: { issuer: server.issuer, token_endpoint: server.tokenEndpoint } },
    clientId: 'billing',
    ...options.clientAuthentication === undefined && { clientSecret: CLIENT_SECRET },
    clock,
    retry: { minDelay: 0 },
    allowInsecureRequests: true,
    ...options,
  });
  return { tokens, clock, events: record(tokens) };
}

/** Listens from here on. */
export function record(tokens: TokenManager): RecordedEvents {
  const events: RecordedEvents = { acquired: [], refreshed: [], 'refresh-failed': [], 'token-rejected': [], 'session-ended': [], 'store-failed': [] };
  tokens.on('acquired', (detail) => events.acquired.push(detail));
  tokens.on('refreshed', (detail) => events.refreshed.push(detail));
  tokens.on('refresh-failed', (detail) => events['refresh-failed'].push(detail));
  tokens.on('token-rejected', (detail) => events['token-rejected'].push(detail));
  tokens.on('session-ended', (detail) => events['session-ended'].push(detail));
  tokens.on('store-failed', (detail) => events['store-failed'].push(detail));
  return events;
}

/** Returns once a token request that was begun before has come in: to be able to say that there was none. */
export async function requestsHaveComeIn(server: AuthorizationServer): Promise<void> {
  for (let trips = 0; trips < 2; trips += 1) await (await fetch(`${server.origin}/round-trip`)).arrayBuffer();
}
